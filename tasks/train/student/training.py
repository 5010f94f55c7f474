"""A student's training: its learner, its settings and its labels, put into the loop of every network."""

from __future__ import annotations

from collections.abc import Callable

from models.student import StudentModel
from models.student.learner import StudentLearner
from tasks.train.labels.data import TrainingData
from tasks.train.loop import train
from tasks.train.progress import Log, Progress
from tasks.train.settings import TrainSettings


def train_model(
    model: StudentModel,
    data: TrainingData,
    held_out: TrainingData | None,
    settings: TrainSettings,
    url: str,
    log: Log,
    stop: Callable[[], bool] = lambda: False,
) -> Progress:
    """Train a student, from its newest checkpoint on if there is one. The model ends with the best average of its weights.

    Parameters
    ----------
    model : StudentModel
    data, held_out : TrainingData
    settings : TrainSettings
    url, log, stop
        As :func:`tasks.train.loop.train`.

    Returns
    -------
    Progress

    Raises
    ------
    Stopped, Diverged
        As :func:`tasks.train.loop.train`.
    ValueError
        The student and the labels have no task in common or other classes, or the losses refuse the labels.
    """
    _check_match(model, data)
    learner = StudentLearner(model, settings.losses, settings.learning_rate, settings.frozen_steps, settings.cosines_every)
    return train(learner, data, settings.loop(), url, log, stop, held_out)


def _check_match(model: StudentModel, data: TrainingData) -> None:
    learns, has = model.config.main_tasks, data.settings.item.tasks
    if not set(learns) & set(has):
        raise ValueError(f"the student learns {', '.join(learns)}, but labels of {', '.join(has)} are read: nothing in common")
    names = tuple((model.config.id2label or {}).values())
    if "semantics" in learns and "semantics" in has and names != data.classes:
        raise ValueError(
            f"the student has {len(names)} classes ({', '.join(names[:3])}, ...) and the labels {len(data.classes)} "
            f"({', '.join(data.classes[:3])}, ...); make the student with id2label=dict(enumerate(classes)) of the labels"
        )
