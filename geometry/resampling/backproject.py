"""Where each ERP pixel falls in a patch: the geometry of going back from views to the panorama.

A view sees a small part of the sphere, so nothing is computed for the whole ERP. The ERP is cut into bands of rows; in each
band a view owns the few runs of columns that it may see. Such a :class:`Box` never crosses the +-180 degree seam, and
poles need no special case, because runs come from half-space tests on directions rather than from outlines in the ERP.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from geometry.cameras import Camera
from geometry.directions import directions_to_erp, erp_angles, erp_directions
from geometry.spheres import UNTURNED, Sphere, View

BAND = 32  # rows of a band: a box then stays within a core's cache through a whole fusion step
CELL = 8  # side of the coarse cells that decide which columns a box spans; divides BAND
CACHE_BYTES = 256 * 2**20

FloatArray = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Box:
    """A rectangle of ERP pixels, and where they fall in one view.

    Attributes
    ----------
    rows, columns : slice
        The rectangle of size (m, n); its rows lie in one band.
    pixel : (m, n) int32
        Flat index of the patch pixel that contains the direction; ``camera.width * camera.height`` where it is not seen.
    dx, dy : (m, n) float32
        Offset in patch pixels from that pixel's centre, within [-0.5, 0.5]; zero where not seen.
    nearness : (m, n) float32
        In [1/16, 1]: how near the pixel's centre is to the direction. Views sample the sphere on different grids. Trusting
        most the view whose sample lies nearest places class and depth edges more finely than any one view's pixels could.
    """

    rows: slice
    columns: slice
    pixel: NDArray[np.int32]
    dx: FloatArray
    dy: FloatArray
    nearness: FloatArray


@dataclass(frozen=True, eq=False)
class BackProjection:
    """All boxes of one view in an ERP image of ``height`` x ``width``, from top to bottom."""

    camera: View
    height: int
    width: int
    boxes: tuple[Box, ...]

    @property
    def nbytes(self) -> int:
        """Memory of all boxes."""
        return sum(box.pixel.nbytes + box.dx.nbytes + box.dy.nbytes + box.nearness.nbytes for box in self.boxes)

    def seen(self, box: Box) -> NDArray[np.bool_]:
        """(m, n) bool: the view sees the pixel."""
        return box.pixel < self.camera.width * self.camera.height

    def coordinates(self, box: Box) -> tuple[FloatArray, FloatArray]:
        """Continuous patch coordinates (column, row) of a box's pixels, centres at +0.5; meaningless where not seen."""
        row, column = np.divmod(box.pixel, self.camera.width)
        return column + np.float32(0.5) + box.dx, row + np.float32(0.5) + box.dy


_cache: OrderedDict[tuple[View, int, int], BackProjection] = OrderedDict()
_cache_lock = Lock()


def backprojection(camera: View, height: int, width: int) -> BackProjection:
    """The back-projection of ``camera`` into an ERP image; the least recently used beyond ``CACHE_BYTES`` are forgotten."""
    key = (camera, height, width)
    with _cache_lock:
        if key in _cache:
            _cache.move_to_end(key)
            return _cache[key]
    built = build_backprojection(camera, height, width)
    with _cache_lock:
        _cache[key] = built
        held = sum(one.nbytes for one in _cache.values())
        while held > CACHE_BYTES:
            held -= _cache.popitem(last=False)[1].nbytes
    return built


def clear_cache() -> None:
    """Forget all cached back-projections."""
    with _cache_lock:
        _cache.clear()


