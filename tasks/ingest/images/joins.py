"""Whether a 2:1 picture is one equirectangular panorama: do its edges join, are its poles points, is it one picture at all.

Figures and limits were tried on 15 panoramas, each turned 20 times, against views of them and ordinary photographs; see
docs/operations.md.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from tasks.ingest.settings import Ingest

WIDTH = 512
"""Pixels across at which joins are measured, if the panorama has as many: finer detail says nothing of them."""
LEAST_WIDTH = 384
"""Pixels across below which neighbours may differ as much as edges that do not join: seam and poles cannot be told."""
COARSE = 128
"""Pixels across at which halves and lenses are compared: two eyes differ by less."""
SMOOTH = 0.45
"""Grey levels. Where second differences along rows are smaller, there is no texture to compare a seam with: charts, fog."""
GRAIN = 3.5
"""Times that rows vary less once they are smoothed. Where it is more, their variation is noise, and poles would have as much."""
SYMMETRIC = 0.9
"""Correlation of a half with its own mirror image, turned at will, above which what it shows may be seen twice in one picture."""
LEAST_CONTRAST = 4.0
"""Grey levels of spread below which a picture is too flat to say what its halves or corners are."""
COLUMN_ROUNDING, ROW_ROUNDING = 0.5, 0.1
"""Grey levels, added to mean differences, so that the ratio of two that are rounded to nothing is 1."""


def join_figures(pixels: NDArray[np.uint8], observed: NDArray[np.bool_]) -> dict[str, float]:
    """How well a panorama joins itself; a figure is left out where it cannot be told.

    Parameters
    ----------
    pixels : (H, W, 3) uint8
    observed : (H, W) bool

    Returns
    -------
    dict
        ``seam``: mean difference of the first and the last column over the 95th percentile of that of neighbouring columns, in
        the middle half of the rows; up to 1 where they join. ``poles``: mean difference of neighbours in the first or the last
        row, whichever has less, over that of a typical row; near 0 where they are points of the sphere, about 1 in a photograph.
        ``halves``: correlation of left and right or upper and lower half, whichever is more alike; near 1 for two eyes.
        ``corners``: spread of the pixels outside of two circles side by side over that just within them; near 0 for what two
        lenses saw.

    Notes
    -----
    A logo at the nadir reaches neither the middle rows nor the other pole. Left and right half of a corridor may be alike, if
    front and back are; then each is also its own mirror image, which a panorama of one eye rarely is.
    """
    small, seen = _reduced(pixels, observed, min(WIDTH, pixels.shape[1] // 4 * 4))
    figures: dict[str, float] = {}
    if small.shape[1] >= LEAST_WIDTH and _texture(small, seen) >= SMOOTH:
        across = np.abs(np.roll(small, -1, axis=1) - small).mean(axis=2)
        usable = seen & np.roll(seen, -1, axis=1)
        figures |= _seam(across, usable)
        figures |= {} if _is_grain(small, across, usable) else _poles(across, usable)
    if observed.all():
        coarse, _ = _reduced(pixels, observed, min(COARSE, small.shape[1]))
        figures |= {"halves": _likeness_of_halves(coarse), "corners": _spread_of_corners(coarse)}
    return {name: round(float(value), 3) for name, value in figures.items()}


def _seam(across: NDArray[np.float32], usable: NDArray[np.bool_]) -> dict[str, float]:
    """Differences to the next column, of which the last has the first; only rows in which both edges are seen, and no nadir."""
    height = len(usable)
    middle = np.abs(np.arange(height) * 2 + 1 - height) * 2 <= height
    across, usable = across[middle], usable[middle]
    rows = usable[:, -1]
    if rows.sum() * 4 < max(1, usable.any(axis=1).sum()):
        return {}
    inner = _means(across[rows, :-1].T, usable[rows, :-1].T)
    return {"seam": (across[rows, -1].mean() + COLUMN_ROUNDING) / (np.percentile(inner, 95) + COLUMN_ROUNDING)}


def _poles(across: NDArray[np.float32], usable: NDArray[np.bool_]) -> dict[str, float]:
    """The first and the last row, as far as all of them is seen."""
    ends = [across[end].mean() for end in (0, -1) if usable[end].all()]
    if not ends:
        return {}
    typical = np.median(_means(across, usable))
    return {"poles": (min(ends) + ROW_ROUNDING) / (typical + ROW_ROUNDING)}


def _is_grain(small: NDArray[np.float32], across: NDArray[np.float32], usable: NDArray[np.bool_]) -> bool:
    """Whether what a typical row varies by is gone once the rows are smoothed: walls and skies with the noise of a sensor."""
    smooth = cv2.GaussianBlur(small, (0, 0), sigmaX=2, sigmaY=1e-3)
    even = np.abs(np.roll(smooth, -1, axis=1) - smooth).mean(axis=2)
    typical = [np.median(_means(one, usable)) for one in (across, even)]
    return bool(typical[0] > GRAIN * typical[1])


def _means(values: NDArray[np.float32], use: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The mean of what counts in each row, of the rows in which anything does."""
    counts = use.sum(axis=1)
    sums = np.where(use, values, 0).sum(axis=1, dtype=np.float64)
    return sums[counts > 0] / counts[counts > 0]


