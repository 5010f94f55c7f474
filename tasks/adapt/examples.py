"""Training examples of an adaptation: crops of pseudo-labelled panoramas with objects of the pool pasted in.

Which one comes at a step follows from seed and step alone, so that a training can go on where it stopped.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import count

import numpy as np
from numpy.typing import NDArray

from geometry.instances.boxes import cut
from models.adaptation.crops import crop, random_window
from models.adaptation.mixing import MIXINGS, choose, mix
from models.adaptation.object_pool import PoolObject
from models.adaptation.targets import example_target
from models.seamless.network import Target
from storage.about import common_about
from storage.arrays import BlockReader
from tasks.adapt.arrays import unpack_observed
from tasks.adapt.omni import unpack_labels
from tasks.adapt.settings import AdaptTraining
from tasks.seamless.vocabulary import BRANCHES, things_of
from tasks.stage.grain import blocks_behind
from tasks.stage.job import Job
from tasks.stage.upstream import open_block

OPEN_BLOCKS = 8
"""Blocks whose readers are kept."""


@dataclass(frozen=True)
class Place:
    """Where a panorama's pixels and labels are stored."""

    block: str
    slot: int


class Panoramas:
    """Pixels and pseudo-labels of all panoramas of a data set, read from the store one at a time."""

    def __init__(self, job: Job) -> None:
        self._predicted, self._labelled = job.input("predictions"), job.input("labels")
        self._readers = lru_cache(2 * OPEN_BLOCKS)(self._reader)
        self.places = [
            Place(name, slot)
            for name in blocks_behind(job)
            for slot, row in enumerate(open_block(self._labelled, name)[1].items)
            if row.state == "done"
        ]
        if not self.places:
            raise ValueError("no panorama has pseudo-labels: all were given up, so there is nothing to adapt to")
        self.about = common_about(open_block(self._labelled, name)[1] for name in blocks_behind(job))
        self.things = things_of(self.about)

    def _reader(self, labelled: bool, name: str) -> BlockReader:
        url, receipt = open_block(self._labelled if labelled else self._predicted, name)
        return BlockReader(url, receipt.files)

    def read(self, place: Place) -> tuple[NDArray[np.uint8], dict[str, NDArray]]:
        """Pixels (H, W, 3), and the arrays of the stage ``omni`` with ``observed``, what was photographed."""
        seen = self._readers(False, place.block).item(place.slot, ("pixels", "observed"))
        return seen["pixels"], {**self._readers(True, place.block).item(place.slot), "observed": seen["observed"]}


class Examples:
    """The batches of a training, by step."""

    def __init__(self, panoramas: Panoramas, pool: list[PoolObject], settings: AdaptTraining) -> None:
        self.panoramas, self.pool, self.settings = panoramas, pool, settings

    def batches(self, epoch: int, step: int, rank: int, world: int) -> Iterator[tuple[NDArray[np.uint8], list[Target]]]:
        """The batches from a step on, without end, so there is but one epoch; ``world`` processes take them in turn."""
        return (self.batch(number * world + rank) for number in count(step))

    def batch(self, step: int) -> tuple[NDArray[np.uint8], list[Target]]:
        """Images (B, h, w, 3) uint8 and their targets; every panorama comes once in an epoch, in an order of its own."""
        size, panoramas = self.settings.batch_size, len(self.panoramas.places)
        made = []
        for position in range(step * size, (step + 1) * size):
            epoch, index = divmod(position, panoramas)
            order = np.random.default_rng([self.settings.seed, 1, epoch]).permutation(panoramas)
            generator = np.random.default_rng([self.settings.seed, 2, position])
            made.append(self._example(self.panoramas.places[order[index]], generator))
        return np.stack([image for image, _ in made]), [target for _, target in made]

    def _example(self, place: Place, generator: np.random.Generator) -> tuple[NDArray[np.uint8], Target]:
        settings = self.settings
        pixels, arrays = self.panoramas.read(place)
        window = random_window((pixels.shape[0], pixels.shape[1]), settings.crop, generator)
        labels = [unpack_labels(branch, arrays) for branch in BRANCHES]
        example, uncertain = crop(pixels, arrays["semantics"], labels[0], labels[1], window)
        if settings.mixing != "none":
            mixing = MIXINGS[settings.mixing]
            example = mix(example, choose(self.pool, example, generator, mixing, settings.pasted), generator, mixing)
        blank = ~cut(unpack_observed(arrays), window)
        return example.image, example_target(example, uncertain, self.panoramas.things.start, wrap=False, blank=blank)
