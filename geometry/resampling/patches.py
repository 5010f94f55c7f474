"""ERP image -> patches, with the seam, the poles and minification done right.

A patch pixel covers several ERP pixels where the patch is the coarser one, and reading four of them would alias. So the
image is first smoothed over about one patch pixel (:class:`Prefilter`), and then sampled bilinearly, beyond seam and poles in
a small sphere pad. The maps from patch pixels to the ERP depend on layout and size only, and the last few are kept.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import groupby
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from geometry.cameras import Camera
from geometry.resampling.coordinates import erp_coordinates
from geometry.resampling.padding import binomial_sphere
from geometry.spheres import Sphere, View

MARGIN = 1  # pixels of sphere pad: bilinear sampling reaches one pixel beyond the border
LAYOUTS_KEPT = 4  # maps of 20 patches of 504 px take 30 MB
CV2_LIMIT = 32766  # cv2.remap takes no side longer than this, in its source or its result

FloatArray = NDArray[np.float32]
Layout = tuple[View, ...]


@dataclass(frozen=True, order=True)
class Prefilter:
    """Smoothing of an ERP image before it is sampled: ``halvings`` by 2x2 means, then a binomial kernel of ``taps`` x ``taps``.

    Binomial kernels (1 2 1 and 1 4 6 4 1) because they are centred on the pixel, match boxes in quality and are what OpenCV is
    fastest at.
    """

    halvings: int = 0
    taps: int = 1


NO_PREFILTER = Prefilter()


@lru_cache(maxsize=1024)
def choose_prefilter(camera: View, height: int, width: int) -> Prefilter:
    """The smoothing that suits ``camera`` in an ERP image of ``height`` x ``width``.

    A patch pixel's footprint, in ERP pixels, is the root of its solid angle over that of an ERP pixel at the equator; its
    median over the patch decides. The thresholds were measured on three 4096x2048 photographs against 6x6 supersampling
    (4x4 above 504 pixels):

    | patch of 90 degrees, pixels  | 850  | 700  | 600  | 504  | 430  | 350  | 300  | 252  | 215  | 180  |
    |------------------------------|------|------|------|------|------|------|------|------|------|------|
    | footprint                    | 1.06 | 1.29 | 1.50 | 1.79 | 2.10 | 2.57 | 3.00 | 3.58 | 4.19 | 5.01 |
    | PSNR (dB), plain bilinear    | 41.2 | 38.9 | 37.2 | 35.4 | 34.0 | 32.4 | 31.3 | 30.3 | 29.5 | 28.8 |
    | PSNR (dB), 3 taps            | 38.6 | 40.0 | 41.3 | 42.7 | 42.7 | 40.4 | 38.2 | 36.0 | 34.4 | 32.8 |
    | PSNR (dB), 5 taps            | 34.9 | 36.0 | 37.0 | 38.7 | 40.3 | 41.8 | 41.6 | 39.7 | 37.6 | 35.5 |
    | PSNR (dB), halved, 3 taps    | 31.0 | 31.6 | 32.2 | 33.1 | 34.1 | 35.8 | 37.3 | 39.1 | 40.6 | 40.8 |
    """
    cos_off_axis = _coarse(camera).cos_off_axis()
    pixels_per_radian = np.sqrt(width / (2 * np.pi) * height / np.pi)
    footprint = float(pixels_per_radian / camera.focal * np.median(cos_off_axis) ** 1.5)
    halvings = 0
    while footprint >= 3.7:
        halvings, footprint = halvings + 1, footprint / 2
    if footprint < 1.25:
        return Prefilter(halvings)
    return Prefilter(halvings, taps=3 if footprint < 2.4 else 5)


def extract_patches(
    panorama: NDArray[Any],
    cameras: Sequence[View],
    backend: str = "opencv",
    antialias: bool = True,
    device: str = "cpu",
) -> NDArray[Any]:
    """What each camera sees of a panorama, sampled bilinearly.

    Parameters
    ----------
    panorama : (H, W, C) uint8 or float32
        A full ERP image.
    cameras : N cameras of one size (w, h)
    backend : "opencv", "torch" or "py360convert"
        ``opencv`` is the fast one: fixed-point coordinates (1/32 pixel), all patches in one call. ``torch`` samples in
        float32 on ``device``. ``py360convert`` is a slow, independent reference, for ``antialias=False`` only.
        On a uint8 photograph all agree within 0.1 grey levels on average, py360convert and OpenCV within 0.001.
    antialias : bool
        Smooth the panorama first where it is finer than the patches; see :func:`choose_prefilter`.
    device : str
        Torch device of the torch backend; the others run on the CPU.

    Returns
    -------
    (N, h, w, C) array of the panorama's dtype

    Raises
    ------
    ValueError
        On an unknown backend or one that cannot antialias, no cameras,
        cameras of different sizes, a wrong shape, or an image too wide for OpenCV.
    TypeError
        If the panorama is neither uint8 nor float32.
    """
    if panorama.ndim != 3:
        raise ValueError(f"a panorama must have the shape (H, W, C), got {panorama.shape}")
    if panorama.dtype not in (np.uint8, np.float32):
        raise TypeError(f"a panorama must be uint8 or float32, got {panorama.dtype}")
    sample, layout = _sampler(backend, antialias, device), _one_size(cameras)
    patches = np.empty((len(layout), layout[0].height, layout[0].width, panorama.shape[2]), dtype=panorama.dtype)
    filters = [choose_prefilter(camera, *panorama.shape[:2]) if antialias else NO_PREFILTER for camera in layout]
    for prefilter in sorted(set(filters)):
        source = _source(panorama, prefilter)
        for run in _runs(filters, prefilter, CV2_LIMIT // layout[0].height):
            sample(source, layout[run], patches[run])
    return patches


def extract_nearest(array: NDArray[Any], cameras: Sequence[View]) -> NDArray[Any]:
    """The value of the ERP pixel that holds each patch pixel's direction: for labels, depth and masks, which must not be mixed.

    Parameters
    ----------
    array : (H, W) or (H, W, C) array of any dtype
    cameras : N cameras of one size (w, h)

    Returns
    -------
    (N, h, w) or (N, h, w, C) array of the same dtype
    """
    index = _nearest_index(_one_size(cameras), *array.shape[:2])
    return array.reshape(-1, *array.shape[2:])[index]


def clear_cache() -> None:
    """Forget all maps."""
    for cached in (choose_prefilter, _fixed_point_maps, _torch_grid, _nearest_index):
        cached.cache_clear()


Sampler = Callable[[NDArray[Any], Layout, NDArray[Any]], None]
"""Takes a padded source, n cameras, and the (n, h, w, C) array to fill."""


def _sampler(backend: str, antialias: bool, device: str) -> Sampler:
    samplers: dict[str, Sampler] = {
        "opencv": _sample_opencv,
        "torch": partial(_sample_torch, device=device),
        "py360convert": _sample_py360convert,
    }
    if backend not in samplers:
        raise ValueError(f"unknown backend {backend!r}; known: {', '.join(samplers)}")
    if backend == "py360convert" and antialias:
        raise ValueError("the py360convert backend samples the panorama as it is; pass antialias=False")
    return samplers[backend]


def _sample_opencv(source: NDArray[Any], cameras: Layout, patches: NDArray[Any]) -> None:
    height, width = _inner_size(source)
    if max(source.shape[:2]) > CV2_LIMIT:
        raise ValueError(f"OpenCV samples images up to {CV2_LIMIT} pixels wide, got {width}; use backend='torch'")
    stacked = patches.reshape(-1, *patches.shape[2:])
    cv2.remap(source, *_fixed_point_maps(cameras, height, width), cv2.INTER_LINEAR, dst=stacked)


def _sample_torch(source: NDArray[Any], cameras: Layout, patches: NDArray[Any], device: str) -> None:
    import torch  # a second of import that the other backends need not pay

    grid = _torch_grid(cameras, *_inner_size(source), device)
    image = torch.from_numpy(source).to(device).permute(2, 0, 1)[None].float()
    values = torch.nn.functional.grid_sample(image, grid, mode="bilinear", padding_mode="border", align_corners=False)
    values = values[0].permute(1, 2, 0)
    if patches.dtype == np.uint8:
        values = (values + 0.5).clamp(0, 255).to(torch.uint8)
    patches[:] = values.cpu().numpy().reshape(patches.shape)


def _sample_py360convert(source: NDArray[Any], cameras: Layout, patches: NDArray[Any]) -> None:
    """py360convert's ``e2p``: half-pixel centres in the ERP as here, but a patch's outermost *centres* lie on the field's edge.

    A narrower field puts its centres on ours.
    """
    from py360convert import e2p

    image = source[MARGIN:-MARGIN, MARGIN:-MARGIN]
    for camera, patch in zip(cameras, patches):
        if isinstance(camera, Sphere):
            raise ValueError("py360convert cuts perspective views alone; use another backend for a view of the whole sphere")
        inner_fov = [2 * np.degrees(np.arctan((size - 1) / 2 / camera.focal)) for size in (camera.width, camera.height)]
        yaw, pitch, roll = np.degrees(_angles(camera))
        patch[:] = e2p(image, (inner_fov[0], inner_fov[1]), yaw, pitch, patch.shape[:2], roll)


@lru_cache(maxsize=LAYOUTS_KEPT)
def _fixed_point_maps(cameras: Layout, height: int, width: int) -> tuple[NDArray[np.int16], NDArray[np.uint16]]:
    """Maps into the padded source for ``cv2.remap``, all patches stacked from top to bottom."""
    rows, columns = cameras[0].height, cameras[0].width
    whole = np.empty((len(cameras) * rows, columns, 2), dtype=np.int16)
    fraction = np.empty(whole.shape[:2], dtype=np.uint16)
    for number, camera in enumerate(cameras):
        column, row = erp_coordinates(camera, height, width)
        # OpenCV's coordinates are zero at the first pixel's centre.
        column += np.float32(MARGIN - 0.5)
        row += np.float32(MARGIN - 0.5)
        part = slice(number * rows, (number + 1) * rows)
        whole[part], fraction[part] = cv2.convertMaps(column, row, cv2.CV_16SC2)
    return whole, fraction


@lru_cache(maxsize=LAYOUTS_KEPT)
def _torch_grid(cameras: Layout, height: int, width: int, device: str) -> Any:
    """(1, n * h, w, 2) float32 grid into the padded source for ``grid_sample``."""
    import torch

    columns, rows = zip(*(erp_coordinates(camera, height, width) for camera in cameras))
    x = (np.concatenate(columns) + MARGIN) * np.float32(2 / (width + 2 * MARGIN)) - np.float32(1)
    y = (np.concatenate(rows) + MARGIN) * np.float32(2 / (height + 2 * MARGIN)) - np.float32(1)
    return torch.from_numpy(np.stack([x, y], axis=-1)[None]).to(device)


@lru_cache(maxsize=LAYOUTS_KEPT)
def _nearest_index(cameras: Layout, height: int, width: int) -> NDArray[np.int32]:
    """(N, h, w) flat index into an ERP image."""
    index = np.empty((len(cameras), cameras[0].height, cameras[0].width), dtype=np.int32)
    for part, camera in zip(index, cameras):
        column, row = erp_coordinates(camera, height, width)
        part[:] = np.minimum(row.astype(np.int32), height - 1) * width + column.astype(np.int32) % width
    return index


def _source(panorama: NDArray[Any], prefilter: Prefilter) -> NDArray[Any]:
    """The filtered panorama, padded: (H + 2 MARGIN, W + 2 MARGIN, C)."""
    for _ in range(prefilter.halvings):
        # The width stays even, so that half a turn is a whole number of columns; area means end at the border and need no pad.
        height, width = max(4, round(panorama.shape[0] / 2)), max(8, 2 * round(panorama.shape[1] / 4))
        panorama = cv2.resize(panorama, (width, height), interpolation=cv2.INTER_AREA).reshape(height, width, -1)
    return binomial_sphere(panorama, prefilter.taps, MARGIN)


def _inner_size(source: NDArray[Any]) -> tuple[int, int]:
    return source.shape[0] - 2 * MARGIN, source.shape[1] - 2 * MARGIN


def _one_size(cameras: Sequence[View]) -> Layout:
    sizes = sorted({(camera.width, camera.height) for camera in cameras})
    if len(sizes) != 1:
        raise ValueError(f"cameras must share one size, got {sizes}")
    return tuple(cameras)


def _runs(filters: Sequence[Prefilter], wanted: Prefilter, longest: int) -> Iterator[slice]:
    """Where ``filters`` are the wanted one, as slices none longer than ``longest``."""
    start = 0
    for prefilter, run in groupby(filters):
        stop = start + len(list(run))
        if prefilter == wanted:
            yield from (slice(first, min(first + longest, stop)) for first in range(start, stop, longest))
        start = stop


def _coarse(camera: View) -> View:
    """The same view with few pixels."""
    if isinstance(camera, Sphere):
        return Sphere(16, 8)
    scale = 16 / max(camera.width, camera.height)
    return Camera(max(1, round(camera.width * scale)), max(1, round(camera.height * scale)), camera.fov, camera.rotation)


def _angles(camera: Camera) -> tuple[float, float, float]:
    """Yaw, pitch and roll of a camera: what :func:`geometry.cameras.rotation_from_angles` takes."""
    x, y, z = camera.axis
    yaw, pitch = np.arctan2(x, z), np.arctan2(-y, np.hypot(x, z))
    level = Camera.looking(1, 1, camera.fov, yaw, pitch).matrix
    turn = level.T @ camera.matrix
    return float(yaw), float(pitch), float(np.arctan2(turn[1, 0], turn[0, 0]))
