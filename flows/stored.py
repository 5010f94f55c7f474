"""Plans by what a store alone knows: for whoever asks about finished work, whose source need not be there any more."""

from __future__ import annotations

from configs.schema import Config
from configs.settings import ConfigError
from flows.invocation import typed
from flows.plan import Plan, make_plan
from storage.manifest import ManifestError
from storage.urls import exists
from tasks import ingest


def stored_plan(config: Config) -> Plan:
    """The plan by what the store alone knows: its source is not looked at, and need not be there.

    Raises
    ------
    ConfigError
        There is no store.
    """
    require_store(config.root)
    return make_plan(config, scan=ingest.recorded(config))


def plan_if_listed(config: Config) -> Plan:
    """:func:`make_plan`; where the source cannot be listed, the :func:`stored_plan`, whose scan says why."""
    require_store(config.root)
    config = ingest.as_read(config)
    try:
        scan = ingest.scan(config)
    except ManifestError:
        raise
    except (ValueError, OSError) as error:
        scan = ingest.recorded(config, str(error))
    return make_plan(config, scan=scan)


def require_store(root: str) -> None:
    """Raise ConfigError if a root is not there at all."""
    if not exists(root):
        raise ConfigError(
            f"root {root}: there is no store; correct root, mount the disk that holds it, or make it with {typed('run')}"
        )
