"""`panolabel train` as a process that is killed, terminated and interrupted: every time the next run goes on."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from storage.receipts import read_receipt
from tasks.stage.attempts.children import die_with_parent
from tests.flows.test_train import labels, run, write_training  # noqa: F401  (two fixtures)
from tests.support.pipelines import load, run_pipeline
from tests.support.processes import until

SETTINGS = ("--set", "train.steps=24", "--set", "train.checkpoint_every=5", "--json")


def checkpoints(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.rglob("step-*.pt"))


def steps_told(folder: Path) -> int:
    return max((len(json.loads(file.read_text())) for file in folder.rglob("log.json")), default=0)


def stopped_by(number: signal.Signals, command: list[str], when: Callable[[], bool]) -> tuple[int, str]:
    """Exit code and errors of a process that gets a signal as soon as something is so."""
    process = subprocess.Popen(
        [sys.executable, "-m", "flows.cli", *command],
        preexec_fn=die_with_parent,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    until(lambda: when() or process.poll() is not None)
    process.send_signal(number)
    return process.wait(120), process.communicate()[1]


@pytest.mark.slow
def test_a_training_that_is_killed_terminated_or_interrupted_goes_on(labels: Path, tmp_path: Path, run: Callable) -> None:  # noqa: F811
    command = ["run", str(write_training(labels, "stops", tmp_path)), *SETTINGS]
    assert run(*command[:2], "--set", "train.steps=1")[0] == 0  # labels, once
    assert stopped_by(signal.SIGKILL, command, lambda: bool(checkpoints(tmp_path)))[0] == -signal.SIGKILL
    assert checkpoints(tmp_path) == ["step-00000005.pt"]
    code, errors = stopped_by(signal.SIGTERM, command, lambda: steps_told(tmp_path) >= 7)
    assert code == 130, errors
    assert "stopped at stage train" in errors
    terminated = checkpoints(tmp_path)[-1]
    assert terminated > "step-00000006.pt"

    def stop() -> None:
        until(lambda: checkpoints(tmp_path)[-1] > terminated)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=stop)
    thread.start()
    code, _, errors = run(*command)
    thread.join()
    assert code == 130, errors
    kept = checkpoints(tmp_path)[-1]
    plan = json.loads(run("plan", *command[1:])[1])
    assert {row["stage"]: row["to_run"] for row in plan["stages"] if row["to_run"]} == {"train": 1}
    assert kept > terminated
    code, out, _ = run(*command)
    record = json.loads(out)
    assert (code, record["found"]["train"]["steps"]) == (0, 24)
    whole = run_pipeline(load(write_training(labels, "whole", tmp_path / "whole", steps=24, checkpoint_every=5)))
    one, other = (Path(each["found"]["train"]["model"], "model.safetensors").read_bytes() for each in (record, whole))
    assert one == other
    assert not checkpoints(tmp_path)


@pytest.mark.slow
def test_a_training_of_two_processes_is_a_stage_like_any(labels: Path, tmp_path: Path, prefect_api: str) -> None:  # noqa: F811
    record = run_pipeline(load(write_training(labels, "two", batch=1, processes=2)))
    assert record["state"] == "completed"
    receipt = read_receipt(str(Path(record["found"]["train"]["model"]).parent))
    assert (receipt.about["processes"], receipt.about["steps"]) == (2, 4)
