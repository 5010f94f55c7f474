"""What the training of a student may say: which student, of which labels, and how it is trained.

Its defaults are those of the code that trains: :mod:`tasks.train.settings`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from configs.places import PlaceField
from configs.settings import ADDED, APART, PlainSettings, Settings
from geometry.resampling.augment import Augmentation
from models.student.losses import LossSettings
from tasks.train.labels.auxiliaries import deriving
from tasks.train.labels.data import DataSettings
from tasks.train.labels.items import ItemSettings
from tasks.train.settings import TrainSettings

Count = Annotated[int, Field(ge=1)]


class Tracking(Settings):
    """Where figures go besides ``log.json``; through accelerate's trackers, so by the names that it knows."""

    trackers: tuple[str, ...] = ()
    """``tensorboard``, ``mlflow``, ``aim``, ... and those of ``accelerate.tracking.register_tracker_class``."""
    folder: PlaceField | None = None
    """Local folder of their files; ``logs`` in the root if none is named."""
    settings: PlainSettings = Field(default_factory=dict)
    """By tracker, what it is started with: ``{mlflow: {tracking_uri: ...}}``."""


class TrainStudent(Settings):
    """A student of labels. ``settings`` are those of ``models.student.StudentConfig``; docs/student.md has the table."""

    kind: Literal["student"] = "student"
    shares: tuple[Annotated[float, Field(gt=0)], ...] = ()
    """How often the panoramas of each label set come in an epoch, on average; written as ``labels: {fuse: 1.0, indoor: 0.5}``."""
    licences: Annotated[dict[str, str], APART] = Field(default_factory=dict)
    """Of the labels, by the key of their stage; the model card repeats them."""
    split: str = "train"
    held_out: str | Annotated[float, Field(gt=0, lt=1)] | None = "val"
    """Whose labels score the student, for early stopping and the choice of weights: another split, or this share of ``split``,
    chosen by the panoramas' digests and not trained on; null for none."""
    height: int = Field(512, ge=16, le=4096)
    """Rows at which the student sees panoramas."""
    batch: Count = 4
    tasks: tuple[Literal["depth", "normals", "semantics"], ...] = Field(("depth", "normals", "semantics"), min_length=1)
    supervision: Literal["merged", "confidence", "view", "depth_view"] = "confidence"
    """``merged``: every valid pixel counts alike. ``confidence``: by what fusion found. ``view``: one random patch a step.
    ``depth_view``: depth of one random patch a step and all else merged, as MTPano's description has it."""
    depth_edge: float = Field(0.1, gt=0)
    """Relative jump in distance that counts as an edge, for the auxiliary label of edge distances."""
    augment: Augmentation = Augmentation()
    size: Literal["full", "tiny"] = "full"
    """``tiny`` has a few thousand weights, for CPUs and demos."""
    backbone: str = "dinov2"
    """Kind of the tiny one: dinov2, dinov3_vit, swin, segformer, convnext, pvt_v2. A full one: ``settings.backbone_config``."""
    pretrained: Annotated[PlaceField | None, APART] = None
    """Folder with weights of the backbone, as ``save_pretrained`` writes it; their digest enters the fingerprint."""
    licence: Annotated[str | None, APART] = None
    """Of the pretrained weights, for the model card; by default what the card in their folder says."""
    settings: PlainSettings = Field(default_factory=dict)
    steps: Count
    """Of the optimizer, each over ``accumulate`` batches."""
    learning_rate: float = 2e-5
    """Rises in ``warmup_steps`` and falls as (1 - step / steps)^0.9."""
    weight_decay: float = 5e-6
    frozen_steps: int = 1000
    """Steps for which the backbone stands still."""
    warmup_steps: int = 0
    accumulate: Count = 1
    clip: float = 1.0
    average: float = 0.999
    """Decay of the exponential average of weights that is scored and kept."""
    precision: Literal["no", "bf16", "fp16"] = "no"
    seed: int = 0
    score_every: Count = 1000
    """Steps between scores of the held-out panoramas."""
    patience: Count = 10
    """Scores without a better one after which training ends."""
    losses: LossSettings = Field(default_factory=LossSettings)
    processes: Annotated[Count, ADDED] = 1
    """That train together on the machine that holds the stage, each on a GPU of its own where there are several."""
    log_every: Annotated[Count, APART] = 50
    checkpoint_every: Annotated[Count, APART] = 1000
    keep: Annotated[Count, APART] = 2
    """Checkpoints that are kept, the newest."""
    cosines_every: Annotated[Count | None, APART] = None
    """Steps after which the cosines between the gradients of tasks are told, at the cost of a backward pass for each."""
    tracking: Annotated[Tracking, APART] = Tracking()
    threads: Annotated[Count, APART] = 4
    """Readers. Changes no batch."""

    @model_validator(mode="after")
    def _consistent(self) -> TrainStudent:
        if self.supervision == "depth_view" and "depth" not in self.tasks:
            raise ValueError("supervision: depth_view teaches depth, which is not among the tasks; write merged, or add depth")
        if set_elsewhere := sorted({"id2label", "main_tasks"} & self.settings.keys()):
            raise ValueError(f"settings: {', '.join(set_elsewhere)} follow from the labels and from `tasks`; remove them here")
        if self.size == "full" and "backbone" in self.model_fields_set:
            raise ValueError("backbone: names a tiny one; a full one is described by settings.backbone_config")
        self.training()
        return self

    @property
    def auxiliaries(self) -> bool:
        """Whether the student has the auxiliary heads."""
        return bool(self.settings.get("auxiliaries", True))

    def training(self, device: str = "auto") -> TrainSettings:
        """How it is trained, as :mod:`tasks.train.student.training` takes it."""
        names = TrainSettings.__dataclass_fields__.keys() - {"device"}
        return TrainSettings(**{name: getattr(self, name) for name in names}, device=device)

    def fingerprinted(self, exclude: Any = ()) -> dict[str, Any]:
        """As :meth:`Settings.fingerprinted`; shares that say nothing are left out."""
        said = super().fingerprinted(exclude)
        return said if len(set(self.shares)) > 1 else {name: value for name, value in said.items() if name != "shares"}

    def data_settings(self, held_out: bool = False) -> DataSettings:
        """How the panoramas of training are read, or those that are held out, which are not augmented."""
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
        return DataSettings(item, self.batch, split, self.seed, threads=self.threads, digests=digests)
