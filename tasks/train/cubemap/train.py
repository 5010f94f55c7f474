"""train: labels -> a network that sees the six faces of a panorama at once.

Stopped, it goes on to the same bytes; it ends with a receipt.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch

from configs.settings import ConfigError
from models.cubemap.configuration import SCENES, CubemapConfig
from models.cubemap.learner import CubemapLearner
from models.cubemap.network import CubemapNetwork
from storage.items import Block
from storage.receipts import Receipt
from storage.urls import join
from tasks.predict.faces import said_of_faces, teacher_of
from tasks.predict.predict import Say
from tasks.stage.attempts.stopping import asked_to_stop
from tasks.stage.job import Job
from tasks.stage.kind import Edge, Kind, Stage
from tasks.stage.models import MODEL
from tasks.train.cubemap.batches import Faces
from tasks.train.cubemap.make import TASKS, make_network, network_config, rows_of, save_cubemap, scenes_of, taught
from tasks.train.cubemap.settings import TrainCubemap
from tasks.train.labels.confidence import check_confidences
from tasks.train.labels.data import LabelStore, TrainingData
from tasks.train.labels.reading import NotedData, held_out_data
from tasks.train.labels.stores import label_stores
from tasks.train.learned import LOG, Learned, Trained, make_learned, written
from tasks.train.loop import train
from tasks.train.progress import Log, LogFile
from tasks.train.student.sources import about_labels, depth_unit
from tasks.train.student.tracking import check_trackers, tracking

VERSION = "1"


def refuse_misfit(stage: Stage, _blocks: Sequence[Block]) -> None:
    """Raise ConfigError if a network of such settings cannot be, or cannot be told of; what its labels say is not known yet."""
    try:
        check_trackers(stage)
        with torch.device("meta"):  # sizes without weights
            CubemapNetwork(network_config(stage.settings, stage.settings.tasks or TASKS, SCENES))
    except (ConfigError, ValueError) as error:
        raise ConfigError(f"stages.{stage.key}.{error}") from error


KIND = Kind(
    "train.cubemap",
    VERSION,
    TrainCubemap,
    {"labels": Edge("labels", anywhere=True, weighted=True)},
    MODEL,
    make="tasks.train.cubemap.train:train_block",
    grain="all",
    network=True,
    check="tasks.train.cubemap.train:refuse_misfit",
    shows="tasks.train.student.shown:shows",
    summary="tasks.train.student.shown:summary",
)


def train_block(job: Job, stop: Callable[[], bool] = asked_to_stop) -> Receipt:
    """Train a cubemap network; see :func:`tasks.train.learned.make_learned`."""
    return make_learned(job, "tasks.train.cubemap.train:learn", stop)


def learn(job: Job, log: Log, stop: Callable[[], bool]) -> Learned:
    """Train as one process, or as one of several; the first one writes what comes of it into the block's folder."""
    settings: TrainCubemap = job.settings
    stores = label_stores(job)
    tasks = taught(settings, stores)
    unit = depth_unit(stores) if "depth" in tasks else ""
    scenes = scenes_of(settings, tasks, unit, stores)
    network = make_network(network_config(settings, tasks, scenes), settings.seed)
    data, held_out = read_data(settings, stores, tasks, network.config)
    learner = CubemapLearner(network, settings.learning_rate, settings.head_rate, settings.losses)
    faces = partial(Faces, config=network.config, scene=None if settings.scene == "auto" else settings.scene)
    with tracking(job.stage, f"{job.stage.key}-{job.identity.fingerprint[:8]}") as tracked:
        kept = LogFile(join(job.checkpoints, LOG), (log, tracked))
        scored = None if held_out is None else faces(held_out)
        progress = train(learner, faces(data), settings.loop(job.execution.device), job.checkpoints, kept, stop, scored)
    own = {
        "height": rows_of(network.config),
        "classes": [],
        "depth_unit": unit,
        "labels": about_labels(stores, settings.licences),
        "tasks": list(tasks),
        "scenes": list(scenes),
    }
    trained = Trained(network, progress, kept, data, held_out)
    return written(job, trained, own, partial(_say, network), partial(save_cubemap, network))


def read_data(
    settings: TrainCubemap, stores: Sequence[LabelStore], tasks: tuple[str, ...], config: CubemapConfig
) -> tuple[NotedData, TrainingData | None]:
    """The training panoramas and the held-out ones; ValueError says what is missing in the labels."""
    data = NotedData(stores, settings.data_settings(tasks, rows_of(config)))
    if settings.supervision == "confidence":
        check_confidences(data.places, tasks)
    if settings.held_out is None:
        return data, None
    return data, held_out_data(stores, settings.data_settings(tasks, rows_of(config), held_out=True))


def _say(network: CubemapNetwork, device: str) -> Say:
    return partial(said_of_faces, teacher_of(network, device))
