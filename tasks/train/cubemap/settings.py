"""What the training of a cubemap network may say: which network, of which labels, and how it is trained."""

from __future__ import annotations

from dataclasses import fields
from typing import Annotated, Literal

from pydantic import Field, model_validator

from configs.places import PlaceField
from configs.settings import APART, PlainSettings
from models.cubemap.losses import TermWeights
from tasks.train.labels.data import DataSettings
from tasks.train.labels.items import ItemSettings
from tasks.train.labels.settings import Count, TrainOnLabels
from tasks.train.settings import LoopSettings

Task = Literal["depth", "normals", "sky"]


class TrainCubemap(TrainOnLabels):
    """A network that sees the six faces of a panorama at once. ``settings`` are those of
    ``models.cubemap.configuration.CubemapConfig``; docs/panoramic-models.md has the table."""

    kind: Literal["cubemap"] = "cubemap"
    tasks: tuple[Task, ...] | None = Field(None, min_length=1)
    """What it learns; by default what the labels have of depth, normals and sky."""
    scene: Literal["auto", "indoor", "outdoor"] = "auto"
    """Which scale head learns metres. ``auto``: of each panorama the outdoor one where more than 5 % of the labels are sky."""
    supervision: Literal["merged", "confidence"] = "confidence"
    """``merged``: every valid pixel counts alike. ``confidence``: by what fusion found."""
    size: Literal["tiny", "small", "full"] = "small"
    """0.1 or 2.8 million weights, or as many as PaGeR."""
    settings: PlainSettings = Field(default_factory=dict)
    """Laid over the network of that size, such as ``{face_size: 64}``."""
    pretrained: Annotated[PlaceField | None, APART] = None
    """Weights that it starts from: a folder, a hub id with its ``revision``, or ``cubemap``, the one that ships.
    Sizes and conventions are then theirs, their digest enters the fingerprint, and heads that they lack start afresh."""
    revision: Annotated[str | None, APART] = None
    """Commit of a hub id."""
    licence: Annotated[str | None, APART] = None
    """Of the pretrained weights, for the model card; by default what the card beside them says."""
    batch: Count = 2
    """Panoramas a step and process."""
    learning_rate: float = Field(4e-4, gt=0)
    """Of the part that looks. Rises in ``warmup_steps`` and falls as (1 - step / steps)^0.9."""
    head_rate: float = Field(1.0, ge=0)
    """By how much to multiply it for the part that answers."""
    weight_decay: float = Field(0.01, ge=0)
    average: float = Field(0.99, ge=0, lt=1)
    """Decay of the exponential average of weights that is scored and kept."""
    losses: TermWeights = Field(default_factory=TermWeights)

    @model_validator(mode="after")
    def _consistent(self) -> TrainCubemap:
        if set_elsewhere := sorted({"modalities", "conventions"} & self.settings.keys()):
            raise ValueError(f"settings: {', '.join(set_elsewhere)} follow from the labels and from `tasks`; remove them here")
        if self.pretrained is not None and "size" in self.model_fields_set:
            raise ValueError("size: sizes are those of the weights in `pretrained`; remove one of the two")
        if self.tasks is not None and "sky" in self.tasks and "depth" not in self.tasks:
            raise ValueError("tasks: sky reads depth's features; add depth")
        if not 0 <= self.warmup_steps < self.steps:
            raise ValueError(f"warmup_steps must be at least 0 and fewer than the {self.steps} steps, got {self.warmup_steps}")
        return self

    def loop(self, device: str) -> LoopSettings:
        """What of this is the loop's."""
        shared = {one.name for one in fields(LoopSettings)} & type(self).model_fields.keys()
        return LoopSettings(**{name: getattr(self, name) for name in shared}, device=device)

    def data_settings(self, tasks: tuple[str, ...], height: int, held_out: bool = False) -> DataSettings:
        """How the panoramas of training are read, or those that are held out, which are not augmented."""
        item = ItemSettings(height, tasks, confidence=self.supervision == "confidence", augmentation=self.augmentation(held_out))
        return self.data_of(item, held_out)
