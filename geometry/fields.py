"""Dense fields over patches: what a teacher says of every pixel, with its unit, frame and validity.

| name      | values                         | unit                              | frame              | confidence           |
|-----------|--------------------------------|-----------------------------------|--------------------|----------------------|
| depth     | (N, h, w) float32              | metre, shared, ... (below)        | axis or ray        | (N, h, w) or None    |
| normals   | (N, h, w, 3) float32, unit     | unit                              | camera or world    | (N, h, w) or None    |
| semantics | (N, h, w, K) uint16, best first| class (index into the vocabulary) | -                  | (N, h, w, K), needed |
| sky       | (N, h, w) float32 in [0, 1]    | probability                       | -                  | None                 |
| instances | (N, h, w) uint16, 0 for none   | segment                           | -                  | None                 |

Depth units: ``metre``; ``shared``, a distance up to one unknown factor for all views of a panorama; ``scale``, up to one per
view; ``inverse``, an inverse distance up to an unknown factor and offset per view (disparity-like). Depth frames: ``axis`` is
along the optical axis (z-depth), ``ray`` is radial. ``canonical`` brings any of them to ray and world, which is all that later
stages ever see.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from geometry.cameras import to_world
from geometry.spheres import Sphere, View

UNITS = {
    "depth": ("metre", "shared", "scale", "inverse"),
    "normals": ("unit",),
    "semantics": ("class",),
    "sky": ("probability",),
    "instances": ("segment",),
}
FRAMES = {"depth": ("axis", "ray"), "normals": ("camera", "world")}


class CannotLabel(ValueError):
    """A teacher raises this, and this only, for a panorama that it cannot label; the message is the reason.

    The panorama is given up with that reason, and the others go on. Anything else that a teacher raises is a fault of its code
    or settings: it fails the block, with its traceback in the log.
    """


@dataclass(frozen=True)
class Field:
    """One dense field over a batch of N patches. See the module's table for shapes, units and frames.

    ``valid`` is (N, h, w) bool. ``tables`` holds what belongs to a patch rather than a pixel: for ``instances`` the arrays
    ``segment_class`` (N, S) int32 and ``segment_score`` (N, S) float32, where column k - 1 describes segment k. S is the same in
    every call of a teacher; columns without a segment have class -1. ``notes`` are facts of the panorama as a whole, which only
    who sees all of it in one call can tell, such as ``log_scale``; they go into its receipt.
    """

    name: str
    values: NDArray
    valid: NDArray[np.bool_]
    unit: str
    frame: str = "-"
    confidence: NDArray[np.float32] | None = None
    tables: Mapping[str, NDArray] = field(default_factory=dict)
    notes: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.unit not in UNITS.get(self.name, ()):
            raise ValueError(f"field {self.name!r} cannot have unit {self.unit!r}; known: {UNITS}")
        if self.frame not in FRAMES.get(self.name, ("-",)):
            raise ValueError(f"field {self.name!r} cannot have frame {self.frame!r}; known: {FRAMES.get(self.name, ('-',))}")
        if self.values.shape[:3] != self.valid.shape:
            raise ValueError(f"field {self.name!r}: values {self.values.shape} do not match valid {self.valid.shape}")


def canonical(one: Field, cameras: Sequence[View]) -> Field:
    """The same field in the frame that all later stages use: radial depth, world normals that face the camera.

    Parameters
    ----------
    one : Field
        Over N patches.
    cameras : N cameras, of the patches' size

    Returns
    -------
    Field
        Pixels that are not finite (or not positive, for distances) are marked invalid and set to zero.
    """
    if one.name == "depth":
        return _radial(one, cameras)
    if one.name == "normals":
        return _world_normals(one, cameras)
    return one


def concatenate(parts: Sequence[Field]) -> Field:
    """One field over the patches of all parts, in order.

    It has confidence only if all parts have it, and the notes of a part that is the only one. ValueError if the parts' tables are
    not equally wide.
    """
    first = parts[0]
    if len(parts) == 1:
        return first
    if len(widths := {table.shape[1:] for part in parts for table in part.tables.values()}) > 1:
        raise ValueError(
            f"{first.name}: tables must be equally wide in every call of a teacher, got {sorted(widths)}; pad with -1"
        )
    confidences = [part.confidence for part in parts if part.confidence is not None]
    return replace(
        first,
        values=np.concatenate([part.values for part in parts]),
        valid=np.concatenate([part.valid for part in parts]),
        confidence=np.concatenate(confidences) if len(confidences) == len(parts) else None,
        tables={name: np.concatenate([part.tables[name] for part in parts]) for name in first.tables},
        notes={},
    )


def where_observed(one: Field, observed: NDArray[np.bool_]) -> Field:
    """The field where its patches show what was photographed, ``observed`` (N, h, w): elsewhere it is invalid, and zero."""

    def cut(values: NDArray) -> NDArray:
        kept = observed.reshape(*observed.shape, *(1,) * (values.ndim - 3))
        return np.where(kept, values, np.zeros((), values.dtype))

    confidence = None if one.confidence is None else cut(one.confidence)
    return replace(one, values=cut(one.values), valid=one.valid & observed, confidence=confidence)


def spread(one: Field, shown: NDArray[np.bool_]) -> Field:
    """The field over all N views, of one over those that are ``shown`` (N,) alone: the others are invalid, zero, and have -1 in
    their tables."""

    def among(values: NDArray, blank: int) -> NDArray:
        whole = np.full((len(shown), *values.shape[1:]), blank, values.dtype)
        whole[shown] = values
        return whole

    confidence = None if one.confidence is None else among(one.confidence, 0)
    tables = {name: among(table, -1) for name, table in one.tables.items()}
    return replace(one, values=among(one.values, 0), valid=among(one.valid, 0), confidence=confidence, tables=tables)


def _radial(depth: Field, cameras: Sequence[View]) -> Field:
    values = depth.values.astype(np.float32, copy=True)
    if depth.frame == "axis":
        if any(isinstance(camera, Sphere) for camera in cameras):
            raise ValueError("depth along an axis: a view of the whole sphere has none; say distances, in the frame 'ray'")
        for patch, camera in zip(values, cameras, strict=True):
            cos_off_axis = camera.cos_off_axis().astype(np.float32)
            # An inverse distance along the axis is 1 / (r cos), so it is multiplied where a distance is divided.
            patch[:] = patch * cos_off_axis if depth.unit == "inverse" else patch / cos_off_axis
    usable = np.isfinite(values) & ((values > 0) | (depth.unit == "inverse"))
    valid = depth.valid & usable
    values[~valid] = 0
    return replace(depth, values=values, valid=valid, frame="ray")


def _world_normals(normals: Field, cameras: Sequence[View]) -> Field:
    values, valid = np.empty(normals.values.shape, np.float32), np.empty(normals.valid.shape, np.bool_)
    for unit, known, said, usable, camera in zip(values, valid, normals.values, normals.valid, cameras, strict=True):
        with np.errstate(invalid="ignore", over="ignore"):  # what is not finite is not valid
            own = said.astype(np.float32, copy=False)
            if normals.frame == "camera":
                own = to_world(own, camera.matrix.astype(np.float32))
            length, along = _length_and_dot(own, camera.directions().astype(np.float32))
            known[:] = usable & np.isfinite(length) & (length > 1e-6)
            np.copyto(length, 1, where=~known)
            towards = np.where(along > 0, -length, length)
            for channel in range(3):
                np.divide(own[..., channel], towards, out=unit[..., channel])
        unit[~known] = 0
    return replace(normals, values=values, valid=valid, frame="world")


def _length_and_dot(vectors: NDArray[np.float32], others: NDArray[np.float32]) -> tuple[NDArray, NDArray]:
    """Lengths (h, w) of vectors (h, w, 3), and their products with others: reductions over three numbers are slow in numpy."""
    x, y, z = np.moveaxis(vectors, -1, 0)
    across, down, ahead = np.moveaxis(others, -1, 0)
    return np.sqrt(x * x + y * y + z * z), x * across + y * down + z * ahead
