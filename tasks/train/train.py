"""train: label stores -> student. A training is one block: it has a fingerprint, goes on after a kill, ends with a receipt."""

from __future__ import annotations

import errno
import json
import os
import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState

from models.student import StudentModel
from models.teachers.weights import digest_folder
from storage.fingerprint import Identity, canonical_json, digest
from storage.receipts import Receipt, block_url, read_receipt, refuse_unwritten, write_receipt
from storage.urls import children, exists, is_local, join, read_bytes, remove, settle, write_bytes
from tasks.stage.block import REPORTED_VERSIONS
from tasks.stage.code import code_digest
from tasks.stage.devices import device_name
from tasks.stage.prefect_task import told_full
from tasks.train.labels.confidence import check_confidences
from tasks.train.labels.cut import check_depth_max
from tasks.train.labels.data import Batch, DataSettings, LabelStore, TrainingData
from tasks.train.loop import Log, Progress, train
from tasks.train.student.held_out import look_at_held_out
from tasks.train.student.make import make_student, save_student
from tasks.train.student.settings import TrainingConfig
from tasks.train.student.shown import write_look
from tasks.train.student.sources import about_labels, depth_unit
from tasks.train.student.tracking import check_trackers, tracking

VERSION = "5"
STAGE = "train"
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
MOST_SKIPPED = 0.5
"""Share of panoramas that may be unreadable before training stops: more is a mistake, not bad files."""


@dataclass(frozen=True)
class Training:
    """A training with the labels that it learns from."""

    config: TrainingConfig
    stores: Sequence[LabelStore]

    @cached_property
    def identity(self) -> Identity:
        """All that can change the student, apart from the panoramas and their labels themselves."""
        weights = [store.weight for store in self.stores]
        upstream = {f"labels {n} ({store.config.name})": _fingerprint(store) for n, store in enumerate(self.stores, 1)}
        return Identity(STAGE, VERSION, {**self.config.as_settings(), "weights": weights}, _pretrained(self.config), upstream)

    @cached_property
    def block(self) -> str:
        """Named like a block: by a digest of the labels."""
        labels = [
            [[block.name, [row.digest for row in receipt.items]] for _, block, receipt in one.blocks] for one in self.stores
        ]
        return f"000000-{digest(canonical_json(labels))[:12]}"

    @property
    def url(self) -> str:
        """Folder of the receipt, of ``model/``, and of ``checkpoints/`` until there is a receipt."""
        return block_url(self.config.root, STAGE, self.identity.fingerprint, self.block)

    @property
    def checkpoints(self) -> str:
        """Folder of the checkpoints."""
        return join(self.url, "checkpoints")

    @property
    def receipt(self) -> Receipt | None:
        """The receipt, if the training is finished."""
        return read_receipt(self.url)


def _fingerprint(store: LabelStore) -> str:
    return next(receipt.fingerprint for _, _, receipt in store.blocks)


def _pretrained(config: TrainingConfig) -> dict[str, str]:
    folder = config.model.pretrained
    if folder is None:
        return {}
    if not (Path(folder) / "config.json").exists():
        raise FileNotFoundError(f"model.pretrained: {folder} holds no config.json; give a folder that save_pretrained wrote")
    return {"backbone": digest_folder(Path(folder))}


def train_student(
    training: Training,
    run: str,
    log: Log = lambda _step, _figures: None,
    stop: Callable[[], bool] = lambda: False,
) -> Receipt:
    """Train, from the newest checkpoint on if there is one; nothing happens if there is a receipt.

    Parameters
    ----------
    training : Training
    run : str
        Name of the run, for the receipt.
    log : Log
    stop : function
        Asked after every step whether to stop.

    Raises
    ------
    ValueError
        Labels, student and settings do not fit together, or labels are damaged; the message says what to change.
    Diverged, Stopped
        As :func:`tasks.train.loop.train`.
    OSError
        The disk is full, among others; checkpoints that are there stay.
    """
    if (finished := training.receipt) is not None:
        return finished
    try:
        return _train(training, run, log, stop)
    except OSError as error:
        if error.errno not in FULL or not is_local(training.url):
            raise
        raise OSError(error.errno, told_full(error, training.url)) from error


def _train(training: Training, run: str, log: Log, stop: Callable[[], bool]) -> Receipt:
    started, config = time.time(), training.config
    unit = depth_unit(training.stores) if "depth" in config.tasks else ""
    data, held_out = read_data(training)
    model = make_student(config, data.classes)
    if config.model.pretrained is not None:
        model.backbone.load(config.model.pretrained)
    with tracking(config, f"{config.name}-{training.identity.fingerprint[:8]}") as tracked:
        kept = _TrainingLog(join(training.url, "log.json"), (log, tracked))
        progress = train(model, data, held_out, config.training, training.checkpoints, kept, stop)
    state = PartialState()
    if state.is_main_process:
        outcome = _outcome(progress, kept) | {
            "parameters": sum(one.numel() for one in model.parameters()),
            "skipped": data.skipped,
        }
        about = {"height": config.height, "classes": list(data.classes), "depth_unit": unit, "normals_frame": "world", **outcome}
        about |= {
            "processes": state.num_processes,
            "labels": about_labels(training.stores, config.stores),
            "tasks": list(config.tasks),
        }
        about["held_out"], shown = _look(training, model, held_out or data, str(state.device))
        _finish(training, model, about, shown, _made(training, run, started, str(state.device)))
    state.wait_for_everyone()
    receipt = training.receipt
    assert receipt is not None, "it was just written"
    return receipt


