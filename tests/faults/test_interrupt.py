"""Ctrl-C on the real command line: the first drains, the second stops at once."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from flows.plan import make_plan
from tests.support.faulty import switch
from tests.support.pipelines import load, run_pipeline
from tests.support.processes import holder, until, write_faulty_pipeline

Seen = Callable[[str], None]


def start_command(path: Path, prefect_api: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "flows.cli", "run", str(path), "--set", "execution.runner.workers=1"]
    environment = {**os.environ, "PREFECT_API_URL": prefect_api}
    with (path.parent / "stderr").open("w") as errors:
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors, env=environment)


def labels(path: Path) -> int:
    return len(list((path.parent / "store" / "stages" / "label.geometry").rglob("receipt.json")))


DRAINS = "what is in work is finished; summary, the command to go on with, exit code 130"


INTERRUPT = pytest.mark.fault("Ctrl-C", expected=DRAINS)
TERMINATE = pytest.mark.fault("SIGTERM, as a scheduler of machines sends it", expected=DRAINS)


@pytest.mark.parametrize(
    "number",
    [
        pytest.param(signal.SIGINT, marks=INTERRUPT, id="SIGINT"),
        pytest.param(signal.SIGTERM, marks=[TERMINATE, pytest.mark.slow], id="SIGTERM"),
    ],
)
def test_one_signal_drains(number: signal.Signals, tmp_path: Path, prefect_api: str, seen: Seen) -> None:
    path = write_faulty_pipeline(tmp_path, 20)
    switch(tmp_path, hold_on="p00")
    run = start_command(path, prefect_api)
    holder(tmp_path, "p00", run)
    run.send_signal(number)
    until(lambda: "blocks in work are being finished" in (tmp_path / "stderr").read_text(), run, folder=tmp_path)
    switch(tmp_path)
    assert run.wait(120) == 130
    told = (tmp_path / "stderr").read_text()
    assert re.search(r"stopped at stage (project, )?geometry(, classes)?; what is done stays done", told)
    assert f"To go on: panolabel run {path}" in told
    assert "Traceback" not in told
    done = labels(path)
    assert 1 <= done <= 3, "the window is finished, and nothing new is begun"
    run_pipeline(load(path))
    assert not make_plan(load(path)).anything_to_run
    seen(f"{done} of 10 blocks, those submitted, finished; exit code 130; the next run does the other {10 - done}")


@pytest.mark.slow
@pytest.mark.fault("Second Ctrl-C", expected="stops at once; the block in work stays invisible")
def test_a_second_interrupt_stops_at_once(tmp_path: Path, prefect_api: str, seen: Seen) -> None:
    import time

    path = write_faulty_pipeline(tmp_path, 4)
    switch(tmp_path, hold_on="p00")
    run = start_command(path, prefect_api)
    holder(tmp_path, "p00", run)
    run.send_signal(signal.SIGINT)
    until(lambda: "blocks in work are being finished" in (tmp_path / "stderr").read_text(), run, folder=tmp_path)
    asked = time.monotonic()
    run.send_signal(signal.SIGINT)
    try:
        returned = run.wait(60)
    finally:
        run.kill()
        run.wait()
    seconds = time.monotonic() - asked
    assert returned == 130
    assert labels(path) == 0
    switch(tmp_path)
    run_pipeline(load(path))
    assert not make_plan(load(path)).anything_to_run
    seen(f"gone {seconds:.1f} s later while an item was still held; no receipt; the next run completes")
