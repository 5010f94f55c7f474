"""train: labels -> student. One block for all that it learns from: it goes on after a kill, and ends with a receipt."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import torch

from configs.settings import ConfigError
from models.teachers.weights import digest_folder
from storage.items import Block
from storage.receipts import Receipt
from storage.urls import join
from tasks.predict.predict import said_by_student
from tasks.stage.attempts.stopping import asked_to_stop
from tasks.stage.job import Job
from tasks.stage.kind import Edge, Inputs, Kind, Stage
from tasks.stage.models import MODEL
from tasks.train.labels.confidence import check_confidences
from tasks.train.labels.cut import check_depth_max
from tasks.train.labels.data import LabelStore, TrainingData
from tasks.train.labels.reading import NotedData, held_out_data
from tasks.train.labels.stores import label_stores
from tasks.train.learned import LOG, Learned, Trained, make_learned, written
from tasks.train.progress import Log, LogFile
from tasks.train.student.make import make_student, save_student
from tasks.train.student.settings import TrainStudent
from tasks.train.student.sources import about_labels, depth_unit
from tasks.train.student.tracking import check_trackers, tracking
from tasks.train.student.training import train_model

VERSION = "6"


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


def train_block(job: Job, stop: Callable[[], bool] = asked_to_stop) -> Receipt:
    """Train a student; see :func:`tasks.train.learned.make_learned`."""
    return make_learned(job, "tasks.train.train:learn", stop)


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
    own = {
        "height": settings.height,
        "classes": list(data.classes),
        "depth_unit": unit,
        "labels": about_labels(stores, settings.licences),
        "tasks": list(settings.tasks),
    }
    trained = Trained(model, progress, kept, data, held_out)
    return written(job, trained, own, partial(said_by_student, model), partial(save_student, model))


def read_data(settings: TrainStudent, stores: Sequence[LabelStore]) -> tuple[NotedData, TrainingData | None]:
    """The training panoramas and the held-out ones; ValueError says what is missing in the labels."""
    data = NotedData(stores, settings.data_settings())
    if settings.supervision == "confidence":
        check_confidences(data.places, settings.tasks)
    if "depth" in settings.tasks:
        check_depth_max(data.places, settings.losses.depth_max)
    held_out = None if settings.held_out is None else held_out_data(stores, settings.data_settings(held_out=True))
    return data, held_out
