"""What the ``settings`` of the teachers shipped here may say, validated before any weight is read."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

AXES = re.compile(r"[+-][xyz][+-][xyz][+-][xyz]")
DepthUnit = Literal["metre", "scale", "inverse"]


class TeacherModel(BaseModel):
    """Base of all settings: frozen, and closed to unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    batch_size: int | None = Field(None, ge=1)
    """Patches per forward pass; by default all that a call brings. Cannot change what a teacher says."""
    depth_max: float | None = Field(None, gt=0)
    """Depths from here on are invalid; many metric networks put the sky at the end of their range."""
    derive_normals: bool = False
    """Also give normals, derived from the depth."""
    normals_axes: str = "+x+y+z"
    """Where the model's three channels point, in the camera frame (x right, y down, z forward): ``+x-y-z`` for a model
    whose second axis points up and whose third points at the viewer."""

    @model_validator(mode="after")
    def _signed_permutation(self) -> TeacherModel:
        if not AXES.fullmatch(self.normals_axes) or sorted(self.normals_axes[1::2]) != ["x", "y", "z"]:
            raise ValueError(f"normals_axes: {self.normals_axes!r} is not three signed axes; write for example '+x-y-z'")
        return self


class TransformersSettings(TeacherModel):
    """A network whose class is in `transformers`."""

    model: str
    """Hub id, local folder, or ``demo`` for the small network shipped with panolabel."""
    revision: str | None = None
    """Commit of the hub repository; required for hub ids."""
    task: Literal["depth", "normals", "semantics", "panoptic", "instances", "dense"] | None = None
    """What to take from the model; by default all that its architecture gives."""
    depth_unit: DepthUnit | None = None
    """What the numbers of a depth are; needed where the model's config does not tell, and refused where it tells otherwise."""
    input_size: tuple[int, int] | int | None = None
    """Height and width that patches are resized to, instead of the size in ``preprocessor_config.json``; the network must divide
    them."""
    dtype: Literal["float32", "float16", "bfloat16"] = "float32"
    """Precision of the forward pass; the halves run under autocast."""
    classes: tuple[str, ...] | None = None
    """Names of the classes, instead of ``id2label`` in ``config.json``."""
    stuff_classes: tuple[str, ...] | None = None
    """Classes without instances. By default those of ADE20K, COCO and Cityscapes where the vocabulary is theirs."""
    score_threshold: float | None = Field(None, ge=0, le=1)
    """Least class probability of a segment; by default 0.5, and 0.8 for EoMT."""
    mask_threshold: float = Field(0.5, ge=0, le=1)
    """Least probability of a pixel to belong to its segment."""
    overlap_threshold: float = Field(0.8, ge=0, le=1)
    """Least share of a segment's own mask that it must win against the other segments."""


class Output(BaseModel):
    """What one output tensor of a model file means."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    field: Literal["depth", "normals", "semantics"]
    index: int = Field(0, ge=0)
    """Position among the model's outputs."""
    unit: DepthUnit | None = None
    """Of a depth, where it is required: a file does not say what its numbers are."""
    frame: Literal["axis", "ray"] = "axis"
    """Of a depth: along the optical axis, or radial."""
    layout: Literal["nchw", "nhwc"] | None = None
    """By default the input's layout."""
    scores: Literal["logits", "probabilities"] = "logits"
    """Of semantics with one number per class; an output of whole class numbers needs no choice."""
    scale: float = Field(1.0, gt=0)
    """Of a depth: factor from the output's numbers to the unit, after any dequantisation."""

    @model_validator(mode="after")
    def _needs_a_unit(self) -> Output:
        if self.field == "depth" and self.unit is None:
            raise ValueError(
                "output.unit: a model file does not say what its depths are; set it to metre, scale (a distance up to one factor "
                "a view) or inverse (disparity-like)"
            )
        return self


class FileSettings(TeacherModel):
    """A network in one file (ONNX or LiteRT)."""

    file: str
    """Path of the model file."""
    output: Output
    size: tuple[int, int] | int | None = None
    """Height and width of the input; needed only where the file leaves them open."""
    layout: Literal["nchw", "nhwc"]
    """Order of the input's axes."""
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Subtracted from RGB in [0, 1]. An input of unsigned bytes takes the pixels as they are."""
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """Divided by, after the mean."""
    classes: tuple[str, ...] | str | None = None
    """Names of the classes, or the path of a text file with one per line; required for semantics."""

    @model_validator(mode="after")
    def _needs_classes(self) -> FileSettings:
        if self.output.field == "semantics" and self.classes is None:
            raise ValueError("classes: is required for semantics; give a list of names or a text file with one per line")
        return self


class OnnxSettings(FileSettings):
    """A network in an ``.onnx`` file."""

    layout: Literal["nchw", "nhwc"] = "nchw"


class LitertSettings(FileSettings):
    """A network in a ``.tflite`` file."""

    layout: Literal["nchw", "nhwc"] = "nhwc"


Model = TypeVar("Model", bound=BaseModel)


def parse(model: type[Model], settings: Mapping[str, Any], kind: str) -> Model:
    """Settings of a teacher of ``kind`` as their model.

    Raises
    ------
    ValueError
        Names every offending key, what is wrong with it, and the fix.
    """
    try:
        return model.model_validate(dict(settings))
    except ValidationError as error:
        problems = "; ".join(_explain(problem, model) for problem in error.errors())
        raise ValueError(f"settings of a teacher of kind {kind!r}: {problems}") from error


def _explain(problem: Any, model: type[BaseModel]) -> str:
    key = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        known = sorted(Output.model_fields if len(problem["loc"]) > 1 else model.model_fields)
        nearest = difflib.get_close_matches(str(problem["loc"][-1]), known, n=1)
        return f"{key}: unknown key; " + (f"did you mean {nearest[0]!r}?" if nearest else f"known: {', '.join(known)}")
    if problem["type"] == "missing":
        return f"{key}: is required; add it"
    if problem["type"] == "value_error":
        return str(problem["ctx"]["error"])
    return f"{key}: {problem['msg']} (got {problem['input']!r})"
