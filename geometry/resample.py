"""ERP image -> patches, with the seam, the poles and minification done right.

Every backend samples the same source: the ERP image, halved as often as the layout's patches are coarser than it, and continued
over seam and poles by a small sphere pad. The maps from patch pixels to the source depend on layout and size only, and the
last few are kept.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import groupby
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from geometry.cameras import Camera
from geometry.padding import fill_margin

MARGIN = 2  # pixels of sphere pad: bilinear sampling reaches at most one pixel beyond the border, and rounding one more
LAYOUTS_KEPT = 4  # maps of 20 patches of 504 px take 30 MB
CV2_LIMIT = 32766  # cv2.remap takes no side longer than this, in its source or its result

FloatArray = NDArray[np.float32]
Layout = tuple[Camera, ...]


def extract_patches(
    panorama: NDArray[Any],
    cameras: Sequence[Camera],
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
        float32 on ``device``. ``py360convert`` is a slow, independent reference.
    antialias : bool
        Average the panorama down first where it is finer than the patches; see :func:`halvings`.
    device : str
        Torch device of the torch backend; the others run on the CPU.

    Returns
    -------
    (N, h, w, C) array of the panorama's dtype

    Raises
    ------
    ValueError
        On an unknown backend, no cameras, cameras of different sizes, a wrong shape, or an image too wide for OpenCV.
    TypeError
        If the panorama is neither uint8 nor float32.
    """
    if panorama.ndim != 3:
        raise ValueError(f"a panorama must have the shape (H, W, C), got {panorama.shape}")
    if panorama.dtype not in (np.uint8, np.float32):
        raise TypeError(f"a panorama must be uint8 or float32, got {panorama.dtype}")
    samplers: dict[str, Sampler] = {
        "opencv": _sample_opencv,
        "torch": lambda *arguments: _sample_torch(*arguments, device=device),
        "py360convert": _sample_py360convert,
    }
    if backend not in samplers:
        raise ValueError(f"unknown backend {backend!r}; known: {', '.join(samplers)}")
    layout = _one_size(cameras)
    patches = np.empty((len(layout), layout[0].height, layout[0].width, panorama.shape[2]), dtype=panorama.dtype)
    levels = [halvings(camera, *panorama.shape[:2]) if antialias else 0 for camera in layout]
    sources: dict[int, NDArray[Any]] = {}
    for level, run in _runs(levels, CV2_LIMIT // layout[0].height):
        if level not in sources:
            sources[level] = _source(panorama, level)
        samplers[backend](sources[level], layout[run], patches[run])
    return patches


def extract_nearest(array: NDArray[Any], cameras: Sequence[Camera]) -> NDArray[Any]:
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


def halvings(camera: Camera, height: int, width: int) -> int:
    """How often an ERP image is halved before ``camera`` samples it.

    The footprint of a patch pixel, in ERP pixels, is the root of its solid angle over that of an ERP pixel at the equator.
    Its median over the patch is brought as near to one as halving can. On 4096x2048 photographs and 20 patches of 504 px
    with 90 degrees, where it is 1.9, one halving lifts PSNR against 8x8 supersampling; see ``benchmarks/projection.py``.
    """
    cos_off_axis = _coarse(camera).rays()[..., 2]
    pixels_per_radian = np.sqrt(width / (2 * np.pi) * height / np.pi)
    footprint = pixels_per_radian / camera.focal * float(np.median(cos_off_axis)) ** 1.5
    return max(0, round(float(np.log2(footprint))))


def erp_coordinates(camera: Camera, height: int, width: int) -> tuple[FloatArray, FloatArray]:
    """Continuous ERP coordinates (column, row), each (h, w) float32, of all pixel centres of a patch.

    The same as ``directions_to_erp(camera.directions(), height, width)`` within 0.01 pixel on the sphere, twelve times faster.
    """
    matrix = camera.matrix / camera.focal
    x = np.arange(camera.width) + 0.5 - camera.width / 2
    y = np.arange(camera.height) + 0.5 - camera.height / 2
    across = (matrix[:, :1] * x).astype(np.float32)
    down = (matrix[:, 1:2] * y + matrix[:, 2:] * camera.focal).astype(np.float32)
    right, below, ahead = across[:, None, :] + down[:, :, None]
    column = np.arctan2(right, ahead)
    column *= np.float32(width / (2 * np.pi))
    column += np.float32(width / 2)
    row = np.arctan2(below, np.sqrt(right * right + ahead * ahead))
    row *= np.float32(height / np.pi)
    row += np.float32(height / 2)
    return column, row


def clear_cache() -> None:
    """Forget all maps."""
    for cached in (_fixed_point_maps, _torch_grid, _nearest_index):
        cached.cache_clear()


Sampler = Callable[[NDArray[Any], Layout, NDArray[Any]], None]
"""Takes a padded source, some cameras, and the (n, h, w, C) array to fill."""


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


def _source(panorama: NDArray[Any], level: int) -> NDArray[Any]:
    """The panorama halved ``level`` times and padded: (H + 2 MARGIN, W + 2 MARGIN, C).

    INTER_AREA's boxes end at the image border, so halving needs no pad, and its result goes straight into the padded image.
    """
    for _ in range(level - 1):
        panorama = cv2.resize(panorama, _half(panorama), interpolation=cv2.INTER_AREA).reshape(*_half(panorama)[::-1], -1)
    width, height = _half(panorama) if level else panorama.shape[1::-1]
    padded = np.empty((height + 2 * MARGIN, width + 2 * MARGIN, panorama.shape[2]), dtype=panorama.dtype)
    inside = padded[MARGIN:-MARGIN, MARGIN:-MARGIN]
    if level:
        cv2.resize(panorama, (width, height), dst=inside, interpolation=cv2.INTER_AREA)
    else:
        inside[:] = panorama
    fill_margin(padded, MARGIN)
    return padded


def _half(panorama: NDArray[Any]) -> tuple[int, int]:
    """Width and height of the halved image; the width stays even, so that half a turn is a whole number of columns."""
    height, width = panorama.shape[:2]
    return max(2 * MARGIN, 2 * round(width / 4)), max(MARGIN, round(height / 2))


def _inner_size(source: NDArray[Any]) -> tuple[int, int]:
    return source.shape[0] - 2 * MARGIN, source.shape[1] - 2 * MARGIN


def _one_size(cameras: Sequence[Camera]) -> Layout:
    sizes = sorted({(camera.width, camera.height) for camera in cameras})
    if len(sizes) != 1:
        raise ValueError(f"cameras must share one size, got {sizes}")
    return tuple(cameras)


def _runs(levels: Sequence[int], longest: int) -> Iterator[tuple[int, slice]]:
    """Runs of equal levels as (level, slice), none longer than ``longest``."""
    start = 0
    for level, run in groupby(levels):
        stop = start + len(list(run))
        for first in range(start, stop, longest):
            yield level, slice(first, min(first + longest, stop))
        start = stop


def _coarse(camera: Camera) -> Camera:
    """The same view with few pixels."""
    scale = 16 / max(camera.width, camera.height)
    return Camera(max(1, round(camera.width * scale)), max(1, round(camera.height * scale)), camera.fov, camera.rotation)


def _angles(camera: Camera) -> tuple[float, float, float]:
    """Yaw, pitch and roll of a camera: what :func:`geometry.cameras.rotation_from_angles` takes."""
    x, y, z = camera.axis
    yaw, pitch = np.arctan2(x, z), np.arctan2(-y, np.hypot(x, z))
    level = Camera.looking(1, 1, camera.fov, yaw, pitch).matrix
    turn = level.T @ camera.matrix
    return float(yaw), float(pitch), float(np.arctan2(turn[1, 0], turn[0, 0]))
