"""Figures of a training, told to TensorBoard, MLflow, Aim and others through accelerate's common interface for trackers."""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from accelerate.tracking import LOGGER_TYPE_TO_CLASS, GeneralTracker, get_available_trackers

from configs.settings import ConfigError
from storage.urls import filesystem, is_local, join
from tasks.stage.kind import Stage
from tasks.train.progress import Log


def check_trackers(stage: Stage) -> None:
    """Raises ConfigError if a tracker is not known or not installed, or has no local folder to write to."""
    for name in stage.settings.tracking.trackers:
        if name not in LOGGER_TYPE_TO_CLASS:
            nearest = difflib.get_close_matches(name, LOGGER_TYPE_TO_CLASS, n=1)
            hint = f"did you mean {nearest[0]!r}?" if nearest else f"there are: {', '.join(LOGGER_TYPE_TO_CLASS)}"
            raise ConfigError(f"tracking.trackers: {name!r} is not known; {hint}")
        built_in = LOGGER_TYPE_TO_CLASS[name].__module__ == "accelerate.tracking"
        if built_in and name not in [str(one.value) for one in get_available_trackers()]:
            raise ConfigError(f"tracking.trackers: {name} is not installed; pip install {name}, or remove it")
    if stage.settings.tracking.trackers and stage.settings.tracking.folder is None and not is_local(stage.root):
        raise ConfigError(f"tracking.folder: trackers write to a local folder, and {stage.root} is none; name one")


@contextmanager
def tracking(stage: Stage, run: str) -> Iterator[Log]:
    """What takes a step and its figures, for as long as a training goes on.

    The trackers start with the first figures: only then is it known from which step a training goes on, and TensorBoard drops
    what it had from there on. A tracker that fails is left out from then on, with a warning: no figure is worth a training.

    Parameters
    ----------
    stage : Stage
    run : str
        What the trackers call it.
    """
    waiting, started = list(stage.settings.tracking.trackers), list[GeneralTracker]()

    def log(step: int, figures: Mapping[str, float]) -> None:
        while waiting:
            name = waiting.pop(0)
            _guarded(name, lambda name=name: started.append(_start(name, stage, run, step)))
        for tracker in list(started):
            if not _guarded(tracker.name, lambda tracker=tracker: tracker.log(dict(figures), step=step)):
                started.remove(tracker)

    try:
        yield log
    finally:
        for tracker in started:
            _guarded(tracker.name, tracker.finish)


def _start(name: str, stage: Stage, run: str, step: int) -> GeneralTracker:
    kind, settings = LOGGER_TYPE_TO_CLASS[name], dict(stage.settings.tracking.settings.get(name, {}))
    if name == "tensorboard":
        settings = {"purge_step": step, **settings}
    if kind.requires_logging_directory:
        # Trackers write to a disk; where the root is none, beside whoever trains.
        own = filesystem(join(stage.root, "logs"))[1] if is_local(stage.root) else f"{stage.key}-logs"
        folder = Path(stage.settings.tracking.folder or own)
        folder.mkdir(parents=True, exist_ok=True)
        tracker = kind(run, str(folder), **settings)
    else:
        tracker = kind(run, **settings)
    tracker.start()
    return tracker


def _guarded(name: str, act: Any) -> bool:
    """Whether it went well."""
    try:
        act()
    except Exception as error:  # a tracker is somebody else's program, and may fail in any way
        warnings.warn(f"{name} fails and gets no more figures ({str(error)[:200]}); training goes on", stacklevel=2)
        return False
    return True
