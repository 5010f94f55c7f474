"""What fusing one panorama on a GPU must move, counted from its own gather list: no GPU is needed, and nothing is timed.

Memory comes in sectors of 32 bytes. At least each sector that is touched comes once; at most once for every warp that touches it,
as if no cache kept anything between warps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geometry.device.gathering import NOBODY, GatherList, gather_list
from geometry.observed import views_of
from geometry.spheres import View

SECTOR, WARP = 32, 32
BANDWIDTH, REACHED = 4.8e12, 0.6
"""Bytes a second of an H200's memory, and the share of it that kernels such as these are expected to reach."""
WARPS_A_SECOND = 132 * 4 * 1.7e9
"""Instructions of whole warps that an H200 starts: 132 processors, four a clock each, 1.7 GHz."""
BUS = 25e9, 50e9
"""Bytes a second between pinned memory and the device, from and to."""


@dataclass(frozen=True)
class Moved:
    """Bytes of one part of the work, least and most."""

    what: str
    least: int
    most: int


def touched(pixel: NDArray[np.int32], size: int, steps: Sequence[int] = (0,)) -> tuple[int, int]:
    """Bytes of the sectors that warps touch of an array with ``size`` bytes for each pixel of all views, least and most.

    Parameters
    ----------
    pixel : (S, M) int32
        As in a gather list; 32 pixels beside each other are a warp's.
    steps : each entry reads the pixels so far on from its own
    """
    lanes = np.pad(pixel, ((0, 0), (0, -pixel.shape[1] % WARP)), constant_values=NOBODY).reshape(-1, WARP)
    seen = lanes != NOBODY
    found = []
    for step in steps:
        first = (np.maximum(lanes + step, 0).astype(np.int64) * size) // SECTOR
        last = (np.maximum(lanes + step, 0).astype(np.int64) * size + size - 1) // SECTOR
        found += [np.where(seen, first, -1), np.where(seen, last, -1)]
    sectors = np.sort(np.concatenate(found, axis=1), axis=1)
    fresh = np.diff(sectors, axis=1, prepend=-1) > 0
    ever = np.zeros(int(sectors.max()) + 1, bool)
    ever[sectors[fresh]] = True
    return SECTOR * int(ever.sum()), SECTOR * int(fresh.sum())


def of_fusion(cameras: Sequence[View], height: int, ranks: int = 3) -> list[Moved]:
    """Depth, normals and classes of a teacher's own tensors, in one pass, and what makes distances before."""
    listed = gather_list(views_of(cameras, height, 2 * height))
    pixels, patches = 2 * height * height, len(cameras) * cameras[0].width * cameras[0].height
    row = cameras[0].width
    gathered = {
        "distances, and those beside them": (4, (0, -1, 1, -row, row)),
        "normals": (12, (0,)),
        "classes": (2 * ranks, (0,)),
        "probabilities": (4 * ranks, (0,)),
        "validity of normals and classes": (2, (0,)),
    }
    lines = [Moved(what, *touched(listed.pixel, *how)) for what, how in gathered.items()]
    results = 1 + (4 + 1 + 1) + (12 + 3) + (1 + 1 + 3)
    before = patches * ((4 + 1 + 4) + (4 + 4) + (4 + 4))  # radial, as stored, straightened
    once = [("gather list", _of_list(listed)), ("results", results * pixels), ("distances, made beforehand", before)]
    return [Moved(what, size, size) for what, size in once] + lines


def _of_list(listed: GatherList) -> int:
    """Bytes of the list: all numbers of pixels, and the offsets of slots that are taken."""
    return 4 * listed.pixel.size + 8 * int((listed.pixel != NOBODY).sum())


def seconds(size: float) -> float:
    """That so many bytes take of an H200's memory."""
    return size / (BANDWIDTH * REACHED)


def table(lines: Sequence[Moved]) -> str:
    """The Markdown table, with the sum and the time that it takes."""
    rows = ["| one panorama | MB, least | MB, most |", "|---|---|---|"]
    total = Moved("all", sum(one.least for one in lines), sum(one.most for one in lines))
    rows += [f"| {one.what} | {one.least / 1e6:.1f} | {one.most / 1e6:.1f} |" for one in [*lines, total]]
    times = [f"{1e3 * seconds(size):.2f}" for size in (total.least, total.most)]
    return "\n".join([*rows, f"| ms at {REACHED:.0%} of {BANDWIDTH / 1e12:.1f} TB/s | {times[0]} | {times[1]} |"])
