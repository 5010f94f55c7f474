"""Patch labels of one panorama to ERP labels: ``fuse`` takes canonical fields over its views and returns named ERP arrays.

Every view's say at an ERP pixel is its geometric weight (off-axis angle, distance to the patch edge) times the teacher's
confidence, at the nearest patch pixel; how values are combined is each field's own business.

| name                                        | array (H, W)      | meaning                                          |
|---------------------------------------------|-------------------|--------------------------------------------------|
| `views`                                     | uint8             | views that look there, of the first of these     |
| `depth`                                     | float32           | radial distance, in the unit of the field        |
| `normals`                                   | (H, W, 3) float32 | unit vectors in the world frame                  |
| `semantics`, `semantics_runner_up`          | uint8 or uint16   | the two classes with the most votes              |
| `sky`                                       | bool              | from its field or else from ``sky_class``        |
| `*_valid` of the first three                | bool              | what is not valid is zero; no surface in the sky |
| `*_consistency` of the first three          | uint8             | how far views agree, 0 where fewer than two say  |
| `normals_agreement`, `semantics_confidence` | uint8             | length of the mean normal, share of the votes    |
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from geometry.fields import Field
from geometry.fusion.alignment import aligned_distance
from geometry.fusion.bends import straightened
from geometry.fusion.consistency import MIN_RIVALRY, TINY, angle_consistency, as_bytes, pair_angle, rivalry
from geometry.fusion.depth import fuse_depth, strongest_view
from geometry.fusion.gradient import gradient_correction
from geometry.fusion.normals import normal_correction
from geometry.fusion.semantics import fuse_semantics
from geometry.fusion.sharpening import sharpened
from geometry.fusion.sky import OF_LAND, fused_sky, without_sky
from geometry.fusion.sums import all_finite, combined_weights, in_threads, pack_all, sum_band
from geometry.looks import Look, looks_of
from geometry.resampling.backproject import Band, by_band
from geometry.spheres import View

FloatArray = NDArray[np.float32]
COUNTED = ("depth", "normals", "semantics", "sky")
"""Fields whose views are counted, the first that there is."""
ON_ONE_SCALE = ("metre", "shared")
"""Units of depth whose views have one scale already."""
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
    fields: Mapping[str, Field],
    cameras: Sequence[View] | Mapping[str, Sequence[View]],
    height: int,
    width: int,
    settings: FusionSettings,
    observed: NDArray[np.bool_] | None = None,
) -> dict[str, NDArray]:
    """Fuse the fields of one panorama.

    Parameters
    ----------
    fields : mapping of name to canonical Field
        Over views of one panorama. ``instances`` are not fused here.
    cameras : N cameras, of the patches' size
        Or by the name of each field its own: geometry may come from six faces, and classes from twenty other views.
    height, width : int
        Size of the ERP image.
    settings : FusionSettings
    observed : (height, width) bool, optional
        Directions that were photographed; no view looks anywhere else. All by default.

    Returns
    -------
    dict of (height, width[, 3]) arrays
        See the module's table; ``views``, and the labels of each field that is present, and ``sky``.

    Raises
    ------
    ValueError
        If there are no cameras, a field does not match them, or it is not canonical.
    """
    looks = looks_of(fields, cameras, (height, width), settings.off_axis_power, settings.edge_feather, observed)
    for name, one in fields.items():
        _check(one, looks[name].cameras)
    counted = next((looks[name] for name in COUNTED if name in fields), next(iter(looks.values())))
    out: dict[str, NDArray] = {"views": counted.count()}
    said = _semantics(fields["semantics"], looks["semantics"], settings) if "semantics" in fields else {}
    sky = fused_sky(fields, said, looks, settings.sky_class)
    land = without_sky(fields, settings.sky_class, {name: look.cameras for name, look in looks.items()}, sky.get("sky"))
    if "normals" in fields:
        out |= _normals(land["normals"], looks["normals"], settings)
    out |= said | sky
    if "depth" in fields:
        out |= _depth(land["depth"], fields["depth"].valid, looks["depth"], settings, out.get("sky"))
    _clear_sky(out)
    if settings.enforce_normals and {"depth", "normals"} <= fields.keys():
        out["depth"] = enforced(out, settings.depth_edge)
    return out


def _clear_sky(labels: Mapping[str, NDArray]) -> None:
    """Nothing is known of surfaces in the sky, where it is known."""
    if "sky" in labels:
        for name in (name for name in labels if name.startswith(OF_LAND)):
            labels[name][labels["sky"]] = 0


def enforced(labels: Mapping[str, NDArray], depth_edge: float) -> FloatArray:
    """Depth (H, W) of fused labels whose surfaces face as their normals say, the more so the better views agree on these."""
    agreement = labels["normals_agreement"].astype(np.float32) / np.float32(255)
    depth: FloatArray = labels["depth"]
    return depth * normal_correction(depth, labels["depth_valid"], labels["normals"], agreement, depth_edge)


def _check(one: Field, cameras: Sequence[View]) -> None:
    count, *size = one.valid.shape
    if count != len(cameras) or any([camera.height, camera.width] != size for camera in cameras):
        sizes = sorted({(camera.height, camera.width) for camera in cameras})
        raise ValueError(f"field {one.name!r} is {one.valid.shape}, but cameras are {len(cameras)} of (height, width) {sizes}")
    if one.frame in ("axis", "camera"):
        raise ValueError(f"field {one.name!r} is in frame {one.frame!r}: bring it to canonical form first")


def _depth(
    depth: Field,
    said: NDArray[np.bool_],
    look: Look,
    settings: FusionSettings,
    sky: NDArray[np.bool_] | None,
) -> dict[str, NDArray]:
    """``said`` (N, h, w): where there is a distance, be it of the sky, against which edges of land are blurred too."""
    distance, usable = aligned_distance(depth, look.cameras)
    depth_edge = float(np.log1p(settings.depth_edge))
    if settings.depth == "gradient":
        distance = sharpened(distance, usable, depth_edge, said & (distance > 0))
    if settings.depth in ("align", "gradient"):
        distance = straightened(distance, usable, look.cameras, depth.unit in ON_ONE_SCALE)
    weight = combined_weights(usable, depth.confidence, look.geometric)
    fused, valid, consistency = fuse_depth(distance, weight, look.views, depth_edge, settings.consistency_scale)
    if settings.depth == "single":
        fused = strongest_view(distance, weight, look.views)
    if settings.depth == "gradient":
        land = valid if sky is None else valid & ~sky
        fused *= gradient_correction(distance, weight, look.views, fused, land, depth_edge, SCREEN)
    return {"depth": fused, "depth_valid": valid, "depth_consistency": consistency}


def _normals(normals: Field, look: Look, settings: FusionSettings) -> dict[str, NDArray]:
    weight = combined_weights(normals.valid & all_finite(normals.values), normals.confidence, look.geometric)
    height, width = look.size
    unit, valid = np.empty((height, width, 3), np.float32), np.empty((height, width), np.bool_)
    agreement, consistency = np.empty((2, height, width), np.uint8)

    def fuse_band(band: Band) -> None:
        rows, _ = band
        total, squares = sum_band(band, packed, width)
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

    packed = pack_all(normals.values, weight)
    in_threads(fuse_band, by_band(look.views))
    return {"normals": unit, "normals_valid": valid, "normals_agreement": agreement, "normals_consistency": consistency}


def _semantics(semantics: Field, look: Look, settings: FusionSettings) -> dict[str, NDArray]:
    if semantics.confidence is None:
        raise ValueError("semantics need the probability of each of their top classes as confidence")
    usable = semantics.valid & all_finite(semantics.confidence)
    weight = combined_weights(usable, None, look.geometric)
    said = semantics.values, semantics.confidence
    label, share, runner_up, consistency = fuse_semantics(*said, weight, look.views, settings.classes)
    valid = (share > 0) & (share >= settings.min_confidence)
    return {
        "semantics": np.where(valid, label, 0).astype(label.dtype),
        "semantics_valid": valid,
        "semantics_confidence": _to_uint8(share),
        "semantics_consistency": consistency,
        "semantics_runner_up": np.where(valid, runner_up, 0).astype(label.dtype),
    }


def _to_uint8(share: FloatArray) -> NDArray[np.uint8]:
    return (np.clip(share, 0, 1) * 255 + np.float32(0.5)).astype(np.uint8)
