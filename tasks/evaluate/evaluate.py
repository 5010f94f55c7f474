"""evaluate: labels (+ ground truth where there is any) -> figures. Kept in the receipts; the report adds them up."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from configs.settings import ConfigError
from metrics.pager import is_pagers, pager_figures
from metrics.panorama import evaluate_item, other_figures
from metrics.protocols import asked_for, for_unit, protocol_named
from metrics.side_by_side import protocol_rows
from metrics.summary import summarise
from storage.fingerprint import digest
from storage.items import Item
from storage.receipts import Receipt
from storage.rows import ItemRow
from storage.urls import exists, join, read_bytes
from tasks.evaluate.settings import Evaluate as Settings
from tasks.ingest.datasets import DATA_SETS
from tasks.ingest.datasets.reading import read_data_set_truth, truth_files
from tasks.ingest.observed import Observed, read_observed
from tasks.ingest.panorama import DECODED
from tasks.ingest.settings import Source
from tasks.ingest.videos.cut_names import name_in_video
from tasks.label.fuse import decode_labels
from tasks.stage.block import run_block
from tasks.stage.job import BadItem, Job, Output
from tasks.stage.kind import Edge, Facts, Inputs, Kind, stages_of
from tasks.stage.reuse.copying import Holds
from tasks.stage.upstream import Upstream

VERSION = "4"
Digests = str | dict[str, str]
TRUTH: dict[str, tuple[int, ...]] = {"depth": (), "normals": (3,), "semantics": (), "instances": (), "sky": ()}
"""Arrays of a truth file -> their axes after (H, W)."""


def _says(settings: Settings, inputs: Inputs) -> dict[str, Any]:
    """Truth files count as immutable, and their digests are recorded item by item."""
    (labels,) = stages_of(inputs, "labels")
    return {**settings.fingerprinted(), "truth": truth_of(labels.origin.settings.source)}


def truth_facts(_settings: Any, inputs: Inputs) -> Facts:
    """The facts of a kind that reads what was photographed of a panorama and, by its name, its truth where there is any."""
    (labels,) = stages_of(inputs, "labels")
    return DECODED if truth_of(labels.origin.settings.source) is None else ("name", *DECODED)


KIND = Kind(
    "evaluate",
    VERSION,
    Settings,
    {"labels": Edge("labels")},
    "figures",
    make="tasks.evaluate.evaluate:evaluate_block",
    says=_says,
    facts=truth_facts,
    shows="tasks.evaluate.shown:shows",
    summary="tasks.evaluate.shown:summary",
)


def truth_of(source: Source) -> str | None:
    """Where the truth comes from, as written and without secrets; None where there is none."""
    said: dict[str, str | None] = source.model_dump()
    return f"{said['kind']} {said['url']}" if source.is_data_set else said["truth"]


def evaluate_block(job: Job) -> Receipt:
    """Figures for every fused panorama of a block, by the configured protocol; of further ones what they show."""
    fused, source = Upstream(job, job.input("labels")), job.source
    asked, unit = job.settings.protocols, fused.receipt.about.get("depth_unit", "")
    protocol, *others = (for_unit(protocol_named(name), unit) for name in asked)
    label_classes = fused.receipt.about["classes"]
    truth_classes, things = read_truth_classes(source), read_truth_things(source)

    def read(slot: int, item: Item) -> tuple[dict[str, NDArray], dict[str, NDArray], Digests, Observed]:
        labels = decode_labels(fused.item(slot))
        return labels, *read_truth(source, item), read_observed(item, job.panoramas, len(labels["views"]))

    def evaluate_one(_item: Item, inputs: tuple[dict[str, NDArray], dict[str, NDArray], Digests, Observed]) -> Output:
        labels, truth, truth_digest, observed = inputs
        figures = evaluate_item(labels, truth, label_classes, truth_classes, protocol, things, observed)
        if others:
            figures["protocols"] = other_figures(labels, truth, dict(zip(asked[1:], others)), observed)
        return Output(figures={**figures, "truth": truth_digest})

    about = {"protocol": protocol.name, "classes": label_classes, "truth_classes": truth_classes}
    if others:
        about["protocols"] = [protocol.name, *(one.name for one in others)]
    return run_block(job, evaluate_one, about, read=read, holds=has_its_truth(source))


def read_truth_classes(source: Source) -> list[str]:
    """The vocabulary of the truth's labels; empty where there is no truth."""
    if source.is_data_set:
        return list(DATA_SETS[source.kind].classes)
    return [] if source.truth is None else read_classes(source.truth)


def read_truth_things(source: Source) -> list[str]:
    """The classes of the truth that have instances; empty where there is no truth, or it does not say."""
    if source.truth is None:
        return []
    return _about_data_set(source.truth).get("things", [])


