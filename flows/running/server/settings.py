"""Which Prefect server a run talks to, with whose settings: the user's for the server that they named, else none but ours.

Prefect reads its settings from the environment, from ``.env``, ``prefect.toml`` and ``pyproject.toml`` where the user stands, and
from a profile in their Prefect home. They speak of servers of their own, and nothing of them may reach a server that a run
starts for itself: not a database, a password, a block for results or a log level.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prefect.settings import Settings

HOW_TO_NAME = "start one (`make ui`) and set PREFECT_API_URL=http://127.0.0.1:4200/api"


class ServerError(RuntimeError):
    """No Prefect server could be reached or started."""


@dataclass(frozen=True)
class NamedServer:
    """A server that the user named for Prefect: its API, and the place of the setting."""

    url: str
    place: str

    @property
    def shown(self) -> str:
        """The URL without user and password."""
        scheme, _, rest = self.url.partition("://")
        host, slash, path = rest.partition("/")
        return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}"

    def __str__(self) -> str:
        return f"{self.shown} ({self.place})"


def prefect_home() -> Path:
    """Folder of the embedded server's database, in the user's cache folder and never in a Prefect home of theirs."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache.absolute() / "panolabel" / "prefect"


def named_server() -> NamedServer | None:
    """The server that the user named, in whatever way Prefect knows; None if there is none, or it is set to nothing.

    Raises
    ------
    ServerError
        Prefect cannot read its own settings; the message says which.
    """
    import_prefect()
    from prefect.settings.models.api import APISettings
    from prefect.settings.sources import (
        PrefectTomlConfigSettingsSource,
        ProfileSettingsTomlLoader,
        PyprojectTomlConfigSettingsSource,
    )
    from pydantic_settings import DotEnvSettingsSource, EnvSettingsSource

    here = Path.cwd()
    places: dict[str, Any] = {  # in the order in which Prefect asks them
        "PREFECT_API_URL in the environment": EnvSettingsSource,
        f"PREFECT_API_URL in {here / '.env'}": DotEnvSettingsSource,
        f"api.url in {here / 'prefect.toml'}": PrefectTomlConfigSettingsSource,
        f"tool.prefect.api.url in {here / 'pyproject.toml'}": PyprojectTomlConfigSettingsSource,
        "the active profile": ProfileSettingsTomlLoader,
    }
    for place, source in places.items():
        try:
            reader = source(APISettings)
            url = reader().get("url")
        except Exception as error:
            raise ServerError(f"Prefect's settings cannot be read: {place}: {error}") from error
        if url is not None:
            place += f" in {reader.profiles_path}" if source is ProfileSettingsTomlLoader else ""
            return NamedServer(str(url).rstrip("/"), place) if str(url).strip() else None
    return None


def server_that_must_be_named() -> NamedServer:
    """The server that the user named, for commands that make no sense on one that ends with them."""
    server = named_server()
    if server is None:
        raise ServerError(f"no Prefect server is named; {HOW_TO_NAME}")
    return server


@contextmanager
def settings_of_user(server: NamedServer, changes: Mapping[str, Any]) -> Iterator[None]:
    """The user's own settings of Prefect, with changes by the names of Prefect's accessors.

    Raises
    ------
    ServerError
        A setting has a value that Prefect refuses; the message says which.
    """
    import_prefect()
    from prefect.settings import Settings

    try:
        settings = _changed(Settings(), {"api.url": server.url, **changes})
    except ValueError as error:
        raise ServerError(f"Prefect's settings, which name {server}, are wrong: {error}") from error
    with _in_force(settings):
        yield


@contextmanager
def settings_of_ours(url: str, home: Path, log_level: str) -> Iterator[None]:
    """Prefect's own defaults and what an embedded server needs, whatever the user has set anywhere.

    Every setting is given as if it were set, so that Prefect asks no file for any of them when it copies its settings, for each
    flow run and for the workers of a local Dask cluster.
    """
    import_prefect()
    from prefect.settings import Settings

    with _nothing_set(home):
        settings = Settings.model_validate(_explicit(Settings()))
    ours: dict[str, Any] = {
        "home": home,
        "api.url": url,
        "api.ssl_cert_file": None,
        "logging.level": log_level,
        # The server ends with the run: nobody needs its logs, or heartbeats to see that the run is alive.
        "logging.to_api.enabled": False,
        "flows.heartbeat_frequency": None,
    }
    with _environment(home), _in_force(_changed(settings, ours)):
        yield


def environment_without_prefect(home: Path) -> dict[str, str]:
    """The environment without any setting of Prefect, but with a home, and with a file for profiles that is not there."""
    kept = {name: value for name, value in os.environ.items() if not name.upper().startswith("PREFECT_")}
    return {**kept, "PREFECT_HOME": str(home), "PREFECT_PROFILES_PATH": str(home / "profiles.toml"), "DO_NOT_TRACK": "1"}


def import_prefect() -> None:
    """Prefect reads its settings, and makes a home, as it is imported: wrong settings of the user must not be read then."""
    if "prefect.context" in sys.modules:
        return
    with TemporaryDirectory() as home, _nothing_set(Path(home)):
        import prefect.context  # noqa: F401


@contextmanager
def _nothing_set(home: Path) -> Iterator[None]:
    """While this holds, Prefect finds no settings: neither in the environment nor where the process stands."""
    with _environment(home), contextlib.chdir(home):
        yield


@contextmanager
def _environment(home: Path) -> Iterator[None]:
    before = dict(os.environ)
    after = environment_without_prefect(home)
    for name in before.keys() - after.keys():
        del os.environ[name]
    os.environ.update(after)
    try:
        yield
    finally:
        for name in after.keys() - before.keys():
            os.environ.pop(name, None)
        os.environ.update(before)


@contextmanager
def _in_force(settings: Settings) -> Iterator[None]:
    """Settings for this context, and for threads that begin with none."""
    from prefect import context
    from prefect.settings import Profile

    own = context.SettingsContext(profile=Profile(name="panolabel"), settings=settings)
    with context._temporary_global_settings_context(own), own:
        yield


def _changed(settings: Settings, changes: Any) -> Settings:
    return settings.copy_with_update(changes)


def _explicit(settings: Any) -> dict[str, Any]:
    """Every setting by its name, whether it was set or is a default."""
    fields = type(settings).model_fields
    values = {name: getattr(settings, name) for name in fields}
    return {name: _explicit(value) if hasattr(value, "to_environment_variables") else value for name, value in values.items()}
