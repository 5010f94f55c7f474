"""What the training of a student may say: which student, of which labels, and how it is trained.

Its defaults are those of the code that trains: :mod:`tasks.train.settings`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from configs.places import PlaceField
from configs.settings import APART, PlainSettings
from models.student.losses import LossSettings
from tasks.train.labels.auxiliaries import deriving
from tasks.train.labels.data import DataSettings
from tasks.train.labels.items import ItemSettings
from tasks.train.labels.settings import Count, TrainOnLabels
from tasks.train.settings import TrainSettings


class TrainStudent(TrainOnLabels):
    """A student of labels. ``settings`` are those of ``models.student.StudentConfig``; docs/student.md has the table."""

    kind: Literal["student"] = "student"
    height: int = Field(512, ge=16, le=4096)
    """Rows at which the student sees panoramas."""
    tasks: tuple[Literal["depth", "normals", "semantics"], ...] = Field(("depth", "normals", "semantics"), min_length=1)
    supervision: Literal["merged", "confidence", "view", "depth_view"] = "confidence"
    """``merged``: every valid pixel counts alike. ``confidence``: by what fusion found. ``view``: one random patch a step.
    ``depth_view``: depth of one random patch a step and all else merged, as MTPano's description has it."""
    depth_edge: float = Field(0.1, gt=0)
    """Relative jump in distance that counts as an edge, for the auxiliary label of edge distances."""
    size: Literal["full", "tiny"] = "full"
    """``tiny`` has a few thousand weights, for CPUs and demos."""
    backbone: str = "dinov2"
    """Kind of the tiny one: dinov2, dinov3_vit, swin, segformer, convnext, pvt_v2. A full one: ``settings.backbone_config``."""
    pretrained: Annotated[PlaceField | None, APART] = None
    """Folder with weights of the backbone, as ``save_pretrained`` writes it; their digest enters the fingerprint."""
    licence: Annotated[str | None, APART] = None
    """Of the pretrained weights, for the model card; by default what the card in their folder says."""
    settings: PlainSettings = Field(default_factory=dict)
    learning_rate: float = 2e-5
    """Rises in ``warmup_steps`` and falls as (1 - step / steps)^0.9."""
    weight_decay: float = 5e-6
    frozen_steps: int = 1000
    """Steps for which the backbone stands still."""
    average: float = 0.999
    """Decay of the exponential average of weights that is scored and kept."""
    losses: LossSettings = Field(default_factory=LossSettings)
    cosines_every: Annotated[Count | None, APART] = None
    """Steps after which the cosines between the gradients of tasks are told, at the cost of a backward pass for each."""

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

    def data_settings(self, held_out: bool = False) -> DataSettings:
        """How the panoramas of training are read, or those that are held out, which are not augmented."""
        item = ItemSettings(
            self.height,
            self.tasks,
            confidence=self.supervision in ("confidence", "view"),
            augmentation=self.augmentation(held_out),
            derive=deriving(self.tasks, self.depth_edge) if self.auxiliaries else dict,
            one_view={"view": self.tasks, "depth_view": ("depth",)}.get(self.supervision, ()),
        )
        return self.data_of(item, held_out)
