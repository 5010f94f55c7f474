"""An adaptation's training: its learner, its settings and its examples, put into the loop of every network."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from models.seamless.saved import SeamlessModel
from storage.urls import join
from tasks.adapt.examples import Examples
from tasks.adapt.learner import AdaptLearner
from tasks.adapt.settings import AdaptTraining
from tasks.train.loop import train
from tasks.train.progress import Log, LogFile
from tasks.train.settings import LoopSettings

MOST_LOGGED = 200
"""Steps that a training keeps the losses of, spread evenly."""


def adapt_model(
    model: SeamlessModel,
    examples: Examples,
    settings: AdaptTraining,
    url: str,
    every: int,
    device: str,
    log: Log = lambda _step, _figures: None,
    stop: Callable[[], bool] = lambda: False,
) -> tuple[SeamlessModel, list[dict[str, float]]]:
    """Train a model on pseudo-labels, from its newest checkpoint on if there is one.

    Parameters
    ----------
    model : SeamlessModel, whose network is changed
    url : folder of the checkpoints
    every : steps between checkpoints
    device : torch device
    log : told of the steps whose losses are kept
    stop : asked after every step whether to stop

    Returns
    -------
    The adapted model, and the losses of the steps that were logged

    Raises
    ------
    Stopped, Diverged
        As :func:`tasks.train.loop.train`.
    ValueError
        A part named in ``rates`` is not there.
    """
    learner = AdaptLearner(model, settings)
    kept = LogFile(join(url, "log.json"), (log,))
    spacing = max(settings.steps // MOST_LOGGED, 1)

    def keep(step: int, figures: Mapping[str, float]) -> None:
        if (step - 1) % spacing == 0:
            kept(step, figures)

    train(learner, examples, _loop(settings, every, device), url, keep, stop)
    model.network.load_state_dict(learner.model.network.state_dict())
    model.network.eval()
    return model, [_losses(step, figures) for step, figures in sorted(kept.rows.items())]


def _loop(settings: AdaptTraining, every: int, device: str) -> LoopSettings:
    return LoopSettings(
        steps=settings.steps,
        weight_decay=settings.weight_decay,
        clip=settings.clip,
        precision=settings.precision,
        seed=settings.seed,
        log_every=1,
        checkpoint_every=every,
        keep=1,
        device=device,
    )


def _losses(step: int, figures: Mapping[str, float]) -> dict[str, float]:
    """A row of ``losses.json``: the steps done before this one, and its losses."""
    terms = {name: value for name, value in figures.items() if not name.startswith("optimizer.")}
    return {"step": step - 1, "total": terms.pop("total"), **terms}
