"""A Prefect server for the length of a run, where the user has none: SQLite in the store's neighbourhood, on a free port."""

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

START_SECONDS = 90
STOP_SECONDS = 15
PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of prctl(2)


class ServerError(RuntimeError):
    """No Prefect server could be reached or started."""


def prefect_home() -> Path:
    """Folder of the embedded server's database: ``PREFECT_HOME``, or the user's cache folder."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    return Path(os.environ.get("PREFECT_HOME", cache / "panolabel" / "prefect"))


@contextmanager
def prefect_server(log_level: str = "WARNING") -> Iterator[str]:
    """The API URL of a Prefect server: the one that ``PREFECT_API_URL`` names, or an embedded one that stops on leaving.

    Prefect's loggers show ``log_level`` and above.
    """
    if url := os.environ.get("PREFECT_API_URL"):
        _wait_until_healthy(url, None)
        with _settings(url, log_level):
            yield url
        return
    home = prefect_home()
    home.mkdir(parents=True, exist_ok=True)
    url = f"http://127.0.0.1:{_free_port()}/api"
    server = _start(url, home)
    try:
        _wait_until_healthy(url, server, home / "server.log")
        with _settings(url, log_level, home):
            yield url
    finally:
        _stop(server)


@contextmanager
def _settings(url: str, log_level: str, home: Path | None = None) -> Iterator[None]:
    """Prefect's settings for the run, whether or not it was imported before."""
    from prefect.settings import (
        PREFECT_API_URL,
        PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
        PREFECT_HOME,
        PREFECT_LOGGING_LEVEL,
        PREFECT_LOGGING_TO_API_ENABLED,
        temporary_settings,
    )

    for name in ("prefect", "prefect.flow_runs", "prefect.task_runs"):
        logging.getLogger(name).setLevel(log_level)
    logging.getLogger("prefect.flow_runs").addFilter(_told_without_traceback)
    # The embedded server ends with the run: nobody needs heartbeats to see that the run is alive, or its logs.
    alone = {PREFECT_HOME: home, PREFECT_LOGGING_TO_API_ENABLED: False, PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}
    embedded = alone if home else {}
    with temporary_settings({PREFECT_API_URL: url, PREFECT_LOGGING_LEVEL: log_level, **embedded}):
        yield


def _told_without_traceback(record: logging.LogRecord) -> bool:
    """Errors that speak to the user need no traceback through Prefect, and a run that was asked to stop has no error."""
    from flows.blocks import RunFailed
    from flows.drain import Interrupted

    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, (Interrupted, RunFailed)):
        record.exc_info = record.exc_text = None
    return not isinstance(error, Interrupted)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _die_with_parent() -> None:
    """A run that is killed must not leave its server behind (Linux; elsewhere the server outlives a SIGKILL)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PARENT_DEATH_SIGNAL, signal.SIGTERM)


def server_environment(home: Path) -> dict[str, str]:
    """Environment of a server that keeps its database in ``home`` and reports to nobody."""
    return {
        **os.environ,
        "PREFECT_HOME": str(home),
        "PREFECT_API_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{home / 'prefect.db'}",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
    }


def _start(url: str, home: Path) -> subprocess.Popen[bytes]:
    port = url.rsplit(":", 1)[1].split("/")[0]
    with (home / "server.log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", port, "--no-ui"],
            env=server_environment(home),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_die_with_parent,
        )


def _wait_until_healthy(url: str, server: subprocess.Popen[bytes] | None, log: Path | None = None) -> None:
    deadline = time.monotonic() + (START_SECONDS if server else 10)
    while time.monotonic() < deadline:
        if server is not None and server.poll() is not None:
            break
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    if server is None:
        raise ServerError(f"no Prefect server answers at PREFECT_API_URL = {url}; start it, or unset it to run embedded")
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
