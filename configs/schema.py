"""What a pipeline's YAML may say: frozen models with every default filled in.

An unknown key, a wrong type or a contradiction is a ``ConfigError`` that names the key and the fix: configs/reading.py.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from configs.execution import Execution
from configs.layouts import Icosahedron, Layout
from configs.settings import APART, Identifier, PlainSettings, Settings
from storage.credentials import MaskedUrl

DataSetKind = Literal[
    "cityscapes", "densepass", "matterport3d360", "panoinfinigen", "replica360_4k", "stanford2d3ds", "structured3d", "zuripano"
]


def _allow_root(schema: dict[str, Any]) -> None:
    """In the JSON schema ``root`` may stand for ``url``."""
    schema["properties"]["root"] = {"description": "Folder or bucket URL of a data set.", "type": "string"}
    schema["required"] = [key for key in schema["required"] if key != "url"]
    schema["anyOf"] = [{"required": ["url"]}, {"required": ["root"]}]


class Source(Settings):
    """Where panoramas come from, and the truth to compare with where there is any.

    Public data sets have a ``kind`` and a ``root``: ``{kind: structured3d, root: /data/Structured3D, split: test}``.
    """

    model_config = ConfigDict(json_schema_extra=_allow_root)

    kind: Literal["files", DataSetKind] = "files"
    """``files``, or a public data set, whose layout and truth are known: docs/datasets.md."""
    url: MaskedUrl
    """Folder, glob, bucket URL, or a list with a column ``uri`` (.csv, .tsv, .parquet, .jsonl); anything that fsspec opens."""
    truth: MaskedUrl | None = None
    """Data set folder with ``dataset.json`` and ``truth/<item>.npz``, in the layout that ``panolabel scenes`` writes."""
    split: str | None = None
    """Only the panoramas of this split, such as ``test``."""
    allow: Annotated[tuple[str, ...], APART] = ()
    """Folders outside the source to which its links, and the rows of its list, may lead too, such as ``[/data]``."""

    @model_validator(mode="before")
    @classmethod
    def _root_is_url(cls, values: Any) -> Any:
        """A data set's ``root`` is its ``url``, which replaces it where both are given, as ``--source`` does."""
        if not isinstance(values, dict) or values.get("kind", "files") == "files":
            return values
        if values.get("truth") is not None:
            raise ValueError("truth: a data set brings its own; remove it, or write kind: files")
        if "root" not in values and "url" not in values:
            raise ValueError("root: is required for a data set; give its folder or bucket URL")
        root = values.get("root")
        return {"url": root, **{key: value for key, value in values.items() if key != "root"}}


class Ingest(Settings):
    """Which files count as panoramas and how their pixels are read."""

    aspect_tolerance: float = Field(0.01, ge=0, lt=0.5)
    """Largest relative deviation of width / height from 2."""
    min_width: int = Field(64, ge=2)
    max_megapixels: float = Field(160.0, gt=0)
    """Larger images are quarantined: a guard against decompression bombs. A 16k panorama has 134 megapixels."""
    middle_grey: float = Field(0.18, gt=0, lt=1)
    """Linear value that the log-average of a high-dynamic-range image is exposed to before tone mapping."""
    # Which files are given up, and nothing of how pixels are read: ingest.scan compares their figures with what it kept.
    most_seam: Annotated[float, APART] = Field(1.25, ge=0)
    """Left and right edge may differ so much more than neighbouring columns. What exceeds this and ``most_poles`` is refused."""
    most_poles: Annotated[float, APART] = Field(0.4, ge=0)
    """The first and last row may vary by so much of what a typical row does; at the poles a panorama hardly does."""
    most_halves: Annotated[float, APART] = Field(0.8, ge=0)
    """Correlation from which two halves are a stereo pair; 1 refuses none."""
    least_corners: Annotated[float, APART] = Field(0.15, ge=0)
    """Spread outside of two circles, relative to that in them, below which two lenses were not stitched; 0 refuses none."""
    rehash: Annotated[bool, APART] = False
    """Read every file anew and compare digests, where a store does not tell when its files change."""


class Project(Settings):
    """Which perspective views are cut from each panorama."""

    layout: Layout = Icosahedron(kind="icosahedron")
    patch_size: int = Field(504, ge=16, le=4096)
    """Side of the square patches in pixels."""
    antialias: bool = True
    """Prefilter where a patch is coarser than the panorama; without it fine texture aliases."""
    keep_pixels: bool = False
    """Store the patches too; by default ``label`` cuts them again, which is cheaper than keeping them."""


FieldName = Literal["depth", "normals", "semantics", "sky", "instances"]
AuxiliaryName = Literal["points", "image_gradient", "edge_distance"]


class TeacherSettings(Settings):
    """One frozen perspective model. ``settings`` belong to its kind; see docs/add-a-teacher.md."""

    name: Identifier
    kind: str
    """``transformers``, ``onnx``, ``litert``, ``scenes``, or ``package.module:function`` of your own."""
    fields: tuple[FieldName, ...] = Field(min_length=1)
    settings: PlainSettings = Field(default_factory=dict)


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


