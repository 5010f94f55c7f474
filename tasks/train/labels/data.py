"""Batches for training, straight from the label store: shuffled shard by shard, read ahead, the same at every resume.

What a step sees follows from the settings, the epoch and the step alone. So a run that was killed goes on at (epoch, step)
as if nothing had been, whatever the number of reading threads.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from models.student.labels import Label
from storage.about import common_about
from storage.arrays import SHARD_ITEMS
from storage.items import Block, Item
from storage.receipts import Receipt
from tasks.stage.job import BadItem
from tasks.stage.kind import Stage
from tasks.train.ahead import ordered_map
from tasks.train.labels.items import ItemSettings, Place, StoredBlock, nothing, training_item
from tasks.train.labels.views import check_views, patch_blocks
from tasks.train.order import batch_of, epoch_order, steps_in


@dataclass(frozen=True)
class LabelStore:
    """Blocks of labels of one stage, each as its URL, its items and its receipt; ``weight``: how often they come in an epoch."""

    stage: Stage
    blocks: Sequence[tuple[str, Block, Receipt]]
    weight: float = 1.0

    @cached_property
    def about(self) -> Mapping[str, Any]:
        """What all blocks with labels say of them; Contradiction if they do not agree."""
        return common_about(receipt for _, _, receipt in self.blocks)


@dataclass(frozen=True)
class DataSettings:
    """Which panoramas, how many at a time, and how they are read. ``threads`` and ``ahead`` change no batch."""

    item: ItemSettings
    batch_size: int
    split: str = "train"
    seed: int = 0
    window: int = 4
    threads: int = 4
    ahead: int = 2
    """Batches that may be ready before they are asked for."""
    digests: tuple[float, float] = (0.0, 1.0)
    """Of the split, only the panoramas whose digest, as a share of the largest one, lies in this interval."""

    def takes(self, item: Item) -> bool:
        """Whether a panorama belongs to these data."""
        return (item.split or "train") == self.split and self.digests[0] <= int(item.digest[:12], 16) / 16**12 < self.digests[1]


@dataclass(frozen=True)
class Batch:
    """One step's panoramas.

    ``images`` (B, 3, H, W) uint8; ``labels`` by task; ``items`` their names; ``skipped`` says why an item among them could not be
    read: it is black and valid nowhere.
    """

    epoch: int
    step: int
    items: tuple[str, ...]
    images: torch.Tensor
    labels: dict[str, Label]
    skipped: dict[str, str] = field(default_factory=dict)


class TrainingData:
    """The training panoramas of one or several label stores.

    Raises
    ------
    ValueError
        Stores with different classes, a task that no store has, or fewer panoramas of the split than one batch.
    """

    def __init__(self, stores: Sequence[LabelStore], settings: DataSettings) -> None:
        self.settings = settings
        self.classes = _common_classes(stores)
        self._places: list[Place] = []
        self._shards: list[NDArray[np.int64]] = []
        self._weights: list[float] = []
        for store in stores:
            for url, block, receipt in store.blocks:
                self._add(store, url, block, receipt)
        self._check(stores)

    def __len__(self) -> int:
        """Panoramas of the split, each counted once."""
        return len(self._places)

    @property
    def places(self) -> Sequence[Place]:
        """Where they lie."""
        return self._places

    def steps(self, epoch: int, world: int = 1) -> int:
        """Steps of an epoch; with weights that are not whole numbers, epochs differ."""
        return steps_in(self._order(epoch), self.settings.batch_size, world)

    def batches(self, epoch: int, step: int = 0, rank: int = 0, world: int = 1) -> Iterator[Batch]:
        """The batches of an epoch from a step on, for one of ``world`` processes.

        Raises
        ------
        DamagedBlock, StoreError
            Labels cannot be read: training on others instead would go unnoticed.
        """
        order, size = self._order(epoch), self.settings.batch_size
        steps = range(step, steps_in(order, size, world))
        positions = [batch_of(number, size, rank, world) for number in steps]
        jobs = [(epoch, int(position), int(order[position])) for batch in positions for position in batch]
        made = ordered_map(lambda job: self._item(*job), jobs, self.settings.threads, self.settings.ahead * size)
        for number in steps:
            yield self._batch(epoch, number, list(islice(made, size)))

    def _add(self, store: LabelStore, url: str, block: Block, receipt: Receipt) -> None:
        rows = zip(block.items, receipt.items, strict=True)
        slots = [slot for slot, (item, row) in enumerate(rows) if row.state == "done" and self.settings.takes(item)]
        if not slots:
            return
        patches = patch_blocks(store.stage, block.name) if self.settings.item.one_view else None
        stored = StoredBlock(url, receipt.files, patches, len(self.classes), receipt.about.get("depth_unit", ""))
        first = len(self._places)
        self._places += [Place(block.items[slot], store.stage, stored, slot) for slot in slots]
        shard_of = np.array(slots) // SHARD_ITEMS
        self._shards += [first + np.flatnonzero(shard_of == shard) for shard in np.unique(shard_of)]
        self._weights += [store.weight] * len(np.unique(shard_of))

    def _check(self, stores: Sequence[LabelStore]) -> None:
        splits = sorted({item.split or "train" for store in stores for _, block, _ in store.blocks for item in block.items})
        if not self._places:
            low, high = self.settings.digests
            part = "" if (low, high) == (0, 1) else f" between {low:g} and {high:g} of its digests"
            raise ValueError(
                f"no labelled panorama is in the split {self.settings.split!r}{part}; there are: {', '.join(splits) or 'none'}"
            )
        stored = {name for place in self._places for name in place.block.names}
        for task in self.settings.item.tasks:
            if task not in stored:
                raise ValueError(
                    f"no store has labels of {task}, only {', '.join(sorted(stored))}; give a teacher the field, or drop the task"
                )
        for place in {id(place.stage): place for place in self._places}.values():
            check_views(place.block.patches, self.settings.item.one_view)
        if self.steps(0) == 0:
            raise ValueError(
                f"{len(self)} panoramas of the split {self.settings.split!r} do not fill a batch of {self.settings.batch_size}"
            )

    def _order(self, epoch: int) -> NDArray[np.int64]:
        return epoch_order(self._shards, self._weights, self.settings.seed, epoch, self.settings.window)

    def _item(self, epoch: int, position: int, index: int) -> tuple[str, Mapping[str, NDArray[Any]], str]:
        """Name, arrays, and the reason if it could not be read."""
        place = self._places[index]
        generator = np.random.default_rng([self.settings.seed, epoch, position])
        try:
            return place.item.item, training_item(place, self.settings.item, generator), ""
        except BadItem as error:
            return place.item.item, nothing(self.settings.item), str(error)

    def _batch(self, epoch: int, step: int, made: Sequence[tuple[str, Mapping[str, NDArray[Any]], str]]) -> Batch:
        stacked = {name: _stack([arrays[name] for _, arrays, _ in made]) for name in made[0][1]}
        tasks = [name.removesuffix("_valid") for name in stacked if name.endswith("_valid")]
        labels = {task: Label(stacked[task], stacked[f"{task}_valid"], stacked.get(f"{task}_confidence")) for task in tasks}
        skipped = {name: reason for name, _, reason in made if reason}
        return Batch(epoch, step, tuple(name for name, _, _ in made), stacked["image"], labels, skipped)


def _stack(arrays: Sequence[NDArray[Any]]) -> torch.Tensor:
    """(B, C, H, W) of arrays (H, W) or (H, W, C)."""
    whole = np.stack([array[..., None] if array.ndim == 2 else array for array in arrays])
    return torch.from_numpy(np.ascontiguousarray(whole.transpose(0, 3, 1, 2)))


def _common_classes(stores: Sequence[LabelStore]) -> tuple[str, ...]:
    """The classes of all stores that have any."""
    found = {tuple(store.about.get("classes") or ()) for store in stores} - {()}
    if len(found) > 1:
        counts = ", ".join(f"{len(classes)} ({', '.join(classes[:3])}, ...)" for classes in sorted(found))
        raise ValueError(f"the stores have different classes: {counts}; train from stores of one vocabulary")
    return found.pop() if found else ()
