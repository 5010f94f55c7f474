"""Patch labels of one panorama to ERP labels: ``fuse`` takes canonical fields over its views and returns named ERP arrays.

Every view's say at an ERP pixel is its geometric weight (off-axis angle, distance to the patch edge) times the teacher's
confidence, at the nearest patch pixel; how values are combined is each field's own business.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from geometry.alignment import aligned_distance
from geometry.alignment_bends import straightened
from geometry.backproject import WORKERS, BackProjection, Band, backprojection, by_band, view_weight
from geometry.cameras import Camera
from geometry.consistency import MIN_RIVALRY, TINY, angle_consistency, as_bytes, pair_angle, rivalry
from geometry.depth_sharpening import sharpened
from geometry.fields import Field
from geometry.fusion_depth import fuse_depth, strongest_view
from geometry.fusion_gradient import gradient_correction
from geometry.fusion_normals import normal_correction
from geometry.fusion_semantics import fuse_semantics

FloatArray = NDArray[np.float32]
_Part = TypeVar("_Part")
SCREEN = 4.0  # per steradian: the gradient's correction reaches half a radian far, the size of a view


@dataclass(frozen=True)
class FusionSettings:
    """How views are combined.

    Parameters
    ----------
    off_axis_power : float
        A view's weight falls with cos(off-axis angle) to this power.
    edge_feather : float
        Fraction of the patch's half-width over which the weight rises from nearly 0 at its edge to 1; 0 for none.
    depth : {"single", "blend", "align", "gradient"}
        The distance of the strongest view; the weighted mean of the views that see one surface; the same after one scale and
        one slow bend per view are fitted over overlaps; the same again from views whose blurred edges were made sharp, less
        the slopes that a change of views put in. A teacher that is not metric gives each view a scale of its own, so its views
        get one scale by every method.
    depth_edge : float
        Relative jump of distance that counts as a depth edge; views that differ by more are not averaged.
    enforce_normals : bool
        Correct the fused depth so that its surfaces face as the fused normals say, where both are given.
    consistency_scale : float
        Standard deviation of log distance at which the consistency has dropped to 1/e.
    normals_threshold : float
        Normals whose agreement (length of the weighted mean) is below this are not valid.
    classes : int
        Size of the vocabulary: semantics are uint8 up to 256 classes, uint16 beyond.
    sky_class : int or None
        Label that means sky, used where there is no sky field.
    min_confidence : float
        Semantics whose share of the votes is below this are not valid.

    Raises
    ------
    ValueError
        If a setting is outside its range.
    """

    off_axis_power: float = 4.0
    edge_feather: float = 0.2
    depth: Literal["single", "blend", "align", "gradient"] = "blend"
    depth_edge: float = 0.1
    enforce_normals: bool = False
    consistency_scale: float = 0.1
    normals_threshold: float = 0.3
    classes: int = 256
    sky_class: int | None = None
    min_confidence: float = 0.0

    def __post_init__(self) -> None:
        if self.depth not in ("single", "blend", "align", "gradient"):
            raise ValueError(f"depth must be single, blend, align or gradient, got {self.depth!r}")
        for name in ("off_axis_power", "edge_feather", "normals_threshold", "min_confidence"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")
        for name in ("depth_edge", "consistency_scale"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")
        if not 1 <= self.classes <= 65536:
            raise ValueError(f"classes must lie in 1..65536, got {self.classes}")


def fuse(
    fields: Mapping[str, Field], cameras: Sequence[Camera], height: int, width: int, settings: FusionSettings
) -> dict[str, NDArray]:
    """Fuse the fields of one panorama.

    Parameters
    ----------
    fields : mapping of name to canonical Field
        Over the N views of one panorama. ``instances`` are not fused here.
    cameras : N cameras, of the patches' size
    height, width : int
        Size of the ERP image.
    settings : FusionSettings

    Returns
    -------
    dict of (height, width[, 3]) arrays
        ``views`` uint8, and for each field that is present: ``depth`` float32, ``depth_valid`` bool, ``depth_consistency``
        uint8; ``normals`` float32, ``normals_valid`` bool, ``normals_agreement`` and ``normals_consistency`` uint8;
        ``semantics`` and ``semantics_runner_up`` uint8 or uint16, ``semantics_valid`` bool, ``semantics_confidence`` and
        ``semantics_consistency`` uint8; ``sky`` bool, from its field or else from ``sky_class``. What is not valid is zero;
        depth and normals are not valid in the sky.

    Raises
    ------
    ValueError
        If there are no cameras, a field does not match them, or it is not canonical.
    """
    if not cameras:
        raise ValueError("fuse needs at least one camera")
    for one in fields.values():
        _check(one, cameras)
    views = [backprojection(camera, height, width) for camera in cameras]
    geometric = [view_weight(camera, settings.off_axis_power, settings.edge_feather) for camera in cameras]
    out: dict[str, NDArray] = {"views": _count_views(views)}
    if "normals" in fields:
        out |= _normals(fields["normals"], views, geometric, settings)
    if "semantics" in fields:
        out |= _semantics(fields["semantics"], views, geometric, settings)
    if "sky" in fields:
        out["sky"] = _sky(fields["sky"], views, geometric)
    elif "semantics" in fields and settings.sky_class is not None:
        out["sky"] = out["semantics_valid"] & (out["semantics"] == settings.sky_class)
    if "depth" in fields:
        out |= _depth(fields["depth"], cameras, views, geometric, settings, out.get("sky"))
    if "sky" in out:
        for name in out:
            if name.startswith(("depth", "normals")):
                out[name][out["sky"]] = 0
    if settings.enforce_normals and {"depth", "normals"} <= fields.keys():
        agreement = out["normals_agreement"].astype(np.float32) / np.float32(255)
        told = out["normals"], agreement
        out["depth"] = out["depth"] * normal_correction(out["depth"], out["depth_valid"], *told, settings.depth_edge)
    return out


def _check(one: Field, cameras: Sequence[Camera]) -> None:
    count, *size = one.valid.shape
    if count != len(cameras) or any([camera.height, camera.width] != size for camera in cameras):
        sizes = sorted({(camera.height, camera.width) for camera in cameras})
        raise ValueError(f"field {one.name!r} is {one.valid.shape}, but cameras are {len(cameras)} of (height, width) {sizes}")
    if one.frame in ("axis", "camera"):
        raise ValueError(f"field {one.name!r} is in frame {one.frame!r}: bring it to canonical form first")


def _count_views(views: Sequence[BackProjection]) -> NDArray[np.uint8]:
    count = np.zeros((views[0].height, views[0].width), np.uint8)
    for view in views:
        for box in view.boxes:
            count[box.rows, box.columns] += view.seen(box)
    return count


def _weights(usable: NDArray[np.bool_], confidence: FloatArray | None, geometric: Sequence[FloatArray]) -> FloatArray:
    """(N, h, w) weights: zero where not usable, or where the confidence is not a positive number."""
    weight = np.zeros(usable.shape, np.float32)

    def weigh(view: int) -> None:
        if confidence is None:
            np.copyto(weight[view], geometric[view], where=usable[view])
        else:
            trusted = usable[view] & np.isfinite(confidence[view]) & (confidence[view] > 0)
            np.multiply(confidence[view], geometric[view], out=weight[view], where=trusted)

    _in_threads(weigh, range(len(usable)))
    return weight


def _in_threads(work: Callable[[_Part], object], parts: Iterable[_Part]) -> None:
    """Views and bands are independent of each other, and numpy lets go of the interpreter while it works."""
    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(work, parts))


def _finite(values: NDArray) -> NDArray[np.bool_]:
    """Whether all of the last axis is finite; one product instead of a slow reduction over few channels."""
    return np.isfinite(values @ np.ones(values.shape[-1], values.dtype))


def _sum_band(band: Band, packed: Sequence[FloatArray], width: int) -> tuple[FloatArray, FloatArray]:
    """Sums over views of nearest values times weight and, in the last channel, of weight, (rows, W, C + 1); of its square."""
    rows, pairs = band
    total = np.zeros((rows.stop - rows.start, width, packed[0].shape[-1]), np.float32)
    squares = np.zeros(total.shape[:2], np.float32)
    for number, box in pairs:
        found = packed[number].take(box.pixel, axis=0, mode="clip")
        found *= box.nearness[..., None]
        total[:, box.columns] += found
        own = np.ascontiguousarray(found[..., -1])
        own *= own
        squares[:, box.columns] += own
    return total, squares


def _pack_all(values: FloatArray, weight: FloatArray) -> list[FloatArray]:
    with ThreadPoolExecutor(WORKERS) as pool:
        return list(pool.map(_pack, values, weight))


def _pack(values: FloatArray, weight: FloatArray) -> FloatArray:
    """(h * w + 1, C + 1) of one view: values times weight, and weight; the last row is "not seen"."""
    channels, own = values.shape[-1], weight.ravel()
    packed, flat = np.empty((own.size + 1, channels + 1), np.float32), values.reshape(-1, channels)
    packed[-1] = 0
    with np.errstate(invalid="ignore"):  # zero times infinity, cleared below
        for k in range(channels):
            np.multiply(flat[:, k], own, out=packed[:-1, k])
    packed[:-1, channels] = own
    if not own.all():
        packed[:-1][own == 0] = 0  # whatever was there, NaN included
    return packed


def _depth(
    depth: Field,
    cameras: Sequence[Camera],
    views: Sequence[BackProjection],
    geometric: Sequence[FloatArray],
    settings: FusionSettings,
    sky: NDArray[np.bool_] | None,
) -> dict[str, NDArray]:
    distance, usable = aligned_distance(depth, cameras)
    depth_edge = float(np.log1p(settings.depth_edge))
    if settings.depth == "gradient":
        distance = sharpened(distance, usable, depth_edge)
    if settings.depth in ("align", "gradient"):
        distance = straightened(distance, usable, cameras)
    weight = _weights(usable, depth.confidence, geometric)
    fused, valid, consistency = fuse_depth(distance, weight, views, depth_edge, settings.consistency_scale)
    if settings.depth == "single":
        fused = strongest_view(distance, weight, views)
    if settings.depth == "gradient":
        land = valid if sky is None else valid & ~sky
        fused *= gradient_correction(distance, weight, views, fused, land, depth_edge, SCREEN)
    return {"depth": fused, "depth_valid": valid, "depth_consistency": consistency}


def _normals(
    normals: Field, views: Sequence[BackProjection], geometric: Sequence[FloatArray], settings: FusionSettings
) -> dict[str, NDArray]:
    weight = _weights(normals.valid & _finite(normals.values), normals.confidence, geometric)
    height, width = views[0].height, views[0].width
    unit, valid = np.empty((height, width, 3), np.float32), np.empty((height, width), np.bool_)
    agreement, consistency = np.empty((2, height, width), np.uint8)

    def fuse_band(band: Band) -> None:
        rows, _ = band
        total, squares = _sum_band(band, packed, width)
        x, y, z, trust = np.ascontiguousarray(np.moveaxis(total, -1, 0))
        length = np.sqrt(x * x + y * y + z * z)
        agree = length / np.maximum(trust, TINY)
        valid[rows] = (trust > 0) & (agree > max(settings.normals_threshold, 1e-6))
        scale = valid[rows] / np.maximum(length, TINY)
        for k, component in enumerate((x, y, z)):
            np.multiply(component, scale, out=unit[rows, :, k])
        agreement[rows] = _to_uint8(agree)
        rivals = rivalry(trust, squares)
        consistency[rows] = as_bytes(angle_consistency(pair_angle(agree, rivals)), rivals >= MIN_RIVALRY)

    packed = _pack_all(normals.values, weight)
    _in_threads(fuse_band, by_band(views))
    return {"normals": unit, "normals_valid": valid, "normals_agreement": agreement, "normals_consistency": consistency}


def _semantics(
    semantics: Field, views: Sequence[BackProjection], geometric: Sequence[FloatArray], settings: FusionSettings
) -> dict[str, NDArray]:
    if semantics.confidence is None:
        raise ValueError("semantics need the probability of each of their top classes as confidence")
    usable = semantics.valid & _finite(semantics.confidence)
    weight = _weights(usable, None, geometric)
    label, share, runner_up, consistency = fuse_semantics(semantics.values, semantics.confidence, weight, views, settings.classes)
    valid = (share > 0) & (share >= settings.min_confidence)
    return {
        "semantics": np.where(valid, label, 0).astype(label.dtype),
        "semantics_valid": valid,
        "semantics_confidence": _to_uint8(share),
        "semantics_consistency": consistency,
        "semantics_runner_up": np.where(valid, runner_up, 0).astype(label.dtype),
    }


def _sky(sky: Field, views: Sequence[BackProjection], geometric: Sequence[FloatArray]) -> NDArray[np.bool_]:
    weight = _weights(sky.valid & np.isfinite(sky.values), None, geometric)
    height, width = views[0].height, views[0].width
    covered = np.empty((height, width), np.bool_)

    def fuse_band(band: Band) -> None:
        total, _ = _sum_band(band, packed, width)
        covered[band[0]] = (total[..., 1] > 0) & (total[..., 0] >= 0.5 * total[..., 1])

    packed = _pack_all(sky.values[..., None], weight)
    _in_threads(fuse_band, by_band(views))
    return covered


def _to_uint8(share: FloatArray) -> NDArray[np.uint8]:
    return (np.clip(share, 0, 1) * 255 + np.float32(0.5)).astype(np.uint8)
