"""What a pipeline's YAML may say: frozen models with every default filled in.

An unknown key, a wrong type or a contradiction is a :class:`ConfigError` that names the key and the fix.
"""

from __future__ import annotations

import difflib
import json
import reprlib
from dataclasses import is_dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeVar, get_type_hints

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainSerializer, ValidationError, model_validator
from pydantic_core import to_jsonable_python

from configs.plain_yaml import MOST_BYTES, parse_yaml
from storage.credentials import MaskedUrl, mask_settings

Degrees = Annotated[float, Field(ge=-360, le=360)]
Identifier = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]


class ConfigError(ValueError):
    """The config cannot be used; the message names each key and its fix."""


def _have_a_json_form(values: dict[str, Any]) -> dict[str, Any]:
    """What is kept in fingerprints and records must be writable as JSON, which knows no infinity and no bytes."""
    try:
        json.dumps(to_jsonable_python(values), allow_nan=False, ensure_ascii=False).encode()
    except (ValueError, TypeError) as error:
        raise ValueError(f"holds what JSON cannot say ({error}); use text, finite numbers, lists and mappings") from error
    return values


PlainSettings = Annotated[dict[str, Any], AfterValidator(_have_a_json_form), PlainSerializer(mask_settings)]


class Settings(BaseModel):
    """Base of all config models: frozen, and closed to unknown keys."""

    # The texts under the fields become the descriptions of the JSON schema, which editors show.
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)


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
    """Folder, glob, bucket URL, or a .csv / .parquet list with a column ``uri``; anything that fsspec opens."""
    truth: MaskedUrl | None = None
    """Data set folder with ``dataset.json`` and ``truth/<item>.npz``, in the layout that ``panolabel scenes`` writes."""
    split: str | None = None
    """Only the panoramas of this split, such as ``test``."""

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


class Cubemap(Settings):
    kind: Literal["cubemap"]
    fov_degrees: float = Field(96.0, ge=90, lt=180)
    """More than 90 makes neighbouring faces overlap."""


class Icosahedron(Settings):
    kind: Literal["icosahedron"]
    fov_degrees: float = Field(90.0, ge=60, lt=180)


class Rings(Settings):
    kind: Literal["rings"]
    pitches_degrees: tuple[Degrees, ...] = (0.0,)
    views_per_ring: int = Field(8, ge=1)
    poles: bool = True
    """Add one view straight up and one straight down."""
    fov_degrees: float = Field(90.0, gt=0, lt=180)


class Random(Settings):
    kind: Literal["random"]
    count: int = Field(32, ge=1)
    seed: int = 0
    """Views differ from item to item: the generator is seeded with this and the item's digest."""
    fov_degrees: tuple[float, float] = (80.0, 120.0)
    pitch_degrees: tuple[Degrees, Degrees] = (-90.0, 90.0)

    @model_validator(mode="after")
    def _ordered(self) -> Random:
        for name in ("fov_degrees", "pitch_degrees"):
            low, high = getattr(self, name)
            if low > high:
                raise ValueError(f"{name}: the range starts above its end ({low} > {high}); swap the two numbers")
        return self


class View(Settings):
    yaw_degrees: Degrees
    pitch_degrees: Degrees
    roll_degrees: Degrees = 0.0
    fov_degrees: float = Field(90.0, gt=0, lt=180)


class ViewList(Settings):
    kind: Literal["list"]
    views: tuple[View, ...] = Field(min_length=1)


Layout = Annotated[Cubemap | Icosahedron | Rings | Random | ViewList, Field(discriminator="kind")]


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
    depth: Literal["single", "blend", "align", "gradient"] = "blend"
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
    """A panorama whose views agree less than this, on average over its tasks, is given up; 0 gives none up."""
    depth_dtype: Literal["float16", "float32"] = "float16"
    """float16 rounds distances by at most 0.05 %."""
    normals_dtype: Literal["int8", "float16"] = "int8"
    """int8 costs 0.2 degrees on average and 0.5 at most; float16 0.003 degrees at twice the bytes or more."""
    instances: Instances = Instances()
    auxiliaries: Annotated[tuple[AuxiliaryName, ...], AfterValidator(lambda names: tuple(sorted(set(names))))] = ()
    """Labels derived from the panorama and its fused labels, and stored with them. None by default: a training loop can derive
    them as it reads, with geometry/auxiliaries.py. See docs/quality.md."""

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