def refusal(figures: dict[str, float], settings: Ingest) -> str:
    """Why a picture with these figures is clearly not one equirectangular panorama; empty if it may be one."""
    seam, poles = figures.get("seam", 0.0), figures.get("poles", 0.0)
    if seam > settings.most_seam and poles > settings.most_poles:
        return (
            f"2:1, but not equirectangular: left and right edge do not join (seam {seam:.2f}, at most ingest.most_seam = "
            f"{settings.most_seam:g}), and the poles are not points (poles {poles:.2f}, at most ingest.most_poles = "
            f"{settings.most_poles:g}); raise one of them if it is one"
        )
    if (halves := figures.get("halves", 0.0)) > settings.most_halves:
        return (
            f"two halves that are alike (halves {halves:.2f}, at most ingest.most_halves = {settings.most_halves:g}): "
            "a stereo pair? Save one eye alone, or raise the limit"
        )
    if (corners := figures.get("corners", 1.0)) < settings.least_corners:
        return (
            f"empty outside of two circles (corners {corners:.2f}, at least ingest.least_corners = {settings.least_corners:g}): "
            "what two lenses saw? Stitch it first, or lower the limit"
        )
    return ""


def _reduced(pixels: NDArray[np.uint8], observed: NDArray[np.bool_], width: int) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """A panorama at a width; a pixel of it is seen if all that went into it were."""
    size = (width, width // 2)
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    return small, cv2.resize(observed.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0.999


def _texture(small: NDArray[np.float32], seen: NDArray[np.bool_]) -> float:
    even = cv2.GaussianBlur(small, (0, 0), 1)  # what JPEG and rounding add is no texture
    second = np.abs(np.diff(even, n=2, axis=1)).mean(axis=2)
    use = seen[:, 2:] & seen[:, 1:-1] & seen[:, :-2]
    return float(second[use].mean()) if use.any() else 0.0


def _likeness_of_halves(coarse: NDArray[np.float32]) -> float:
    """Rows lose their mean first: sky above and ground below are alike in any two halves."""
    flat = coarse - coarse.mean(axis=1, keepdims=True)
    middle, centre = coarse.shape[0] // 2, coarse.shape[1] // 2
    left, right = flat[:, :centre], flat[:, centre : 2 * centre]
    beside = 0.0 if _likeness_to_mirror(left) > SYMMETRIC else _correlation(left, right)
    return max(beside, _correlation(flat[:middle], flat[middle : 2 * middle]))


def _likeness_to_mirror(half: NDArray[np.float32]) -> float:
    """Correlation with its mirror image, turned to where that is highest, by the theorem of convolution."""
    spectra = [np.fft.rfft(one, axis=1) for one in (half, half[:, ::-1])]
    turned = np.fft.irfft((spectra[0] * np.conj(spectra[1])).sum(axis=(0, 2)), half.shape[1])
    return float(turned.max() / max(float((half * half).sum()), 1e-9))


def _correlation(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    spread = np.sqrt(float((one * one).mean()) * float((other * other).mean()))
    return float((one * other).mean()) / spread if spread > LEAST_CONTRAST**2 else 0.0


def _spread_of_corners(coarse: NDArray[np.float32]) -> float:
    side = coarse.shape[0]
    steps = (np.arange(side) + 0.5) / side * 2 - 1
    radius = np.hypot(*np.meshgrid(steps, steps))
    outside, within = radius > 1.05, (radius < 0.95) & (np.abs(steps) > 0.7)[:, None]  # where panoramas may have black rows
    halves = coarse[:, :side], coarse[:, -side:]
    spreads = [np.concatenate([half[where] for half in halves]).std(axis=0).mean() for where in (outside, within)]
    return float(spreads[0] / spreads[1]) if spreads[1] > LEAST_CONTRAST else 1.0
