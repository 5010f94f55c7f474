"""evaluate: labels (+ ground truth where there is any) -> figures. Kept in the receipts; the report adds them up."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from configs.schema import Config
from configs.settings import ConfigError
from metrics.panorama import evaluate_item
from metrics.protocols import for_unit, protocol_named
from metrics.summary import summarise
from storage.fingerprint import Identity, digest
from storage.manifest import Item
from storage.receipts import ItemRow, Receipt
from storage.urls import exists, join, read_bytes
from tasks.ingest.datasets import DATA_SETS
from tasks.ingest.datasets.reading import read_data_set_truth
from tasks.ingest.observed import Observed, read_observed
from tasks.label.fuse import decode_labels
from tasks.stage.block import BadItem, Job, Output, Upstream, run_block

VERSION = "4"
Digests = str | dict[str, str]
TRUTH: dict[str, tuple[int, ...]] = {"depth": (), "normals": (3,), "semantics": (), "instances": (), "sky": ()}
"""Arrays of a truth file -> their axes after (H, W)."""


def identity(config: Config, fuse: str) -> Identity:
    """What the figures depend on; truth files count as immutable, and their digests are recorded item by item."""
    settings = {**config.evaluate.fingerprinted(), "truth": truth_of(config)}
    return Identity("evaluate", VERSION, settings, upstream={"fuse": fuse})


def truth_of(config: Config) -> str | None:
    """Where the truth comes from, without secrets; None where there is none."""
    source = config.source.model_dump()
    return source["truth"] if config.source.kind == "files" else f"{source['kind']} {source['url']}"


def evaluate_block(job: Job) -> Receipt:
    """Figures for every fused panorama of a block, by the configured protocol."""
    fused = Upstream(job, "fuse")
    protocol = for_unit(protocol_named(job.config.evaluate.protocol), fused.receipt.about.get("depth_unit", ""))
    label_classes = fused.receipt.about["classes"]
    truth_classes, things = read_truth_classes(job.config), read_truth_things(job.config)

    def read(slot: int, item: Item) -> tuple[dict[str, NDArray], dict[str, NDArray], Digests, Observed]:
        labels = decode_labels(fused.item(slot))
        return labels, *read_truth(job.config, item), read_observed(item, job.config, len(labels["views"]))

    def evaluate_one(_item: Item, inputs: tuple[dict[str, NDArray], dict[str, NDArray], Digests, Observed]) -> Output:
        labels, truth, truth_digest, observed = inputs
        figures = evaluate_item(labels, truth, label_classes, truth_classes, protocol, things, observed)
        return Output(figures={**figures, "truth": truth_digest})

    about = {"protocol": protocol.name, "classes": label_classes, "truth_classes": truth_classes}
    return run_block(job, evaluate_one, about, read=read)


def read_truth_classes(config: Config) -> list[str]:
    """The vocabulary of the truth's labels; empty where there is no truth."""
    if config.source.kind != "files":
        return list(DATA_SETS[config.source.kind].classes)
    return [] if config.source.truth is None else read_classes(config.source.truth)


def read_truth_things(config: Config) -> list[str]:
    """The classes of the truth that have instances; empty where there is no truth, or it does not say."""
    if config.source.truth is None:
        return []
    return _about_data_set(config.source.truth).get("things", [])


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


def read_truth(config: Config, item: Item) -> tuple[dict[str, NDArray], Digests]:
    """Truth of an item and the sha256 of its file, or of each of its files by name; nothing where there is no truth.

    Arrays are (H, W), ``normals`` (H, W, 3), of the file's dtype: those of :data:`TRUTH`, and ``*_valid``, where they count.

    Raises
    ------
    BadItem
        The file is there and cannot be read, or holds something else.
    """
    if config.source.kind != "files":
        return read_data_set_truth(config.source, item.uri)
    if config.source.truth is None:
        return {}, ""
    url = join(config.source.truth, "truth", f"{item.item}.npz")
    if not exists(url):
        return {}, ""
    data = read_bytes(url)
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            return _checked(dict(arrays)), digest(data)
    except Exception as error:  # zipfile, zlib and NumPy's parser of headers have many of their own
        raise BadItem(f"{url}: the truth cannot be read: {error}") from error


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


def summarise_rows(rows: Sequence[ItemRow], about: Mapping[str, Any]) -> dict[str, Any]:
    """The figures of all evaluated items together."""
    figures = summarise([row.figures for row in rows if row.state == "done"], about["truth_classes"])
    return {**figures, "protocol": about["protocol"]}
