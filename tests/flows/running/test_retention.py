"""The database of a server does not grow for ever: runs that ended long ago go, with their logs and artifacts."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from flows.running.server.embedded import (
    RETENTION,
    _die_with_parent,
    _free_port,
    _wait_until_healthy,
    server_command,
    server_environment,
)
from tests.support.processes import until

DAYS = int(RETENTION["PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD"]) // 86400
SENDING = """
from prefect import flow, get_run_logger
from prefect.artifacts import create_markdown_artifact
@flow
def told():
    get_run_logger().info("a line")
    create_markdown_artifact("text", key="text")
told.with_options(flow_run_name="old")()
told.with_options(flow_run_name="young")()
"""


@pytest.mark.slow
def test_runs_that_ended_long_ago_are_forgotten(tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{(port := _free_port())}/api"
    environment = {**server_environment(tmp_path), "PREFECT_SERVER_SERVICES_DB_VACUUM_LOOP_SECONDS": "1"}
    log = tmp_path / "server.log"
    with log.open("wb") as said:
        command = server_command(str(port), "--no-ui")
        server = subprocess.Popen(command, env=environment, stdout=said, stderr=said, preexec_fn=_die_with_parent)
    try:
        _wait_until_healthy(url, server, log)
        subprocess.run([sys.executable, "-c", SENDING], env={**environment, "PREFECT_API_URL": url}, check=True)
        until(lambda: count(url, "logs") >= 2)
        assert (count(url, "flow_runs"), count(url, "artifacts")) == (2, 2)
        for name, days in (("old", DAYS + 1), ("young", DAYS - 1)):
            ended = datetime.now(UTC) - timedelta(days=days)
            with closing(sqlite3.connect(tmp_path / "prefect.db", timeout=30)) as database, database:
                database.execute("UPDATE flow_run SET end_time = ? WHERE name = ?", (f"{ended:%Y-%m-%d %H:%M:%S.%f}", name))
        until(lambda: count(url, "flow_runs") == 1)
        until(lambda: count(url, "artifacts") == 1)
        [left] = httpx.post(f"{url}/flow_runs/filter", json={}).json()
        assert left["name"] == "young"
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(30)


def count(url: str, what: str) -> int:
    """How many of a thing the server has."""
    answer = httpx.post(f"{url}/{what}/filter", json={})
    answer.raise_for_status()
    return len(answer.json())
