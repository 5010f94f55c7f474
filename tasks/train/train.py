"""train: labels -> student. One block for all that it learns from: it goes on after a kill, and ends with a receipt."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState

from configs.settings import ConfigError
from models.student import StudentModel
from models.teachers.weights import digest_folder
from storage.entries import Entries, write_file
from storage.manifest import Block
from storage.receipts import Receipt
from storage.urls import exists, files_below, join, read_bytes, remove
from tasks.stage.attempts.stopping import asked_to_stop
from tasks.stage.block import make_whole
from tasks.stage.devices import device_name
from tasks.stage.job import Job, Output
from tasks.stage.kind import Edge, Inputs, Kind, Stage
from tasks.stage.models import MODEL
from tasks.train.labels.confidence import check_confidences
from tasks.train.labels.cut import check_depth_max
from tasks.train.labels.data import Batch, DataSettings, LabelStore, TrainingData
from tasks.train.labels.stores import label_stores
from tasks.train.processes import in_processes
from tasks.train.progress import Log, LogFile, Progress, telling_of
from tasks.train.student.held_out import look_at_held_out
from tasks.train.student.make import make_student, save_student
from tasks.train.student.settings import TrainStudent
from tasks.train.student.shown import write_look
from tasks.train.student.sources import about_labels, depth_unit
from tasks.train.student.tracking import check_trackers, tracking
from tasks.train.student.training import train_model

VERSION = "6"
LOG = "log.json"
MOST_SKIPPED = 0.5
"""Share of panoramas that may be unreadable before training stops: more is a mistake, not bad files."""


def _weights(settings: TrainStudent, _inputs: Inputs) -> dict[str, str]:
    folder = settings.pretrained
    if folder is None:
        return {}
    if not (Path(folder) / "config.json").exists():
        raise FileNotFoundError(f"pretrained: {folder} holds no config.json; give a folder that save_pretrained wrote")
    return {"backbone": digest_folder(Path(folder))}


def refuse_misfit(stage: Stage, _blocks: Sequence[Block]) -> None:
    """Raise ConfigError if a student of such settings cannot be, or cannot be told of; what its labels say is not known yet."""
    try:
        check_trackers(stage)
        with torch.device("meta"):  # sizes without weights
            make_student(stage.settings, ("any",))
    except ConfigError as error:
        raise ConfigError(f"stages.{stage.key}.{error}") from error


KIND = Kind(
    "train",
    VERSION,
    TrainStudent,
    {"labels": Edge("labels", anywhere=True, weighted=True)},
    MODEL,
    make="tasks.train.train:train_block",
    grain="all",
    weights=_weights,
    network=True,
    check="tasks.train.train:refuse_misfit",
    shows="tasks.train.student.shown:shows",
    summary="tasks.train.student.shown:summary",
)


@dataclass(frozen=True)
class Learned:
    """What the receipt says of a student, and the files of its folder, page and pictures."""

    about: dict[str, Any]
    files: Entries


def train_block(job: Job, stop: Callable[[], bool] = asked_to_stop) -> Receipt:
    """Train, from the newest checkpoint on if there is one, and store the student's folder; then drop the checkpoints.

    Raises
    ------
    ValueError
        Labels, student and settings do not fit together, or labels are damaged; the message says what to change.
    Diverged, Stopped
        As :func:`tasks.train.loop.train`.
    OSError
        The disk is full, or one of several processes was killed, among others; checkpoints that are there stay.
    """
    about: dict[str, Any] = {}

    def make() -> Output:
        settings, device = job.settings, job.execution.device
        log = telling_of(settings.steps)
        learned: Learned = in_processes(settings.processes, "tasks.train.train:learn", job, log, stop, device)
        about.update(learned.about)
        figures = {name: learned.about[name] for name in ("steps", "parameters", "weights")}
        return Output(figures=figures, files=learned.files)

    receipt = make_whole(job, make, about, job.identity.weights, _device(job))
    for name in files_below(job.checkpoints):
        remove(join(job.checkpoints, name))
    return receipt


def _device(job: Job) -> str:
    wanted = job.execution.device
    return device_name("cuda" if wanted == "auto" and torch.cuda.is_available() else "cpu" if wanted == "auto" else wanted)


def learn(job: Job, log: Log, stop: Callable[[], bool]) -> Learned:
    """Train as one process, or as one of several; the first one writes what comes of it into the block's folder."""
    settings: TrainStudent = job.settings
    stores = label_stores(job)
    unit = depth_unit(stores) if "depth" in settings.tasks else ""
    data, held_out = read_data(settings, stores)
    model = make_student(settings, data.classes)
    if settings.pretrained is not None:
        model.backbone.load(settings.pretrained)
    training = settings.training(job.execution.device)
    with tracking(job.stage, f"{job.stage.key}-{job.identity.fingerprint[:8]}") as tracked:
        kept = LogFile(join(job.checkpoints, LOG), (log, tracked))
        progress = train_model(model, data, held_out, training, job.checkpoints, kept, stop)
    state = PartialState()
    learned = Learned({}, {})
    if state.is_main_process:
        about = _outcome(progress, kept) | {
            "height": settings.height,
            "classes": list(data.classes),
            "depth_unit": unit,
            "normals_frame": "world",
            "parameters": sum(one.numel() for one in model.parameters()),
            "skipped": data.skipped,
            "processes": state.num_processes,
            "labels": about_labels(stores, settings.licences),
            "tasks": list(settings.tasks),
        }
        about["held_out"], shown = _look(settings, model, held_out or data, str(state.device))
        learned = _written(job, model, about, shown)
    state.wait_for_everyone()
    return learned


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


