"""A Prefect server that goes away in the middle of a run: the work is done, and the command ends soon after it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.plan import make_plan
from flows.running.server import embedded
from storage.records.runs import latest_run
from tests.support.faulty import switch
from tests.support.pipelines import load
from tests.support.processes import holder, until, write_faulty_pipeline


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A server of its own, and its URL."""
    home = tmp_path / "prefect"
    home.mkdir()
    url = f"http://127.0.0.1:{embedded._free_port()}/api"
    process = embedded._start(url, home)
    try:
        embedded._wait_until_healthy(url, process, home / "server.log")
        yield url, process
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("by", "task_runs"),
    [(signal.SIGKILL, 1000), (signal.SIGSTOP, 1000), (signal.SIGKILL, 2)],
    ids=["killed", "stopped", "in-parts"],
)
def test_the_command_ends_soon_after_its_work_and_says_what_was_not_told(
    by: signal.Signals, task_runs: int, tmp_path: Path, server: tuple[str, subprocess.Popen[bytes]]
) -> None:
    url, process = server
    path, root = write_faulty_pipeline(tmp_path, 12), str(tmp_path / "store")
    switch(tmp_path, hold_on="p03")
    command = [sys.executable, "-m", "flows.cli", "run", str(path), "--set", f"execution.task_runs_per_flow_run={task_runs}"]
    environment = {**os.environ, "PREFECT_API_URL": url}
    with (tmp_path / "stderr").open("w") as errors:
        run = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True, preexec_fn=embedded._die_with_parent
        )
    try:
        holder(tmp_path, "p03", run)
        os.killpg(process.pid, by)
        switch(tmp_path)
        until(lambda: (latest_run(root) or {})["state"] == "completed", run, folder=tmp_path)
        done = time.monotonic()
        output, _ = run.communicate(timeout=120)
        took = time.monotonic() - done
    finally:
        run.kill()
    told = (tmp_path / "stderr").read_text()
    record = latest_run(root)
    assert record is not None
    assert run.returncode == 0, told
    assert took < 45, "15 s of patience, and what an idle machine needs besides"
    assert f"server at {url} does not answer any more" in told
    assert f"{root}/runs/{record['run']}.json has it all" in told
    assert "Traceback" not in told
    assert record["run"] in output
    assert not make_plan(load(path)).anything_to_run
