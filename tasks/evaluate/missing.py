"""Panoramas that have truth and no labels: whoever asks how good labels are must not lose them."""

from __future__ import annotations

from collections.abc import Iterator

from storage.items import Item
from storage.records.forgotten import is_forgotten
from storage.rows import ItemRow
from storage.urls import exists
from tasks.evaluate.evaluate import read_truth, truth_url
from tasks.ingest.datasets.reading import truth_files
from tasks.ingest.settings import Source
from tasks.stage.job import BadItem
from tasks.stage.made import Made


def without_labels(made: Made) -> list[str]:
    """Names of the panoramas of a stage ``evaluate`` that were given up, here or anywhere before, and whose truth is there."""
    sources = [labels.origin.settings.source for labels in made.stage.stages("labels")]
    return sorted(name for source in sources for name in _without(made, source))


def _without(made: Made, source: Source) -> Iterator[str]:
    for _, block, receipt in made.blocks:
        rows = zip(block.items, receipt.items, strict=True)
        yield from (item.item for item, row in rows if row.state == "quarantined" and _is_missing(source, item, row))
    yield from (item.item for item in made.given_up if _has_truth(source, item))


def _is_missing(source: Source, item: Item, row: ItemRow) -> bool:
    if is_forgotten(item) or not _has_truth(source, item):
        return False
    return row.inherited or _can_be_read(source, item)


def _can_be_read(source: Source, item: Item) -> bool:
    """Whether a panorama that this very stage gave up has truth that is sound: labels are not to blame for any other."""
    try:
        return bool(read_truth(source, item)[0])
    except BadItem:
        return False


def _has_truth(source: Source, item: Item) -> bool:
    if source.is_data_set:
        return bool(truth_files(source, item.uri))
    return source.truth is not None and exists(truth_url(source, item))
