"""What the stages of a labelling may say: which views are cut, who labels them, and how patch labels become ERP labels."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from configs.places import WITH_PLACES
from configs.settings import ADDED, APART, PlainSettings, Settings
from tasks.label.layouts import Icosahedron, Layout


class Project(Settings):
    """Which views are cut from each panorama."""

    layout: Layout = Icosahedron(kind="icosahedron")
    patch_size: int = Field(504, ge=16, le=4096)
    """Side of the square patches in pixels; rows of a view of the whole sphere."""
    antialias: bool = True
    """Prefilter where a patch is coarser than the panorama; without it fine texture aliases."""
    keep_pixels: bool = False
    """Store the patches too; by default ``label`` cuts them again, which is cheaper than keeping them."""


FieldName = Literal["depth", "normals", "semantics", "sky", "instances"]
AuxiliaryName = Literal["points", "image_gradient", "edge_distance"]


class Label(Settings):
    """One teacher: a frozen model. ``settings`` belong to its kind; see docs/add-a-teacher.md."""

    kind: str
    """``transformers``, ``onnx``, ``litert``, ``cubemap``, ``files``, ``scenes``, or ``package.module:function`` of your own."""
    fields: tuple[FieldName, ...] = Field(min_length=1)
    settings: Annotated[PlainSettings, WITH_PLACES] = Field(default_factory=dict)
    """Files and folders in it that begin with ``./`` or ``../`` are those that the config's own file sees."""
    rotations: Annotated[int, Field(ge=0, le=7), APART] = 0
    """Further times that every panorama is labelled, through the same views turned by a yaw. The fused labels use all of them,
    and how far they agree is stored. Each takes as long as labelling once."""
    rotation: Annotated[int, Field(ge=0, le=7), ADDED] = 0
    """Which of these turns a stage is of; ``rotations`` makes one for each."""


class Instances(Settings):
    """How masks of many views become instances of the panorama; looked at only where a teacher gives ``instances``."""

    overlap: Literal["iou", "smaller"] = "iou"
    """Measure of overlap of two masks where both views look: over their union, or over the smaller of them."""
    threshold: float = Field(0.3, gt=0, le=1)
    """Overlap from which masks of different views are one object. Two masks of one patch never are."""
    across_classes: bool = True
    """Whether masks to which views give different classes may be one object, once those of one class are merged."""
    min_support: float = Field(0.5, ge=0, le=1)
    """Share of the views' weight that must see some object where an instance is; others are dropped."""
    min_visible: float = Field(0.6, ge=0, le=1)
    """Share of its mask that an instance must win against others; doubles, which do not, are dropped."""
    things: tuple[str, ...] | None = None
    """Classes that have instances. By default those that the teacher names; if it names none, those of its masks."""
    room: int = Field(1024, ge=1, le=65535)
    """Most instances of a panorama. One with more is quarantined; the room that is not used costs next to nothing."""
    runs: int = Field(256, ge=1)
    """Most runs, for each row of the panorama, of masks of which others hide a part."""


class StoredLabels(Settings):
    """How finely ERP labels are stored, whoever made them."""

    depth_dtype: Literal["float16", "float32"] = "float16"
    """float16 rounds distances by at most 0.05 %."""
    normals_dtype: Literal["int8", "float16"] = "int8"
    """int8 costs 0.2 degrees on average and 0.5 at most; float16 0.003 degrees at twice the bytes or more."""
    storage: Annotated[Literal["exact", "compact"], ADDED] = "exact"
    """``compact`` rounds what is stored further, in the same types: distances in float16 by at most 0.1 %, confidences to 15
    steps, consistencies and agreement to 15 steps of two by two pixels. About half of the bytes; see docs/concepts.md."""

    @property
    def errors(self) -> dict[str, str]:
        """What storing changes in each array, in words for who reads it."""
        compact = self.storage == "compact"
        of_normals = {"int8": "0.2 degrees in the mean, 0.5 at most", "float16": "0.05 degrees at most"}
        found = {"normals": of_normals[self.normals_dtype]}
        if self.depth_dtype == "float16":
            found["depth"] = f"{0.1 if compact else 0.05} % at most"
        if compact:
            found["semantics_confidence"] = "steps of 17, one at least where it is not 0"
            names = ("depth_consistency", "normals_consistency", "semantics_consistency", "normals_agreement")
            found |= dict.fromkeys(names, "means of 2 x 2 pixels in steps of 17, one at least where it is not 0")
        return found


class Fuse(StoredLabels):
    """How patch labels become ERP labels."""

    height: int = Field(1024, ge=8, le=8192)
    """Rows of the fused labels; they are twice as wide."""
    off_axis_power: float = Field(2.0, ge=0)
    """A view's weight falls with this power of the cosine of the off-axis angle."""
    edge_feather: float = Field(0.2, ge=0, le=1)
    """Share of a patch's half-width over which its weight rises from its border inwards."""
    depth: Literal["single", "blend", "align", "gradient"] = "align"
    """``single``: the strongest view. ``blend``: weighted mean within a surface. ``align``: first one scale and one slow bend per
    view, fitted over overlaps. ``gradient``: that from sharpened edges, and the views' own slopes. Views that are not metric
    always get one scale. Costs and figures: docs/quality.md."""
    depth_normal: Literal["measure", "enforce"] = "measure"
    """Where teachers give depth and normals: ``measure`` tells in the receipts how far the two disagree; ``enforce`` first
    corrects the depth, smoothly and without changing its scale, towards the slopes that the normals say. See docs/quality.md."""
    depth_edge: float = Field(0.1, gt=0)
    """Relative jump in distance across which depths never mix."""
    consistency_scale: float = Field(0.1, gt=0)
    """Spread of log distance between views at which consistency has dropped to 1/e."""
    min_consistency: float = Field(0.0, ge=0, le=1)
    """A panorama whose views agree less than this, in the geometric mean over its tasks, is given up; 0 gives none up."""
    instances: Instances = Instances()
    auxiliaries: Annotated[tuple[AuxiliaryName, ...], AfterValidator(lambda names: tuple(sorted(set(names))))] = ()
    """Labels derived from the panorama and its fused labels, and stored with them. None by default: a training loop can derive
    them as it reads, with geometry/surfaces/auxiliaries.py. See docs/quality.md."""

    @model_validator(mode="after")
    def _even(self) -> Fuse:
        if self.height % 2:
            raise ValueError(f"height must be even so that the poles join, got {self.height}; use {self.height + 1}")
        return self
