"""What Python users call: ``panolabel.open``, ``panolabel.plan`` and ``panolabel.run``."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from rich.console import Console

from configs.pipeline import Config
from configs.settings import ConfigError
from configs.trial import Trial
from flows.asked import asked_config, asked_trial
from flows.plan import Plan, make_plan
from flows.plan_words import plan_title, plan_words
from flows.reading.notebook import table_html
from flows.reading.published import Published
from flows.reading.store import Store
from flows.starting import carry_out_plan, in_own_thread
from flows.tables.run import plan_table
from storage.published import is_publication
from storage.urls import exists, is_local, join

WIDTH = 160
"""Characters of a plan in words."""
Place = str | os.PathLike[str]


class ShownPlan(Plan):
    """A plan that is shown as the table of ``panolabel plan``, in a terminal and in a notebook."""

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        # A notebook's own console would display the table, and keep no text of it; and notebooks ask for colours.
        text = Console(file=io.StringIO(), width=WIDTH, force_jupyter=False, color_system=None)
        text.print(plan_table(self))
        assert isinstance(text.file, io.StringIO)
        return "\n".join(line.rstrip() for line in text.file.getvalue().splitlines()).strip("\n")

    def _repr_html_(self) -> str:
        words = plan_words(self)
        return table_html(plan_title(self), list(words[0]) if words else [], [list(row.values()) for row in words])


def open(
    place: Place, /, stage: str | None = None, version: str | None = None, *, source: Place | None = None, **settings: Any
) -> Store | Published:
    """Labels for reading, by name of panorama: ``panolabel.open("configs/street.yaml", "fuse")["street_91000"].depth``.

    Parameters
    ----------
    place : str or path
        A pipeline's file, whose store is read at the versions that the file says now; or the root of a store (a folder or
        URL), of which the newest versions are read; or what was published, ``<root>/published/<name>[.icechunk]``.
    stage : str, optional
        Key of the stage that gives the labels; may be left out where only one does. ``store.stage(key)`` gives others.
    version : str, optional
        Beginning of the stage's fingerprint, or version of what was published.
    source, **settings
        With a pipeline's file: as for :func:`plan`.

    Returns
    -------
    Store or Published
        Mappings from names of panoramas to :class:`flows.reading.labels.Labels`.

    Raises
    ------
    ConfigError
        There is no store, or the file cannot be used; the message says what to do.
    FileNotFoundError
        This version was not published there.
    """
    if _is_file(place):
        config = _config(place, source, settings)
        return Store(config.root, config, stage, version)
    url = os.fspath(place)
    if source is not None or settings:
        raise ConfigError(f"{url}: is no pipeline's file, and only over one can settings be laid; leave them out")
    if is_publication(url):
        if stage is not None:
            raise ConfigError(f"{url}: was published of one stage; leave out stage={stage!r}")
        return Published(url, version)
    if not exists(join(url, "stages")):
        raise ConfigError(
            f"{url}: is no pipeline's file (*.yaml), no store (it has no folder `stages`) and nothing that was published; name "
            f"one, or make a store: panolabel run CONFIG --root {url}"
        )
    return Store(url, None, stage, version)


def plan(
    config: Place,
    /,
    stages: Sequence[str] | None = None,
    *,
    source: Place | None = None,
    limit: int | None = None,
    items: Sequence[str] | None = None,
    sample: float | None = None,
    split: str | None = None,
    retry_quarantined: bool = False,
    **settings: Any,
) -> ShownPlan:
    """What a run would do, and why, as ``panolabel plan`` tells it. Nothing is made.

    Parameters
    ----------
    config : str or path
        A pipeline's file.
    stages : list of str, optional
        Only these stages, by their keys, and what they are made from.
    source : str or path, optional
        Replaces the URL of the first source.
    limit : int, optional
        Only the first so many panoramas of each source, by name.
    items : list of str, optional
        Only these panoramas.
    sample : float, optional
        Only about this share of the panoramas, always the same.
    split : str, optional
        Only panoramas of this split.
    retry_quarantined : bool
        Count quarantined items as owed.
    **settings
        Values that are laid over the file: a stage's key with its settings, ``fuse={"height": 512}``; a key of the file's own,
        ``root="/data/labels"``; or dotted keys, ``**{"execution.device": "cpu"}``.

    Returns
    -------
    ShownPlan
        Prints as a table; ``stages`` has the rows, ``anything_to_run`` says whether a run would do any work, ``lacks`` which
        weights are not here: then the plan is partial.

    Raises
    ------
    ConfigError
        The file, a setting or the source cannot be used; there is no such stage, or no panorama is chosen.
    """
    wanted = _config(config, source, settings)
    made = make_plan(wanted, retry_quarantined, trial=_trial(stages, limit, items, sample, split), weigh="here")
    return ShownPlan(**{one.name: getattr(made, one.name) for one in fields(made)})


def run(
    config: Place,
    /,
    stages: Sequence[str] | None = None,
    *,
    source: Place | None = None,
    limit: int | None = None,
    items: Sequence[str] | None = None,
    sample: float | None = None,
    split: str | None = None,
    retry_quarantined: bool = False,
    quiet: bool = False,
    **settings: Any,
) -> dict[str, Any]:
    """Run what the plan says, as ``panolabel run`` does; what is done stays done. Works in a notebook, whose interrupt drains it.

    Parameters
    ----------
    config, stages, source, limit, items, sample, split, retry_quarantined, **settings
        As for :func:`plan`; what is chosen is made, and nothing else.
    quiet : bool
        Show no progress.

    Returns
    -------
    dict
        The run's record, whose ``state`` is ``completed``; where nothing was owed, the plan with the state ``nothing to run``.

    Raises
    ------
    ConfigError
        As for :func:`plan`; or weights are not here.
    RunFailed
        A stage could not finish; what is done stays done, and the next run goes on from there.
    Interrupted
        It was asked to stop.
    """
    wanted = _config(config, source, settings)
    trial = _trial(stages, limit, items, sample, split)

    def work() -> dict[str, Any]:
        return carry_out_plan(wanted, make_plan(wanted, retry_quarantined, trial=trial), retry_quarantined, quiet)

    return in_own_thread(work)


def _is_file(place: Place) -> bool:
    path = os.fspath(place)
    return path.endswith((".yaml", ".yml")) or (is_local(path) and Path(path).is_file())


def _config(path: Place, source: Place | None, settings: Mapping[str, Any]) -> Config:
    values = {key: os.fspath(value) if isinstance(value, os.PathLike) else value for key, value in _dotted(settings).items()}
    root = values.pop("root", None)
    return asked_config(os.fspath(path), None if source is None else os.fspath(source), root, values)


def _trial(
    stages: Sequence[str] | None, limit: int | None, items: Sequence[str] | None, sample: float | None, split: str | None
) -> Trial:
    for name, given in (("stages", stages), ("items", items)):
        if isinstance(given, str):
            raise ConfigError(f"{name}: must be a list: [{given!r}]")
        if given is not None and not given:
            raise ConfigError(f"{name}: has nothing in it; leave it out to take all")
    return asked_trial(until=stages, limit=limit, items=items, sample=sample, split=split)


def _dotted(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Values by dotted keys: a mapping is what it says of a stage, whose other settings stay."""
    found: dict[str, Any] = {}
    for key, value in settings.items():
        found |= {f"{key}.{name}": inner for name, inner in value.items()} if isinstance(value, Mapping) else {key: value}
    return found
