"""What comes of a training on labels: its block, with the network's folder, its log, and predictions beside the labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from accelerate import PartialState
from torch import nn

from storage.entries import Entries, write_file
from storage.receipts import Receipt
from storage.urls import exists, files_below, join, read_bytes, remove
from tasks.predict.predict import Say
from tasks.stage.block import make_whole
from tasks.stage.devices import device_name
from tasks.stage.job import Job, Output
from tasks.train.labels.data import TrainingData
from tasks.train.labels.reading import NotedData
from tasks.train.labels.settings import TrainOnLabels
from tasks.train.processes import in_processes
from tasks.train.progress import LogFile, Progress, telling_of
from tasks.train.student.held_out import look_at_held_out
from tasks.train.student.shown import write_look

LOG = "log.json"
Save = Callable[[Job, dict[str, Any]], tuple[str, Entries]]
"""Writes the network's folder, given what its receipt will say; returns the digest of its weights, and the files' entries."""


@dataclass(frozen=True)
class Learned:
    """What the receipt says of a network, and the files of its folder, page and pictures."""

    about: dict[str, Any]
    files: Entries


@dataclass(frozen=True)
class Trained:
    """A network after its last step, and what it learned from."""

    network: nn.Module
    progress: Progress
    log: LogFile
    data: NotedData
    held_out: TrainingData | None


def make_learned(job: Job, learn: str, stop: Callable[[], bool]) -> Receipt:
    """Train by the function ``learn`` (``module:name``) in all processes, from the newest checkpoint on if there is one.

    The network's folder is stored; then the checkpoints go.

    Raises
    ------
    ValueError
        Labels, network and settings do not fit together, or labels are damaged; the message says what to change.
    Diverged, Stopped
        As :func:`tasks.train.loop.train`.
    OSError
        The disk is full, or one of several processes was killed, among others; checkpoints that are there stay.
    """
    about: dict[str, Any] = {}

    def make() -> Output:
        settings: TrainOnLabels = job.settings
        log = telling_of(settings.steps)
        learned: Learned = in_processes(settings.processes, learn, job, log, stop, job.execution.device)
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


def written(job: Job, trained: Trained, own: dict[str, Any], say: Callable[[str], Say], save: Save) -> Learned:
    """What the first of all processes writes into the block's folder; the others wait for it.

    Parameters
    ----------
    own : what is to be told of this kind of network
    say : device -> what the network says of a panorama
    save : writes the network's folder
    """
    state, learned = PartialState(), Learned({}, {})
    if state.is_main_process:
        about = outcome(trained.progress, trained.log) | {
            **own,
            "normals_frame": "world",
            "parameters": sum(one.numel() for one in trained.network.parameters()),
            "skipped": trained.data.skipped,
            "processes": state.num_processes,
        }
        about["held_out"], shown = _look(job.settings, trained, say(str(state.device)))
        title = f"{job.stage.key}: predictions beside labels, after {about['steps']} steps"
        looked, pictured = write_look(job.url, title, about, shown)
        trained.network.cpu()
        weights, files = save(job, about)
        log = join(job.checkpoints, LOG)
        files |= looked | (write_file(job.url, LOG, read_bytes(log)) if exists(log) else {})
        learned = Learned(about | {"weights": weights, "shown": pictured}, files)
    state.wait_for_everyone()
    return learned


def outcome(progress: Progress, kept: LogFile) -> dict[str, Any]:
    """The last figures of a training, and how long it was."""
    last = {name: value for step in sorted(kept.rows) for name, value in kept.rows[step].items()}
    figures = {name: round(value, 6) for name, value in last.items() if not name.startswith("optimizer.")}
    best = {} if progress.best == float("inf") else {"best_score": round(progress.best, 6)}
    return {"figures": {**figures, **best}, "steps": progress.step, "epochs": progress.epoch}


def _look(settings: TrainOnLabels, trained: Trained, say: Say) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Figures of a network's predictions, and pictures of them beside the labels."""
    data = trained.held_out or trained.data
    try:
        figures, shown = look_at_held_out(say, data)
    except Exception as error:  # truth that is gone, say: a trained network is worth more than its page
        figures, shown = {"panoramas": 0, "reason": str(error)[:300]}, []
    where = "the split" if settings.held_out is None else "the held-out part of the split"
    where += f" {data.settings.split}" + (", which the student has learnt from" if settings.held_out is None else "")
    return {"from": where, **figures}, shown