class Runner(Settings):
    """Who does the work: threads of this process, or the workers of a Dask cluster."""

    kind: Literal["threads", "dask"] = "threads"
    cluster: str = "local"
    """For Dask: ``local`` (processes on this machine), ``cuda`` (one worker for each GPU of this machine; needs dask-cuda),
    ``address`` (a cluster that is there already), or ``package.module:Class`` of a Dask cluster."""
    address: str | None = None
    """Scheduler of a cluster that is there already, such as ``tcp://scheduler:8786``."""
    cluster_settings: PlainSettings = Field(default_factory=dict)
    """Arguments of the cluster's class."""
    workers: int = Field(2, ge=1)
    """Blocks in work at the same time; with a cluster of our own, its workers, each doing one block at a time."""
    window: int | None = Field(None, ge=1)
    """Blocks submitted and not finished; by default twice the workers. Bounds the memory of flow and scheduler."""
    gpus_per_block: float | None = Field(None, gt=0)
    """Share of a worker's resource ``GPU`` that a block of a teacher takes (workers started with ``--resources GPU=1``)."""
    recycle: bool = False
    """Restart the cluster's workers between flow runs: a cure for libraries that leak memory."""

    @model_validator(mode="after")
    def _reachable(self) -> Runner:
        if self.kind == "threads" and (self.cluster != "local" or self.address or self.cluster_settings):
            raise ValueError("cluster, address and cluster_settings are for kind: dask; add it, or remove them")
        if self.cluster == "address" and not self.address:
            raise ValueError("address: is required with cluster: address; give the scheduler's, such as tcp://host:8786")
        if self.address and self.cluster != "address":
            raise ValueError(f"address: is given but cluster is {self.cluster!r}; write cluster: address, or remove the address")
        if self.cluster not in ("local", "cuda", "address") and ":" not in self.cluster:
            raise ValueError(f"cluster: must be local, cuda, address or package.module:Class, got {self.cluster!r}")
        return self


class OpenLineage(Settings):
    """Where events of runs go, besides ``<root>/lineage/<run>.ndjson``, which is always written."""

    url: str | None = None
    """Server that takes OpenLineage events over HTTP; its key, if any, comes from the environment: OPENLINEAGE_API_KEY."""
    endpoint: str = "api/v1/lineage"
    namespace: str = Field("panolabel", min_length=1)
    """Namespace of our jobs."""
    timeout_seconds: float = Field(5.0, gt=0, le=60)
    """Longest that one event may take, and that the end of a run waits for events still on their way."""

    @model_validator(mode="after")
    def _no_secrets(self) -> OpenLineage:
        if self.url and not self.url.startswith(("http://", "https://")):
            raise ValueError("url: must start with http:// or https://")
        if self.url and ("@" in self.url or "?" in self.url):
            raise ValueError("url: may hold no user, password or query; put the key into OPENLINEAGE_API_KEY")
        return self


