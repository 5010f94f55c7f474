"""The panoramas that a training on labels takes, and those that it holds out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from configs.settings import ConfigError
from tasks.train.labels.data import Batch, DataSettings, LabelStore, TrainingData

MOST_SKIPPED = 0.5
"""Share of panoramas that may be unreadable before training stops: more is a mistake, not bad files."""


class NotedData(TrainingData):
    """Training data that remember which panoramas could not be read."""

    def __init__(self, stores: Sequence[LabelStore], settings: DataSettings) -> None:
        super().__init__(stores, settings)
        self.skipped: dict[str, str] = {}

    def batches(self, epoch: int, step: int = 0, rank: int = 0, world: int = 1) -> Iterator[Batch]:
        for batch in super().batches(epoch, step, rank, world):
            self.skipped |= batch.skipped
            if len(self.skipped) > MOST_SKIPPED * len(self):
                name, reason = next(iter(self.skipped.items()))
                raise ValueError(f"{len(self.skipped)} of {len(self)} panoramas cannot be read; {name}: {reason}")
            yield batch


def held_out_data(stores: Sequence[LabelStore], settings: DataSettings) -> TrainingData:
    """The panoramas that are held out, in batches that they fill; ConfigError says what to write where there are none."""
    size = min(settings.batch_size, max(panoramas(stores, settings), 1))
    try:
        return TrainingData(stores, replace(settings, batch_size=size))
    except ValueError as error:
        raise ConfigError(
            f"held_out: {error}; name another split, or a larger share of split, or write held_out: null to train without scores"
        ) from error


def panoramas(stores: Sequence[LabelStore], settings: DataSettings) -> int:
    """Labelled panoramas that belong to these data."""
    rows = (
        (item, row) for store in stores for _, block, receipt in store.blocks for item, row in zip(block.items, receipt.items)
    )
    return sum(row.state == "done" and settings.takes(item) for item, row in rows)
