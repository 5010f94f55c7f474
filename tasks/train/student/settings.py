"""What the YAML of a training may say: which labels, which student, how it is trained.

It stands beside the pipelines' :mod:`configs.schema`, and is here because its defaults are those of the code that trains.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from configs.reading import explain, read_settings
from configs.settings import ConfigError, Identifier, PlainSettings, Settings
from geometry.resampling.augment import Augmentation
from storage.credentials import MaskedUrl
from tasks.train.labels.data import DataSettings
from tasks.train.labels.items import ItemSettings
from tasks.train.settings import TrainSettings
from tasks.train.student.licences import UNKNOWN

EXECUTION = ("device", "log_every", "checkpoint_every", "keep", "cosines_every")
"""Training settings that cannot change what comes out."""


class LabelSource(Settings):
    """Fused labels to learn from: those of a pipeline."""

    config: str = Field(min_length=1)
    """YAML file of the pipeline that made them."""
    set: PlainSettings = Field(default_factory=dict)
    """Values that replace some of that file, by dotted keys: ``{root: s3://labels/indoor}``."""
    weight: float = Field(1.0, gt=0)
    """How often its panoramas come in an epoch, on average."""
    allow_incomplete: bool = False
    """Train even if some of its blocks are still owed."""
    licence: str = UNKNOWN
    """Of the labels; the model card repeats it."""


class Student(Settings):
    """The network. ``settings`` are those of ``models.student.StudentConfig``; docs/student.md has the table."""

    size: Literal["full", "tiny"] = "full"
    """``tiny`` has a few thousand weights, for CPUs and demos."""
    backbone: str = "dinov2"
    """Kind of the tiny one: dinov2, dinov3_vit, swin, segformer, convnext, pvt_v2. A full one: ``settings.backbone_config``."""
    pretrained: str | None = None
    """Folder with weights of the backbone, as ``save_pretrained`` writes it."""
    licence: str | None = None
    """Of the pretrained weights, for the model card; by default what the card in their folder says."""
    settings: PlainSettings = Field(default_factory=dict)

    @model_validator(mode="after")
    def _named_once(self) -> Student:
        if set_elsewhere := sorted({"id2label", "main_tasks"} & self.settings.keys()):
            raise ValueError(f"settings: {', '.join(set_elsewhere)} follow from the labels and from `tasks`; remove them here")
        if self.size == "full" and "backbone" in self.model_fields_set:
            raise ValueError("backbone: names a tiny one; a full one is described by settings.backbone_config")
        return self


class Tracking(Settings):
    """Where figures go besides ``log.json``; through accelerate's trackers, so by the names that it knows."""

    trackers: tuple[str, ...] = ()
    """``tensorboard``, ``mlflow``, ``aim``, ... and those of ``accelerate.tracking.register_tracker_class``."""
    folder: str | None = None
    """Local folder of their files; ``logs`` in the root if none is named."""
    settings: PlainSettings = Field(default_factory=dict)
    """By tracker, what it is started with: ``{mlflow: {tracking_uri: ...}}``."""


class TrainingConfig(Settings):
    """One training: labels -> student."""

    name: Identifier
    root: MaskedUrl
    """URL of the store that receives the student, its checkpoints, receipt and records."""
    stores: tuple[LabelSource, ...] = Field(min_length=1)
    split: str = "train"
    held_out: str | Annotated[float, Field(gt=0, lt=1)] | None = "val"
    """Whose labels score the student, for early stopping and the choice of weights: another split, or this share of ``split``,
    chosen by the panoramas' digests and not trained on; null for none."""
    height: int = Field(512, ge=16, le=4096)
    """Rows at which the student sees panoramas."""
    batch: int = Field(4, ge=1)
    tasks: tuple[Literal["depth", "normals", "semantics"], ...] = Field(("depth", "normals", "semantics"), min_length=1)
    supervision: Literal["merged", "confidence", "view", "depth_view"] = "confidence"
    """``merged``: every valid pixel counts alike. ``confidence``: by what fusion found. ``view``: one random patch a step.
    ``depth_view``: depth of one random patch a step and all else merged, as MTPano's description has it."""
    depth_edge: float = Field(0.1, gt=0)
    """Relative jump in distance that counts as an edge, for the auxiliary label of edge distances."""
    augment: Augmentation = Augmentation()
    model: Student = Student()
    training: TrainSettings
    tracking: Tracking = Tracking()
    threads: int = Field(4, ge=1)
    """Readers. Changes no batch."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "WARNING"

    @model_validator(mode="after")
    def _views_of_a_task(self) -> TrainingConfig:
        if self.supervision == "depth_view" and "depth" not in self.tasks:
            raise ValueError("supervision: depth_view teaches depth, which is not among the tasks; write merged, or add depth")
        return self

    @property
    def auxiliaries(self) -> bool:
        """Whether the student has the auxiliary heads."""
        return bool(self.model.settings.get("auxiliaries", True))

    def as_settings(self) -> dict[str, Any]:
        """All that can change the student, apart from its labels and pretrained weights, as JSON values."""
        chosen = self.model_dump(
            mode="json", include={"split", "held_out", "height", "batch", "tasks", "supervision", "depth_edge"}
        )
        training = {key: value for key, value in asdict(self.training).items() if key not in EXECUTION}
        model = self.model.model_dump(mode="json", exclude={"pretrained", "licence"})
        return {**chosen, "augment": asdict(self.augment), "model": model, "training": training}

    def data_settings(self, held_out: bool = False) -> DataSettings:
        """How the panoramas of training are read, or those that are held out, which are not augmented."""
        from tasks.train.labels.auxiliaries import deriving

        item = ItemSettings(
            self.height,
            self.tasks,
            confidence=self.supervision in ("confidence", "view"),
            augmentation=Augmentation(roll=False, mirror=False) if held_out else self.augment,
            derive=deriving(self.tasks, self.depth_edge) if self.auxiliaries else dict,
            one_view={"view": self.tasks, "depth_view": ("depth",)}.get(self.supervision, ()),
        )
        share = self.held_out if isinstance(self.held_out, float) else 0.0
        split = self.held_out if held_out and isinstance(self.held_out, str) else self.split
        digests = (0.0, share or 1.0) if held_out else (share, 1.0)
        return DataSettings(item, self.batch, split, self.training.seed, threads=self.threads, digests=digests)


def load_training(path: str | Path, overrides: dict[str, Any] | None = None) -> TrainingConfig:
    """Read a training's YAML; ConfigError names every problem with its key and the fix."""
    data = read_settings(path, overrides)
    try:
        return TrainingConfig.model_validate(data)
    except ValidationError as error:
        raise ConfigError(f"config {path}:\n{explain(error, data, TrainingConfig)}") from error