def read_data(settings: TrainStudent, stores: Sequence[LabelStore]) -> tuple[_Noted, TrainingData | None]:
    """The training panoramas and the held-out ones; ValueError says what is missing in the labels."""
    data = _Noted(stores, settings.data_settings())
    data.skipped = {}
    if settings.supervision == "confidence":
        check_confidences(data.places, settings.tasks)
    if "depth" in settings.tasks:
        check_depth_max(data.places, settings.losses.depth_max)
    if settings.held_out is None:
        return data, None
    own = settings.data_settings(held_out=True)
    size = min(settings.batch, max(panoramas(stores, own), 1))
    try:
        return data, TrainingData(stores, replace(own, batch_size=size))
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


def _outcome(progress: Progress, kept: LogFile) -> dict[str, Any]:
    last = {name: value for step in sorted(kept.rows) for name, value in kept.rows[step].items()}
    figures = {name: round(value, 6) for name, value in last.items() if not name.startswith("optimizer.")}
    best = {} if progress.best == float("inf") else {"best_score": round(progress.best, 6)}
    return {"figures": {**figures, **best}, "steps": progress.step, "epochs": progress.epoch}


def _look(
    settings: TrainStudent, model: StudentModel, data: TrainingData, device: str
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Figures of a student's predictions, and pictures of them beside the labels."""
    try:
        figures, shown = look_at_held_out(model, data, device)
    except Exception as error:  # truth that is gone, say: a trained student is worth more than its page
        figures, shown = {"panoramas": 0, "reason": str(error)[:300]}, []
    where = "the split" if settings.held_out is None else "the held-out part of the split"
    where += f" {data.settings.split}" + (", which the student has learnt from" if settings.held_out is None else "")
    return {"from": where, **figures}, shown


def _written(job: Job, model: StudentModel, about: dict[str, Any], shown: list[dict[str, Any]]) -> Learned:
    """The model's folder, its log, pictures and page, in the block's folder."""
    title = f"{job.stage.key}: predictions beside labels, after {about['steps']} steps"
    looked, pictured = write_look(job.url, title, about, shown)
    weights, files = save_student(model.cpu(), job, about)
    log = join(job.checkpoints, LOG)
    files |= looked | (write_file(job.url, LOG, read_bytes(log)) if exists(log) else {})
    return Learned(about | {"weights": weights, "shown": pictured}, files)
