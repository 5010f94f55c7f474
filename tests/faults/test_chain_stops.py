"""A run that is asked to stop while it trains, wherever that happens: a checkpoint, no error, and the next run goes on."""

from __future__ import annotations

import json
import logging
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from flows.plan import make_plan
from flows.running.server.embedded import _die_with_parent
from storage.records.runs import latest_run
from tasks.pipeline import load
from tasks.stage.attempts import stopping
from tasks.stage.attempts.guard import run_guarded
from tasks.stage.attempts.stopping import Stopped, stop_url
from tasks.stage.job import Job
from tests.support.chains import write_chain
from tests.support.processes import until

Seen = Callable[[str], None]
LONG = {"train": {"steps": 2000, "checkpoint_every": 2000, "log_every": 1}}


def checkpoints(folder: Path) -> list[str]:
    return sorted(file.name for file in (folder / "store/checkpoints").rglob("step-*.pt"))


def is_training(folder: Path) -> bool:
    return any(json.loads(file.read_text() or "{}") for file in (folder / "store/checkpoints").rglob("log.json"))


def step_of(name: str) -> int:
    return int(name.removeprefix("step-").removesuffix(".pt"))


@pytest.mark.fault("The file `stops/<run>` in the store", expected="the training leaves a checkpoint; the run is interrupted")
def test_a_run_whose_stop_file_is_there_leaves_a_checkpoint_and_no_error(
    tmp_path: Path, prefect_api: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, seen: Seen
) -> None:
    from flows.pipeline import pipeline

    monkeypatch.setattr(stopping, "LOOK_SECONDS", 0.02)
    path = write_chain(tmp_path, **LONG)
    over = threading.Event()

    def stop() -> None:
        while not over.wait(0.02):
            if is_training(tmp_path):
                Path(stop_url(load(path).root, "chosen")).parent.mkdir(exist_ok=True)
                Path(stop_url(load(path).root, "chosen")).touch()
                return

    thread = threading.Thread(target=stop)
    thread.start()
    logging.getLogger("prefect.task_runs").addHandler(caplog.handler)
    try:
        state = pipeline(load(path), "chosen", return_state=True)
        assert state.is_cancelled()
        assert re.match(r"stopped at stage train; stopped after step \d+ of 2000; its checkpoint is in", str(state.message))
    finally:
        over.set()
        thread.join()
        logging.getLogger("prefect.task_runs").removeHandler(caplog.handler)
    (left,) = checkpoints(tmp_path)
    assert 0 < step_of(left) < 2000
    record = latest_run(load(path).root, "chain")
    assert record is not None
    assert (record["state"], record["failures"]) == ("interrupted", [])
    assert not [line for line in caplog.records if line.name.startswith("prefect.task_runs") and line.levelno >= logging.ERROR]
    assert not (tmp_path / "store/stops/chosen").exists()
    assert make_plan(load(path)).owed["train"]
    seen(f"{left}; the run ends as interrupted, with no error in the log")


@pytest.mark.slow
@pytest.mark.fault(
    "SIGTERM and Ctrl-C while a worker of Dask trains", expected="a checkpoint, exit code 130; the next run goes on from it"
)
def test_a_signal_reaches_a_training_on_a_worker_of_dask(tmp_path: Path, prefect_api: str, seen: Seen) -> None:
    path = write_chain(tmp_path, **LONG)
    left = []
    for group in (False, True):  # Ctrl-C goes to all processes of the terminal
        before = checkpoints(tmp_path)
        logged = max((file.stat().st_mtime_ns for file in tmp_path.rglob("log.json")), default=0)
        run = start(path, prefect_api, "execution.runner={kind: dask, workers: 1}")
        until(
            lambda logged=logged: any(file.stat().st_mtime_ns > logged for file in tmp_path.rglob("log.json")),
            run,
            folder=tmp_path,
        )
        os.killpg(run.pid, signal.SIGINT) if group else run.send_signal(signal.SIGTERM)
        assert run.wait(300) == 130, (tmp_path / "stderr").read_text()
        left.append(checkpoints(tmp_path)[-1])
        assert left[-1] > (before or [""])[-1]
        assert not list((tmp_path / "store/stops").iterdir())
        said = (tmp_path / "stderr").read_text()
        assert re.search(r"stopped at stage (\w+, )*train; stopped after step", said)
        assert "Traceback" not in said
        assert "ERROR" not in said
    assert latest_run(load(path).root, "chain")["state"] == "interrupted"  # type: ignore[index]
    seen(f"{left[0]}, then {left[1]}, each with exit code 130")


@pytest.mark.slow
def test_a_training_in_a_guarded_child_stops_too(tmp_path: Path, prefect_api: str) -> None:
    path = write_chain(tmp_path, **LONG)
    start(path, prefect_api, "train.steps=2").wait(300)
    config = load(path)
    plan = make_plan(config)
    step = plan.step("train")
    told: list[str] = []
    stop = Path(stop_url(config.root, "guarded"))
    stop.parent.mkdir()

    def tell(line: str) -> None:
        told.append(line)
        stop.touch()

    from tasks.stage.attempts.telling import telling

    with telling(tell), pytest.raises(Stopped, match="stopped after step"):
        run_guarded(Job(step.stage, step.blocks[0], "guarded", config.execution))
    assert told[0].startswith("step 1 of 2000: ")
    assert checkpoints(tmp_path)


def start(path: Path, prefect_api: str, *settings: str) -> subprocess.Popen[bytes]:
    options: list[Any] = [word for one in settings for word in ("--set", one)]
    environment = {**os.environ, "PREFECT_API_URL": prefect_api}
    with (path.parent / "stderr").open("a") as errors:
        return subprocess.Popen(
            [sys.executable, "-m", "flows.cli", "run", str(path), *options],
            stdout=subprocess.DEVNULL, stderr=errors, env=environment, preexec_fn=_die_with_parent, start_new_session=True,
        )  # fmt: skip


@pytest.mark.slow
@pytest.mark.fault("SIGKILL of one of several processes that train", expected="the block is tried again from its checkpoint")
def test_a_killed_process_of_a_training_is_tried_again_from_the_checkpoint(tmp_path: Path, prefect_api: str, seen: Seen) -> None:
    path = write_chain(tmp_path, train={"steps": 200, "checkpoint_every": 2, "log_every": 1, "processes": 2})
    run = start(path, prefect_api)
    until(lambda: checkpoints(tmp_path), run, folder=tmp_path)
    children = [one for one in psutil.Process(run.pid).children(recursive=True) if "tasks.train.processes" in one.cmdline()]
    assert len(children) == 2
    children[1].kill()
    left = checkpoints(tmp_path)[-1]
    assert run.wait(600) == 0, (tmp_path / "stderr").read_text()
    assert not make_plan(load(path)).anything_to_run
    seen(f"killed after {left}; the same run ends well")
