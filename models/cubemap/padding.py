"""Maps of views continued beyond their borders by what the neighbouring views show there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import interpolate
from torch.nn.functional import pad as pad_flat

from geometry.cameras import Camera
from models.cubemap.pose import same_field

GRIDS_KEPT = 64  # a network has a dozen sizes of maps; each grid takes a few kilobytes
Layout = tuple[Camera, ...]


@dataclass(frozen=True)
class Borders:
    """How maps (N, C, h, w) of N views go on beyond their borders.

    ``pad(maps, margin)`` adds ``margin`` pixels on every side; ``resize(maps, (h, w))`` is bilinear, corners on corners.
    """

    pad: Callable[[Tensor, int], Tensor]
    resize: Callable[[Tensor, tuple[int, int]], Tensor]


def zero_pad(maps: Tensor, margin: int) -> Tensor:
    """Zeros all round."""
    return pad_flat(maps, (margin, margin, margin, margin))


def plain_resize(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """(N, C, h, w) -> (N, C, *size), the outermost pixel centres staying where they are."""
    return interpolate(maps, size=size, mode="bilinear", align_corners=True)


PLAIN = Borders(zero_pad, plain_resize)


def cube_borders(cameras: Sequence[Camera], told_fov: float | None, resizing_fov: float | None) -> Borders:
    """Borders that go on in the neighbouring views; both fields of view as :class:`models.cubemap.configuration.Conventions`.

    ``resize`` pads by one pixel, resizes to two pixels more, and drops the outermost.
    """
    return Borders(partial(cube_pad, same_field(cameras, told_fov)), partial(_cube_resize, same_field(cameras, resizing_fov)))


def cube_pad(cameras: Layout, maps: Tensor, margin: int) -> Tensor:
    """Maps with a margin sampled bilinearly from the views around.

    Parameters
    ----------
    cameras : S square cameras of one size that see the whole sphere
        Their size in pixels is that of the image; maps may have another.
    maps : (B * S, C, n, n), view by view
    margin : int

    Returns
    -------
    (B * S, C, n + 2 margin, n + 2 margin)
        A border pixel shows what lies in its direction d in the view whose axis is nearest to d, clamped to its outermost
        pixel centres (PaGeR, arXiv 2605.26368).
    """
    count, channels, side = len(cameras), maps.shape[1], maps.shape[-1]
    grid = cube_grid(cameras, side, margin)
    views, pixels, where = (torch.from_numpy(one).to(maps.device) for one in (grid.views, grid.pixels, grid.where))
    weights = torch.from_numpy(grid.weights).to(maps)
    flat = maps.reshape(-1, count, channels, side * side)
    # Only the borders' corners are read, one after the other: the maps may be as large as memory allows.
    border = sum(flat[:, views, :, pixels[corner]] * weights[corner][:, None, None] for corner in range(4))
    border = border.unflatten(0, (count, -1)).permute(2, 0, 3, 1).flatten(0, 1)  # type: ignore[union-attr]
    padded = zero_pad(maps, margin)
    padded.flatten(2)[..., where] = border
    return padded


@dataclass(frozen=True, eq=False)
class CubeGrid:
    """Where the M border pixels of S padded views come from.

    ``views`` (S * M,) the view that is read; ``pixels`` and ``weights`` (4, S * M) four of its pixels, row by row, and how much
    of each; ``where`` (M,) the border pixels in a padded view.
    """

    views: NDArray[np.int64]
    pixels: NDArray[np.int64]
    weights: NDArray[np.float32]
    where: NDArray[np.int64]


@lru_cache(maxsize=GRIDS_KEPT)
def cube_grid(cameras: Layout, side: int, margin: int) -> CubeGrid:
    """The border of views whose maps have ``side`` x ``side`` pixels.

    Raises
    ------
    ValueError
        The views are not square and alike, or none of them sees what lies beyond the border of one.
    """
    if len({(one.width, one.height, one.fov) for one in cameras}) > 1 or cameras[0].width != cameras[0].height:
        raise ValueError(
            "cube_padding: views must be square, of one size and field of view; set cube_padding to false for others"
        )
    focal = side / 2 / np.tan(cameras[0].fov / 2)
    steps = np.arange(-margin, side + margin)
    rows, columns = np.meshgrid(steps, steps, indexing="ij")
    outside = (np.minimum(rows, columns) < 0) | (np.maximum(rows, columns) >= side)
    plane = np.stack([columns[outside], rows[outside]], axis=1) + 0.5 - side / 2
    rays = np.concatenate([plane / focal, np.ones((len(plane), 1))], axis=1)
    directions = np.concatenate([rays @ camera.matrix.T for camera in cameras])
    # In the corners of a cube two views are equally near; rounding lets the first one have them, whatever the last digit.
    views = np.argmax((directions @ np.stack([camera.axis for camera in cameras], axis=1)).round(9), axis=1)
    local = np.einsum("mi,mij->mj", directions, np.stack([camera.matrix for camera in cameras])[views])
    at = local[:, :2] / local[:, 2:] * focal + side / 2 - 0.5
    if (views == np.arange(len(cameras)).repeat(len(rays))).any():  # nobody is nearer than the view that ends here
        raise ValueError("cube_padding: the views do not see the whole sphere; add views, or set cube_padding to false")
    pixels, weights = _bilinear(np.clip(at, 0, side - 1), side)
    return CubeGrid(views, pixels, weights, np.flatnonzero(outside))


def _bilinear(at: NDArray[np.floating], side: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Four pixels and their weights, (4, M) each, of coordinates (M, 2), column and row, that are 0 at the first pixel centre."""
    low = np.minimum(at.astype(np.int64), max(side - 2, 0))
    high, part = np.minimum(low + 1, side - 1), at - low
    pixels = [rows[:, 1] * side + columns[:, 0] for rows in (low, high) for columns in (low, high)]
    weights = [down * across for down in (1 - part[:, 1], part[:, 1]) for across in (1 - part[:, 0], part[:, 0])]
    return np.stack(pixels), np.stack(weights).astype(np.float32)


def _cube_resize(cameras: Layout, maps: Tensor, size: tuple[int, int]) -> Tensor:
    return plain_resize(cube_pad(cameras, maps, 1), (size[0] + 2, size[1] + 2))[..., 1:-1, 1:-1]
