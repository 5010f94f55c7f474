"""Plans by what a store alone knows: for whoever asks about finished work, whose source need not be there any more."""

from __future__ import annotations

import os
from pathlib import Path

from configs.pipeline import Config
from configs.settings import ConfigError
from flows.invocation import typed
from flows.plan import Plan, make_plan
from storage.manifest import ManifestError
from storage.urls import exists, filesystem, is_local
from tasks.ingest import ingest
from tasks.ingest.ingest import Scan
from tasks.pipeline import sources
from tasks.stage.kind import Stage


def stored_plan(config: Config) -> Plan:
    """The plan by what the store alone knows: its source is not looked at, and need not be there.

    Raises
    ------
    ConfigError
        There is no store.
    """
    require_store(config.root)
    return make_plan(config, scans={stage.key: ingest.recorded(stage) for stage in sources(config)})


def plan_if_listed(config: Config) -> Plan:
    """:func:`make_plan`; where a source cannot be listed, its manifest speaks, and the scan says why."""
    require_store(config.root)
    return make_plan(config, scans={stage.key: _if_listed(ingest.as_read(stage)) for stage in sources(config)}, rehash=False)


def _if_listed(stage: Stage) -> Scan:
    try:
        return ingest.scan(stage)
    except ManifestError:
        raise
    except (ValueError, OSError) as error:
        return ingest.recorded(stage, str(error))


def require_place(root: str) -> None:
    """Raise ConfigError if nothing can be written at a local root: it is a file, or below one, or this user has no right to."""
    if not is_local(root):
        return
    path = Path(filesystem(root)[1]).absolute()
    there = next(one for one in (path, *path.parents) if one.exists())
    if not there.is_dir():
        raise ConfigError(f"root {root}: {there} is a file, not a folder; name a folder for the store")
    if not os.access(there, os.W_OK | os.X_OK):
        raise ConfigError(f"root {root}: this user may not write to {there}; name another folder, or get the right to")


def require_store(root: str) -> None:
    """Raise ConfigError if a root is not there at all."""
    if not exists(root):
        raise ConfigError(
            f"root {root}: there is no store; correct root, mount the disk that holds it, or make it with {typed('run')}"
        )
