"""How a network is trained: the settings of :mod:`tasks.train.loop`, and what a student's YAML may say of them."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Literal

from models.student.losses import LossSettings


@dataclass(frozen=True)
class LoopSettings:
    """How any network is trained. The rates are those of its learner's groups; see :class:`TrainSettings` for the rest.

    ``average`` None keeps no average: the network ends with the weights of the last step. ``fused`` makes AdamW's step in one
    kernel, which rounds otherwise. ``identity`` is text of all that decides what is learned, if the folder of the checkpoints
    does not tell it: those of another one are refused.
    """

    steps: int
    weight_decay: float
    clip: float
    precision: Literal["no", "bf16", "fp16"] = "no"
    seed: int = 0
    warmup_steps: int = 0
    accumulate: int = 1
    average: float | None = None
    fused: bool = False
    log_every: int = 50
    checkpoint_every: int = 1000
    keep: int = 2
    score_every: int = 1000
    patience: int = 10
    device: str = "auto"
    identity: str = ""


@dataclass(frozen=True)
class TrainSettings:
    """How to train a student; the defaults are those of MTPano's description, except for the average of weights.

    ``steps`` of the optimizer, each over ``accumulate`` batches. The learning rate rises in ``warmup_steps`` and falls as
    (1 - step / steps)^0.9; the backbone stands still for ``frozen_steps``. ``average`` is the decay of the exponential average of
    weights that is scored and kept.
    Every ``score_every`` steps the held-out split is scored; after ``patience`` scores without a better one training ends.
    Every ``cosines_every`` steps the cosines between the gradients of tasks are told, at the cost of a backward pass for each.
    """

    steps: int
    learning_rate: float = 2e-5
    weight_decay: float = 5e-6
    frozen_steps: int = 1000
    warmup_steps: int = 0
    accumulate: int = 1
    clip: float = 1.0
    average: float = 0.999
    precision: Literal["no", "bf16", "fp16"] = "no"
    seed: int = 0
    log_every: int = 50
    checkpoint_every: int = 1000
    keep: int = 2
    score_every: int = 1000
    patience: int = 10
    losses: LossSettings = field(default_factory=LossSettings)
    device: str = "auto"
    cosines_every: int | None = None

    def __post_init__(self) -> None:
        counts = ("steps", "accumulate", "log_every", "checkpoint_every", "keep", "score_every", "patience")
        for name in counts + ("cosines_every",) * (self.cosines_every is not None):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if not 0 <= self.warmup_steps < self.steps:
            raise ValueError(f"warmup_steps must be at least 0 and fewer than the {self.steps} steps, got {self.warmup_steps}")

    def loop(self) -> LoopSettings:
        """What of this is the loop's."""
        shared = {one.name for one in fields(LoopSettings)} & {one.name for one in fields(self)}
        return LoopSettings(**{name: getattr(self, name) for name in shared}, fused=True)
