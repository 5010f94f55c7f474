"""What every training on labels may say, whatever network learns: of which panoramas, how long, and where its figures go."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from configs.places import PlaceField
from configs.settings import ADDED, APART, PlainSettings, Settings
from geometry.resampling.augment import Augmentation
from tasks.train.labels.data import DataSettings
from tasks.train.labels.items import ItemSettings

Count = Annotated[int, Field(ge=1)]


class Tracking(Settings):
    """Where figures go besides ``log.json``; through accelerate's trackers, so by the names that it knows."""

    trackers: tuple[str, ...] = ()
    """``tensorboard``, ``mlflow``, ``aim``, ... and those of ``accelerate.tracking.register_tracker_class``."""
    folder: PlaceField | None = None
    """Local folder of their files; ``logs`` in the root if none is named."""
    settings: PlainSettings = Field(default_factory=dict)
    """By tracker, what it is started with: ``{mlflow: {tracking_uri: ...}}``."""


class TrainOnLabels(Settings):
    """A network that learns from the labels of whole panoramas; kinds add what they are and what their losses count."""

    shares: tuple[Annotated[float, Field(gt=0)], ...] = ()
    """How often the panoramas of each label set come in an epoch, on average; written as ``labels: {fuse: 1.0, indoor: 0.5}``."""
    licences: Annotated[dict[str, str], APART] = Field(default_factory=dict)
    """Of the labels, by the key of their stage; the model card repeats them."""
    split: str = "train"
    held_out: str | Annotated[float, Field(gt=0, lt=1)] | None = "val"
    """Whose labels score the network, for early stopping and the choice of weights: another split, or this share of ``split``,
    chosen by the panoramas' digests and not trained on; null for none."""
    batch: Count = 4
    supervision: str = "confidence"
    """``merged``: every valid pixel counts alike. ``confidence``: by what fusion found."""
    augment: Augmentation = Augmentation()
    steps: Count
    """Of the optimizer, each over ``accumulate`` batches."""
    warmup_steps: int = 0
    accumulate: Count = 1
    clip: float = 1.0
    precision: Literal["no", "bf16", "fp16"] = "no"
    seed: int = 0
    score_every: Count = 1000
    """Steps between scores of the held-out panoramas."""
    patience: Count = 10
    """Scores without a better one after which training ends."""
    processes: Annotated[Count, ADDED] = 1
    """That train together on the machine that holds the stage, each on a GPU of its own where there are several."""
    log_every: Annotated[Count, APART] = 50
    checkpoint_every: Annotated[Count, APART] = 1000
    keep: Annotated[Count, APART] = 2
    """Checkpoints that are kept, the newest."""
    tracking: Annotated[Tracking, APART] = Tracking()
    threads: Annotated[Count, APART] = 4
    """Readers. Changes no batch."""

    def fingerprinted(self, exclude: Any = ()) -> dict[str, Any]:
        """As :meth:`Settings.fingerprinted`; shares that say nothing are left out."""
        said = super().fingerprinted(exclude)
        return said if len(set(self.shares)) > 1 else {name: value for name, value in said.items() if name != "shares"}

    def augmentation(self, held_out: bool) -> Augmentation:
        """How panoramas are changed; those that are held out are not."""
        return Augmentation(roll=False, mirror=False) if held_out else self.augment

    def data_of(self, item: ItemSettings, held_out: bool) -> DataSettings:
        """Which panoramas training takes, or those that are held out."""
        share = self.held_out if isinstance(self.held_out, float) else 0.0
        split = self.held_out if held_out and isinstance(self.held_out, str) else self.split
        digests = (0.0, share or 1.0) if held_out else (share, 1.0)
        return DataSettings(item, self.batch, split, self.seed, threads=self.threads, digests=digests)