def read_classes(data_set: str) -> list[str]:
    """The vocabulary of a data set folder. ConfigError if its ``dataset.json`` is missing, damaged, or names no classes."""
    return _about_data_set(data_set)["classes"]


def _about_data_set(url: str) -> dict[str, Any]:
    """``dataset.json``; what it holds beyond ``classes`` and ``things`` is left alone."""
    file = join(url, "dataset.json")
    try:
        about = json.loads(read_bytes(file))
    except FileNotFoundError as error:
        raise ConfigError(f"source.truth: there is no {file}; name the folder of a data set, or drop the key") from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"source.truth: {file} is no JSON ({str(error)[:200]}); write it anew") from error
    lists = [about.get("classes"), about.get("things", [])] if isinstance(about, dict) else [None]
    if not all(isinstance(names, list) and all(isinstance(name, str) for name in names) for names in lists):
        raise ConfigError(f"source.truth: {file} must hold an object with the list `classes`, all of them names")
    return about


def read_truth(source: Source, item: Item) -> tuple[dict[str, NDArray], Digests]:
    """Truth of an item and the sha256 of its file, or of each of its files by name; nothing where there is no truth.

    Arrays are (H, W), ``normals`` (H, W, 3), of the file's dtype: those of :data:`TRUTH`, and ``*_valid``, where they count.

    Raises
    ------
    BadItem
        The file is there and cannot be read, or holds something else.
    """
    if source.is_data_set:
        return read_data_set_truth(source, item.uri)
    data = _truth_file(source, item)
    if data is None:
        return {}, ""
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            return _checked(dict(arrays)), digest(data)
    except Exception as error:  # zipfile, zlib and NumPy's parser of headers have many of their own
        raise BadItem(f"{truth_url(source, item)}: the truth cannot be read: {error}") from error


def has_its_truth(source: Source) -> Holds:
    """Whether the truth of an item is still that of a row, by the digests that its figures name: truth comes without the
    panorama's bytes, and so without another key."""

    def holds(item: Item, row: ItemRow) -> bool:
        if source.is_data_set:
            now: Digests = {name: digest(data) for name, data in truth_files(source, item.uri).items()}
        else:
            now = "" if (data := _truth_file(source, item)) is None else digest(data)
        return bool(row.figures.get("truth", "") == now)

    return holds


def truth_url(source: Source, item: Item) -> str:
    """Where the file of truth of an item is to lie, in a source that names a folder of truth."""
    return join(source.truth or "", "truth", f"{name_in_video(item)}.npz")


def _truth_file(source: Source, item: Item) -> bytes | None:
    """The bytes of an item's file of truth, where the source has such files; None if there is none."""
    if source.truth is None:
        return None
    url = truth_url(source, item)
    return read_bytes(url) if exists(url) else None


def _checked(arrays: Mapping[str, NDArray]) -> dict[str, NDArray]:
    """The arrays that are known, each with the axes that it must have; ValueError says which has not."""
    known = {name: array for name, array in arrays.items() if name.removesuffix("_valid") in TRUTH}
    if not known:
        raise ValueError(f"it holds none of {', '.join(TRUTH)}, but {', '.join(arrays) or 'nothing'}")
    sizes = {array.shape[:2] for array in known.values()}
    for name, array in known.items():
        end = () if name.endswith("_valid") else TRUTH[name]
        if array.ndim < 2 or array.shape[2:] != end or array.dtype.kind not in "biuf" or 0 in array.shape or len(sizes) > 1:
            axes = f"(H, W{', 3' * bool(end)})"
            raise ValueError(f"{name} is {array.dtype}{array.shape}; expected are numbers {axes}, and all arrays of one size")
    return known


def summarise_rows(rows: Sequence[ItemRow], about: Mapping[str, Any], given_up: int = 0) -> dict[str, Any]:
    """The figures of all evaluated items together; ``given_up``: how many more have truth and no labels.

    Beside what :func:`metrics.summary.summarise` gives: the ``protocol``; of several ``protocols`` a row each; as ``pager`` the
    figures of each of PaGeR's under PaGeR's names; and as ``failures`` the number ``given_up``.
    """
    items = [row.figures for row in rows if row.state == "done"]
    told = about.get("protocols", [about["protocol"]])
    names = [asked_for(name) for name in told]
    found = {**summarise(items, about["truth_classes"]), "protocol": about["protocol"], "failures": given_up}
    if len(names) > 1:
        by_protocol = protocol_rows(items, names, given_up)
        found["protocols"] = [{**row, "told": name} for row, name in zip(by_protocol, told, strict=True)]
    if theirs := [name for name in names if is_pagers(name)]:
        found["pager"] = {name: pager_figures(items, name, names[0], given_up) for name in theirs}
    return found
