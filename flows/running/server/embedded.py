"""The Prefect server of a run: the one that the user named, or an embedded one: SQLite in their cache folder, on a free port."""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from httpx import HTTPError

from configs.settings import ConfigError
from flows.errors import Interrupted, RunFailed
from flows.running.server.answers import ask_version
from flows.running.server.leaving import is_left
from flows.running.server.proxies import environment_without_proxies, loopback_without_proxies
from flows.running.server.settings import (
    NamedServer,
    ServerError,
    environment_without_prefect,
    named_server,
    prefect_home,
    settings_of_ours,
    settings_of_user,
)
from tasks.ingest.entries import SourceError

START_SECONDS = 90
NAMED_SECONDS = 10
STOP_SECONDS = 15
PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of prctl(2)
RETENTION = {
    "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",
    "PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD": str(90 * 24 * 3600),
}
"""A server forgets flow runs, with all that belongs to them, 90 days after their end; records of runs stay in the store."""
_embedded: set[str] = set()


@contextmanager
def prefect_server(log_level: str = "WARNING") -> Iterator[str]:
    """The API URL of a Prefect server: the one that the user named for Prefect, or an embedded one that stops on leaving.

    Prefect's loggers show ``log_level`` and above. Servers on this machine are reached without the proxies of the environment.

    Raises
    ------
    ServerError
        The named server cannot be used, or none can be started; the message says why.
    """
    named = named_server()
    with loopback_without_proxies() as refused:
        for name, reason in refused.items():
            print(f"{name} is left out of this run: {reason}", file=sys.stderr)
        with _named(named, log_level) if named else _embedded_server(log_level) as url:
            _quiet(log_level)
            yield url


@contextmanager
def _named(server: NamedServer, log_level: str) -> Iterator[str]:
    ask_version(server, NAMED_SECONDS)
    with settings_of_user(server, {"logging.level": log_level}):
        yield server.url


@contextmanager
def _embedded_server(log_level: str) -> Iterator[str]:
    home = prefect_home()
    home.mkdir(parents=True, exist_ok=True)
    url = f"http://127.0.0.1:{_free_port()}/api"
    server = _start(url, home)
    try:
        _wait_until_healthy(url, server, home / "server.log")
        _embedded.add(url)
        with settings_of_ours(url, home, log_level):
            yield url
    finally:
        _embedded.discard(url)
        _stop(server)


def outlives_the_run() -> bool:
    """Whether the server of the run that is going on is one that stays, so that a link to it is worth keeping."""
    from prefect.settings import get_current_settings

    return get_current_settings().api.url not in _embedded


def _quiet(log_level: str) -> None:
    for name in ("prefect", "prefect.flow_runs", "prefect.task_runs"):
        logging.getLogger(name).setLevel(log_level)
    logging.getLogger("prefect.flow_runs").addFilter(_told_without_traceback)


def _told_without_traceback(record: logging.LogRecord) -> bool:
    """Errors that speak to the user, or of a server that is not there, need no traceback through Prefect. A run that was asked to
    stop has no error, and what one that ends without its server cannot tell it has been said."""
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, (Interrupted, RunFailed, ConfigError, SourceError, HTTPError)):
        record.exc_info = record.exc_text = None
    return not isinstance(error, Interrupted) and not is_left()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _die_with_parent() -> None:
    """A run that is killed must not leave its server behind (Linux; elsewhere the server outlives a SIGKILL)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PARENT_DEATH_SIGNAL, signal.SIGTERM)


def server_environment(home: Path) -> dict[str, str]:
    """Environment of a server that keeps its database in ``home``, knows no setting of the user, and reports to nobody."""
    return {
        **environment_without_proxies(environment_without_prefect(home)),
        "PREFECT_API_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{home / 'prefect.db'}",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        **RETENTION,
    }


def server_command(port: str, *options: str) -> list[str]:
    """The command of a server on loopback. -P: no module of the folder that it is started in takes the place of another."""
    return [sys.executable, "-P", "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", port, *options]


def _start(url: str, home: Path) -> subprocess.Popen[bytes]:
    port = url.rsplit(":", 1)[1].split("/")[0]
    with (home / "server.log").open("wb") as log:
        return subprocess.Popen(
            server_command(port, "--no-ui"),
            env=server_environment(home),
            cwd=home,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_die_with_parent,
        )


def _wait_until_healthy(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with direct.open(f"{url}/health", timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise ServerError(f"the embedded Prefect server did not start; its log is {log}")


def _stop(server: subprocess.Popen[bytes]) -> None:
    if server.poll() is not None:
        return
    os.killpg(server.pid, signal.SIGTERM)
    try:
        server.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()