def build_backprojection(camera: View, height: int, width: int) -> BackProjection:
    """The same, without the cache."""
    if isinstance(camera, Sphere):
        return BackProjection(camera, height, width, _boxes_all_around(camera, height, width))
    longitude, latitude = erp_angles(height, width)
    # A direction is cos(lat) (sin lon, -tan lat, cos lon), and projection does not care for its length: each camera
    # coordinate is then (a function of the column) - (a function of the row), and no trigonometry is left per pixel.
    across = (np.stack([np.sin(longitude), np.cos(longitude)], axis=1) @ camera.matrix[[0, 2]]).T.astype(np.float32)
    down = (np.tan(latitude)[:, None] * camera.matrix[1]).T.astype(np.float32)
    cells = _visible_cells(camera, height, width)
    boxes = []
    for start in range(0, height, BAND):
        rows = slice(start, min(start + BAND, height))
        for columns in _runs(np.any(cells[start // CELL : -(-rows.stop // CELL)], axis=0), width):
            box = _box(camera, rows, columns, across[:, columns], down[:, rows])
            if box.pixel.min() < camera.width * camera.height:
                boxes.append(box)
    return BackProjection(camera, height, width, tuple(boxes))


def _visible_cells(camera: Camera, height: int, width: int) -> NDArray[np.bool_]:
    """Coarse cells of CELL x CELL pixels of which the view may see any part: (ceil(height / CELL), ceil(width / CELL)) bool."""
    latitude = (0.5 - (np.arange(0, height, CELL) + CELL / 2) / height) * np.pi
    longitude = ((np.arange(0, width, CELL) + CELL / 2) / width - 0.5) * 2 * np.pi
    half_x, half_y = camera.fov / 2, np.arctan(camera.height / 2 / camera.focal)
    planes = np.array(
        [
            [np.cos(half_x), 0, np.sin(half_x)],
            [-np.cos(half_x), 0, np.sin(half_x)],
            [0, np.cos(half_y), np.sin(half_y)],
            [0, -np.cos(half_y), np.sin(half_y)],
        ]
    )
    # Within a cell a direction is at most this far from the cell's centre, and a unit plane's value changes by no more.
    margin = CELL / 2 * np.hypot(np.pi / height, 2 * np.pi / width)
    visible = np.ones((len(latitude), len(longitude)), dtype=bool)
    for x, y, z in planes @ camera.matrix.T:
        around = x * np.sin(longitude) + z * np.cos(longitude)
        visible &= np.cos(latitude)[:, None] * around - (y * np.sin(latitude))[:, None] >= -margin
    return visible


def _runs(cells: NDArray[np.bool_], width: int) -> list[slice]:
    """Runs of true cells of one band as slices of pixel columns."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], cells, [False]]).astype(np.int8)))
    return [slice(int(a) * CELL, min(int(b) * CELL, width)) for a, b in edges.reshape(-1, 2)]


def _box(camera: Camera, rows: slice, columns: slice, across: FloatArray, down: FloatArray) -> Box:
    width, height = camera.width, camera.height
    z = across[2] - down[2][:, None]
    front = z > 1e-6
    scale = np.float32(camera.focal) / np.where(front, z, 1)
    column = (across[0] - down[0][:, None]) * scale + np.float32(width / 2)
    row = (across[1] - down[1][:, None]) * scale + np.float32(height / 2)
    seen = front & (column >= 0) & (column < width) & (row >= 0) & (row < height)
    column[~seen] = row[~seen] = 0.5
    j, i = column.astype(np.int32), row.astype(np.int32)
    column -= j + np.float32(0.5)
    row -= i + np.float32(0.5)
    nearness = (1 - np.abs(column)) * (1 - np.abs(row))
    nearness *= nearness
    return Box(rows, columns, np.where(seen, i * np.int32(width) + j, np.int32(width * height)), column, row, nearness)


def _boxes_all_around(sphere: Sphere, height: int, width: int) -> tuple[Box, ...]:
    """One box a band, of all columns."""
    if sphere.rotation == UNTURNED:  # exactly itself, where sizes agree
        across = (np.arange(width) + 0.5) * (sphere.width / width)
        down = (np.arange(height) + 0.5) * (sphere.height / height)
        column, row = np.meshgrid(across, down)
    else:
        column, row = directions_to_erp(erp_directions(height, width) @ sphere.matrix, sphere.height, sphere.width)
    j, i = np.floor(column).astype(np.int32), np.minimum(np.floor(row), sphere.height - 1).astype(np.int32)
    dx, dy = (column - j - 0.5).astype(np.float32), (row - i - 0.5).astype(np.float32)
    pixel = i * np.int32(sphere.width) + j % sphere.width
    nearness = ((1 - np.abs(dx)) * (1 - np.abs(dy))) ** 2
    bands = [slice(start, min(start + BAND, height)) for start in range(0, height, BAND)]
    return tuple(Box(band, slice(0, width), pixel[band], dx[band], dy[band], nearness[band]) for band in bands)


Band = tuple[slice, list[tuple[int, Box]]]


def by_band(views: Sequence[BackProjection]) -> list[Band]:
    """For each band of the ERP its rows and the (view, box) pairs in it; views must share one ERP size.

    Raises
    ------
    ValueError
        If there are no views or their ERP sizes differ.
    """
    sizes = {(view.height, view.width) for view in views}
    if len(sizes) != 1:
        raise ValueError(f"views must share one ERP size, got {sorted(sizes)}")
    height = views[0].height
    bands: list[Band] = [(slice(start, min(start + BAND, height)), []) for start in range(0, height, BAND)]
    for number, view in enumerate(views):
        for box in view.boxes:
            bands[box.rows.start // BAND][1].append((number, box))
    return bands


def view_weight(camera: View, off_axis_power: float, edge_feather: float) -> FloatArray:
    """How far each patch pixel is trusted by geometry alone: (height, width) float32 in (0, 1].

    ``cos(off-axis angle) ** off_axis_power``, times a ramp that rises from nearly 0 at the patch edge to 1 at
    ``edge_feather`` times the half-width. Made in patch space: all views of one size and field of view share it. 1 everywhere in
    a view of the whole sphere, which has neither an axis nor an edge.
    """
    if isinstance(camera, Sphere):
        return np.ones((camera.height, camera.width), np.float32)
    return _view_weight(camera.width, camera.height, camera.focal, off_axis_power, edge_feather)


@lru_cache(maxsize=8)
def _view_weight(width: int, height: int, focal: float, off_axis_power: float, edge_feather: float) -> FloatArray:
    x = np.arange(width, dtype=np.float32) + np.float32(0.5)
    y = np.arange(height, dtype=np.float32) + np.float32(0.5)
    tangent = ((x - width / 2) / focal)[None, :] ** 2 + ((y - height / 2) / focal)[:, None] ** 2
    weight = (1 + tangent) ** np.float32(-off_axis_power / 2)
    if edge_feather > 0:
        to_edge = np.minimum(np.minimum(x, width - x)[None, :], np.minimum(y, height - y)[:, None])
        weight *= np.clip(to_edge / (edge_feather * min(width, height) / 2), 1e-3, 1)
    weight.setflags(write=False)  # shared by all who ask
    return weight.astype(np.float32, copy=False)