class Prediction(Settings):
    """A student of ``panolabel train`` that says all labels at once, in the place of teachers and views."""

    model: str = Field(min_length=1)
    """Its folder or URL, as ``panolabel train`` names it at its end."""
    height: int | None = Field(None, ge=16, le=8192)
    """Rows at which it sees panoramas, and of its labels; by default those that it was trained at."""


class Label(Settings):
    """How often teachers are asked."""

    rotations: int = Field(0, ge=0, le=7)
    """Further times that every panorama is labelled, through the same views turned by a yaw. The fused labels use all of them,
    and how far they agree is stored. Each takes as long as labelling once."""


class Fuse(Settings):
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
    depth_dtype: Literal["float16", "float32"] = "float16"
    """float16 rounds distances by at most 0.05 %."""
    normals_dtype: Literal["int8", "float16"] = "int8"
    """int8 costs 0.2 degrees on average and 0.5 at most; float16 0.003 degrees at twice the bytes or more."""
    instances: Instances = Instances()
    auxiliaries: Annotated[tuple[AuxiliaryName, ...], AfterValidator(lambda names: tuple(sorted(set(names))))] = ()
    """Labels derived from the panorama and its fused labels, and stored with them. None by default: a training loop can derive
    them as it reads, with geometry/surfaces/auxiliaries.py. See docs/quality.md."""

    @model_validator(mode="after")
    def _even(self) -> Fuse:
        if self.height % 2:
            raise ValueError(f"height must be even so that the poles join, got {self.height}; use {self.height + 1}")
        return self


class Evaluate(Settings):
    """Which figures the report shows."""

    protocol: str = "panolabel"
    """Name of an evaluation protocol in metrics/protocols.py."""


class Audit(Settings):
    """Where the labels' error comes from, split by direction, distance and class; see docs/fidelity.md."""

    enabled: bool = False
    """Audit in every run. Without, ``panolabel audit`` does it when asked."""
    items: int = Field(8, ge=0)
    """Worst panoramas to show with reasons and pictures."""


class Config(Settings):
    """One pipeline: where it reads, where it keeps its work, and what every stage does."""

    labels: ClassVar[bool] = True
    """Whether its stages end in labels, which teachers or a student give."""

    name: Identifier
    root: MaskedUrl
    """URL of the store that receives manifests, blocks, receipts and reports."""
    source: Source
    block_size: Annotated[int, Field(ge=1, le=512)] = 16
    """Panoramas per block, the unit of work, cache and retry. Applies to items that are new to the store."""
    ingest: Ingest = Ingest()
    project: Project = Project()
    teachers: tuple[TeacherSettings, ...] = ()
    student: Prediction | None = None
    """Predict with a student instead of labelling with teachers."""
    label: Label = Label()
    fuse: Fuse = Fuse()
    evaluate: Evaluate = Evaluate()
    audit: Audit = Audit()
    execution: Execution = Execution()

    @model_validator(mode="after")
    def _teachers_or_student(self) -> Config:
        if self.labels and bool(self.teachers) == bool(self.student):
            fault = "are given, and a student too; remove one of them" if self.student else "is required; add it, or a student"
            raise ValueError(f"teachers: {fault}")
        if self.student and (self.audit.enabled or self.fuse.auxiliaries or self.label.rotations):
            raise ValueError("student: its labels have no views; remove audit.enabled, fuse.auxiliaries and label.rotations")
        return self

    @model_validator(mode="after")
    def _one_teacher_per_field(self) -> Config:
        owner: dict[str, str] = {}
        names: set[str] = set()
        for teacher in self.teachers:
            if teacher.name in names:
                raise ValueError(f"teachers: the name {teacher.name!r} is used twice; give each teacher its own")
            names.add(teacher.name)
            for field in teacher.fields:
                if field in owner:
                    raise ValueError(
                        f"teachers: both {owner[field]!r} and {teacher.name!r} give {field!r}; drop it from the `fields` of one"
                    )
                owner[field] = teacher.name
        if self.fuse.depth_normal == "enforce" and not {"depth", "normals"} <= owner.keys():
            raise ValueError("fuse.depth_normal: 'enforce' needs teachers of depth and of normals; add them, or write measure")
        for name, sources in (("points", {"depth"}), ("edge_distance", {"depth", "semantics", "sky"})):
            if name in self.fuse.auxiliaries and not sources & owner.keys():
                raise ValueError(
                    f"fuse.auxiliaries: {name!r} needs a teacher of {' or '.join(sorted(sources))}; "
                    "add it to the `fields` of one, or drop the auxiliary"
                )
        return self

    @model_validator(mode="after")
    def _shared_store(self) -> Config:
        urls = {"root": self.root, "source.url": self.source.url, "source.truth": self.source.truth or ""}
        for key, url in urls.items():
            if self.execution.runner.kind == "dask" and "memory://" in url:
                raise ValueError(
                    f"{key}: {url!r} lives in the memory of one process, which workers of execution.runner.kind: dask cannot "
                    "see; give a folder or bucket that all of them reach, or write execution.runner.kind: threads"
                )
        return self
