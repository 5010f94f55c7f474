"""Batches of crops of labelled pinhole images: which ones a step sees follows from seed and step alone."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.seamless.learner import Crops
from models.seamless.network import Target
from tasks.ingest.entries import SourceError
from tasks.seamless.reading import SeamlessData
from tasks.stage.job import BadItem
from tasks.train.ahead import ordered_map
from tasks.train.order import batch_of, epoch_order, steps_in
from tasks.train.seamless.crops import training_crop
from tasks.train.seamless.settings import TrainSeamless


@dataclass(frozen=True)
class PinholeCrops:
    """The batches of a source training, in one long epoch."""

    data: SeamlessData
    config: TrainSeamless

    def batches(self, epoch: int, step: int, rank: int, world: int) -> Iterator[Crops]:
        """This process's batch of every step from one on, a few of them read ahead.

        Raises
        ------
        SourceError
            No image can be read with its labels.
        """
        steps = range(step, self.config.steps)
        return ordered_map(lambda number: self._batch(number, rank, world), steps, self.config.threads, self.config.threads)

    def _batch(self, step: int, rank: int, world: int) -> Crops:
        size, seed = self.config.batch_size, self.config.seed
        everything = np.arange(len(self.data))
        rounds = max(1, -(-size * world // len(everything)))  # a small data set comes more than once in a batch
        per_epoch = steps_in(np.tile(everything, rounds), size, world)
        epoch, place = divmod(step, per_epoch)
        order = np.concatenate([epoch_order([everything], [1.0], seed, epoch * rounds + turn, 1) for turn in range(rounds)])
        examples = [self._example(order, position, step) for position in batch_of(place, size, rank, world)]
        return np.stack([pixels for pixels, _ in examples]), [target for _, target in examples]

    def _example(self, order: NDArray[np.int64], position: int, step: int) -> tuple[NDArray[np.uint8], Target]:
        """A crop of the image at a position, or of the next one that can be read."""
        for index in np.roll(order, -position):
            try:
                image, truth = self.data.labelled(int(index))
            except BadItem as error:
                warnings.warn(f"{error}; learning from the next one instead", stacklevel=2)
                continue
            generator = np.random.default_rng([self.config.seed, step, position])
            return training_crop(image, truth, self.config.crop, generator)
        raise SourceError(f"{self.data.root}: no image can be read with its labels; the warnings say why")
