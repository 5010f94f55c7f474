"""The command line of this process, so that what is printed to be typed works when pasted."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from configs.trial import WHOLE, Trial
from storage.credentials import mask_credentials

TRIED = ("plan", "run")
"""Commands that take a trial."""


@dataclass(frozen=True)
class Given:
    """The config file that this process was given, if any, and what the command line replaced in it."""

    config: str = ""
    source: str | None = None
    root: str | None = None
    settings: tuple[str, ...] = ()
    trial: Trial = WHOLE


_given = Given()


def remember(
    config: str | Path, source: str | None = None, root: str | None = None, settings: Sequence[str] | None = None
) -> None:
    """Note what the command line gave; a flow that a server started was given a whole config, and no file."""
    global _given
    _given = Given(str(config), source, root, tuple(settings or ()))


def remember_trial(trial: Trial) -> None:
    """Note what the command line cut the config down to."""
    global _given
    _given = replace(_given, trial=trial)


def remember_file(config: str | Path) -> None:
    """Note the config file, where no command line did."""
    if _given == Given():
        remember(config)


def typed(name: str, *arguments: str, trial: Trial | None = None) -> str:
    """What to type, for a sentence: :func:`command` in backticks.

    Where there is no file that it could name, as in a deployment, whose parameter is the whole config, words say so.
    """
    if _given.config:
        return f"`{command(name, *arguments, trial=trial)}`"
    words = () if trial is None else trial.words
    return f"`{shlex.join(['panolabel', *name.split(), *arguments, *words])}` with a file of this config"


def command(name: str, *arguments: str, item: str = "", trial: Trial | None = None) -> str:
    """``panolabel <name> CONFIG <item> <arguments>`` for this process's config, with its ``--source``, ``--root``, ``--set``.

    Where the command takes a trial, this process's own is told, if ``trial`` is no other one. ``name`` may be two words, such as
    ``failures retry``. An item that looks like an option stands behind ``--``, at the end.
    """
    words = ["panolabel", *name.split(), _given.config or "CONFIG"]
    words += [item] if item and not item.startswith("-") else []
    words += arguments
    words += (_given.trial if trial is None else trial).words if name in TRIED else ()
    words += ["--source", _given.source] if _given.source is not None else []
    words += ["--root", _given.root] if _given.root is not None else []
    words += [word for setting in _given.settings for word in ("--set", setting)]
    words += ["--", item] if item.startswith("-") else []
    return shlex.join(mask_credentials(word) for word in words)


def command_for(config: str | Path, name: str, *arguments: str) -> str:
    """As :func:`command`, for another config file."""
    return shlex.join(["panolabel", *name.split(), str(config), *arguments])