class Execution(Settings):
    """How a run is carried out. Nothing here can change an output, so nothing here enters a fingerprint."""

    runner: Runner = Runner()
    openlineage: OpenLineage = OpenLineage()
    max_quarantined: float = Field(0.5, gt=0, le=1)
    """Share of given-up items, of at least 20 tried in a stage, at which a run stops: a sign of a mistake, not of bad items."""
    keep_patch_labels: bool = True
    """Without, ``panolabel gc`` drops patch labels once the fused block has its receipt, and ``plan`` does not owe them."""
    blocks_per_flow_run: int = Field(1000, ge=1, le=1000)
    """More blocks than this become several flow runs: Prefect slows down with the task runs of one."""
    device: str = "auto"
    """``auto``, ``cpu`` or a torch device such as ``cuda:0``."""
    batch_size: int = Field(8, ge=1)
    """Patches per forward pass of a teacher."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "WARNING"
    pictures: int = Field(8, ge=0)
    """Panoramas shown with pictures in the report."""


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


AnyConfig = TypeVar("AnyConfig", bound=Config)


def load_config(path: str | Path, overrides: dict[str, Any] | None = None) -> Config:
    """Read a YAML file into a :class:`Config`; see :func:`load_config_as`."""
    return load_config_as(Config, path, overrides)


def load_config_as(model: type[AnyConfig], path: str | Path, overrides: dict[str, Any] | None = None) -> AnyConfig:
    """Read a YAML file into a config of that model.

    Parameters
    ----------
    model : Config, or a model derived from it
    path : str or Path
    overrides : dict, optional
        Dotted keys to values, laid over the file: ``{"source.url": "/data"}``.

    Raises
    ------
    ConfigError
        The file is missing, is not YAML, or does not fit the models; every problem is named with its key and the fix.
    """
    data = read_settings(path, overrides)
    if model is Config and "model" in data and "teachers" not in data:
        raise ConfigError(f"config {path}: has a model and no teachers, so it is that of an adaptation; use `panolabel adapt`")
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise ConfigError(f"config {path}:\n{explain(error, data, model)}") from error


def validated(data: dict[str, Any], overrides: dict[str, Any], what: str) -> Config:
    """Values with overrides laid over them as a :class:`Config`; a ConfigError begins with ``what`` they are."""
    for key, value in overrides.items():
        _lay_over(data, key.split("."), value)
    try:
        return Config.model_validate(data)
    except ValidationError as error:
        raise ConfigError(f"{what}:\n{explain(error, data)}") from error


def read_settings(path: str | Path, overrides: dict[str, Any] | None = None) -> dict[str, Any]:
    """The mapping in a YAML file with overrides laid over it, not validated yet; ConfigError as :func:`load_config`."""
    try:
        with Path(path).open("rb") as file:
            raw = file.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(f"config {path}: cannot be read ({reason}); give the path of a YAML file") from error
    try:
        data = parse_yaml(raw)
    except ValueError as error:
        raise ConfigError(f"config {path}: {error}") from error
    if not isinstance(data, dict):
        raise ConfigError(f"config {path}: must be a mapping of keys to values at the top level")
    for key, value in (overrides or {}).items():
        _lay_over(data, key.split("."), value)
    return data


def explain(error: ValidationError, data: Any, model: type[BaseModel] | None = None) -> str:
    """One indented line for each problem that validating ``data`` as a :class:`Config`, or as ``model``, found."""
    return "\n".join(f"  {_explain(problem, model or Config)}" for problem in error.errors())


def _lay_over(data: dict[str, Any], keys: list[str], value: Any) -> None:
    for key in keys[:-1]:
        nested = data.setdefault(key, {})
        if not isinstance(nested, dict):
            raise ConfigError(f"override {'.'.join(keys)}: {key} is not a mapping in the config")
        data = nested
    data[keys[-1]] = value


def _explain(problem: Any, model: type[BaseModel]) -> str:
    """One line for one pydantic problem: the dotted key, what is wrong, and what to write instead."""
    location = [str(part) for part in problem["loc"]]
    key = ".".join(location) or "config"
    if problem["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        known = _known_keys(location[:-1], model)
        nearest = difflib.get_close_matches(location[-1], known, n=1)
        hint = f"did you mean {nearest[0]!r}?" if nearest else f"known keys here: {', '.join(sorted(known))}"
        return f"{key}: unknown key; {hint}"
    if problem["type"] == "missing":
        return f"{key}: is required; add it"
    if problem["type"] == "value_error":
        return f"{key}: {problem['ctx']['error']}" if location else str(problem["ctx"]["error"])
    return f"{key}: {problem['msg']} (got {_shown(problem['input'])})"


def _shown(value: Any) -> str:
    """A wrong value as a message may show it: short, and without a URL, which may hold a password."""
    text = value if isinstance(value, str) else reprlib.repr(value)
    return f"{type(value).__name__} with a URL" if "://" in text else reprlib.repr(value)


def _known_keys(location: list[str], model: type[BaseModel]) -> list[str]:
    """Names of the fields that may stand at a place in the config, found by walking the models."""
    models: list[type] = [model]
    for part in location:
        if part.isdigit():
            continue
        fields = [_fields(one) for one in models]
        inner = [_inner_models(known[part]) for known in fields if part in known]
        tagged = [one for one, known in zip(models, fields) if "kind" in known and part in str(known["kind"])]
        models = [one for group in inner for one in group] or tagged or models
    return sorted({name for one in models for name in _fields(one)})


def _fields(model: type) -> dict[str, Any]:
    """Names and types of the fields of a model or dataclass."""
    if issubclass(model, BaseModel):
        return {name: field.annotation for name, field in model.model_fields.items()}
    return get_type_hints(model)


def _inner_models(annotation: Any) -> list[type]:
    if isinstance(annotation, type) and (issubclass(annotation, BaseModel) or is_dataclass(annotation)):
        return [annotation]
    return [model for argument in getattr(annotation, "__args__", ()) for model in _inner_models(argument)]