def check_training(training: Training) -> int:
    """Whether labels, student and settings fit together, before anything is made; returns the number of training panoramas.

    Raises
    ------
    ValueError
        They do not; the message says what to change.
    """
    check_trackers(training.config)
    if "depth" in training.config.tasks:
        depth_unit(training.stores)
    data, _ = read_data(training)
    with torch.device("meta"):  # sizes without weights
        make_student(training.config, data.classes)
    return len(data)


class _Noted(TrainingData):
    """Training data that remember which panoramas could not be read."""

    skipped: dict[str, str]

    def batches(self, epoch: int, step: int = 0, rank: int = 0, world: int = 1) -> Iterator[Batch]:
        for batch in super().batches(epoch, step, rank, world):
            self.skipped |= batch.skipped
            if len(self.skipped) > MOST_SKIPPED * len(self):
                name, reason = next(iter(self.skipped.items()))
                raise ValueError(f"{len(self.skipped)} of {len(self)} panoramas cannot be read; {name}: {reason}")
            yield batch


def read_data(training: Training) -> tuple[_Noted, TrainingData | None]:
    """The training panoramas and the held-out ones; ValueError says what is missing in the labels."""
    config, stores = training.config, training.stores
    data = _Noted(stores, config.data_settings())
    data.skipped = {}
    if config.supervision == "confidence":
        check_confidences(data.places, config.tasks)
    if "depth" in config.tasks:
        check_depth_max(data.places, config.training.losses.depth_max)
    if config.held_out is None:
        return data, None
    settings = config.data_settings(held_out=True)
    size = min(config.batch, max(panoramas(stores, settings), 1))
    try:
        return data, TrainingData(stores, replace(settings, batch_size=size))
    except ValueError as error:
        raise ValueError(
            f"held_out: {error}; name another split, or a larger share of split, or write held_out: null to train without scores"
        ) from error


def panoramas(stores: Sequence[LabelStore], settings: DataSettings) -> int:
    """Labelled panoramas that belong to these data."""
    rows = (
        (item, row) for store in stores for _, block, receipt in store.blocks for item, row in zip(block.items, receipt.items)
    )
    return sum(row.state == "done" and settings.takes(item) for item, row in rows)


def _outcome(progress: Progress, kept: _TrainingLog) -> dict[str, Any]:
    last = {name: value for step in sorted(kept.rows) for name, value in kept.rows[step].items()}
    figures = {name: round(value, 6) for name, value in last.items() if not name.startswith("optimizer.")}
    best = {} if progress.best == float("inf") else {"best_score": round(progress.best, 6)}
    return {"figures": {**figures, **best}, "steps": progress.step, "epochs": progress.epoch}


class _TrainingLog:
    """Figures by step, kept beside the checkpoints as JSON; a training that goes on overwrites what it does again."""

    def __init__(self, url: str, listeners: Sequence[Log]) -> None:
        self._url, self._listeners = url, listeners
        self.rows: dict[int, dict[str, float]] = {}
        if exists(url):
            self.rows = {int(step): row for step, row in json.loads(read_bytes(url)).items()}

    def __call__(self, step: int, figures: Mapping[str, float]) -> None:
        self.rows = {known: row for known, row in self.rows.items() if known <= step}
        self.rows[step] = {**self.rows.get(step, {}), **figures}
        if PartialState().is_main_process:
            write_bytes(self._url, json.dumps(self.rows).encode())
            for tell in self._listeners:
                tell(step, figures)


def _look(
    training: Training, model: StudentModel, data: TrainingData, device: str
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Figures of a student's predictions, and pictures of them beside the labels."""
    config = training.config
    try:
        figures, shown = look_at_held_out(model, data, device)
    except Exception as error:  # truth that is gone, say: a trained student is worth more than its page
        figures, shown = {"panoramas": 0, "reason": str(error)[:300]}, []
    where = "the split" if config.held_out is None else "the held-out part of the split"
    where += f" {data.settings.split}" + (", which the student has learnt from" if config.held_out is None else "")
    return {"from": where, **figures}, shown


def _finish(
    training: Training, model: StudentModel, about: dict[str, Any], shown: list[dict[str, Any]], made: dict[str, Any]
) -> None:
    """Pictures, page and the model's folder, then the receipt; the checkpoints, which nobody needs any more, go last."""
    title = f"{training.config.name}: predictions beside labels, after {about['steps']} steps"
    looked, pictured = write_look(training.url, title, about, shown)
    weights, files = save_student(model.cpu(), join(training.url, "model"), about, training)
    files |= looked
    log = read_bytes(join(training.url, "log.json")) if exists(join(training.url, "log.json")) else b""
    files |= {"log.json": {"bytes": len(log), "sha256": digest(log)}} if log else {}
    settle(training.url)
    refuse_unwritten(training.url, files)
    told = {"weights": weights, "shown": pictured}
    receipt = Receipt(STAGE, training.identity.fingerprint, training.block, (), files, about | told, made)
    write_receipt(training.url, receipt)
    for name in children(training.checkpoints):
        remove(join(training.checkpoints, name))


def _made(training: Training, run: str, started: float, device: str) -> dict[str, Any]:
    return {
        "run": run,
        "code": code_digest(),
        "started": round(started, 3),
        "seconds": round(time.time() - started, 3),
        "device": device_name(device),
        "process": os.getpid(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in (*REPORTED_VERSIONS, "accelerate")},
        "identity": asdict(training.identity),
    }
