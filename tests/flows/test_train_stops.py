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

from flows.running.server import _die_with_parent
from tests.flows.test_train import labels, run, write_training  # noqa: F401  (two fixtures)
from tests.support.processes import until

SETTINGS = ("--set", "training.steps=24", "--set", "training.checkpoint_every=5", "--json")


def checkpoints(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.rglob("step-*.pt"))


def steps_told(folder: Path) -> int:
    return max((len(json.loads(file.read_text())) for file in folder.rglob("log.json")), default=0)


def stopped_by(number: signal.Signals, command: list[str], when: Callable[[], bool]) -> tuple[int, str]:
    """Exit code and errors of a process that gets a signal as soon as something is so."""
    process = subprocess.Popen(
        [sys.executable, "-m", "flows.cli", *command],
        preexec_fn=_die_with_parent,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    until(lambda: when() or process.poll() is not None)
    process.send_signal(number)
    return process.wait(120), process.communicate()[1]


@pytest.mark.slow
def test_a_training_that_is_killed_terminated_or_interrupted_goes_on(labels: Path, tmp_path: Path, run: Callable) -> None:  # noqa: F811
    command = ["train", str(write_training(tmp_path, labels)), *SETTINGS]
    assert stopped_by(signal.SIGKILL, command, lambda: bool(checkpoints(tmp_path)))[0] == -signal.SIGKILL
    assert checkpoints(tmp_path) == ["step-00000005.pt"]
    code, errors = stopped_by(signal.SIGTERM, command, lambda: steps_told(tmp_path) >= 7)
    assert code == 130, errors
    assert "stopped after step" in errors
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
    plan = json.loads(run(*command, "--plan")[1])
    assert (plan["state"], f"step-{plan['step']:08d}.pt") == ("interrupted", checkpoints(tmp_path)[-1])
    assert plan["reasons"] == ["the last run interrupted"]
    code, out, _ = run(*command)
    assert (code, json.loads(out)["steps"]) == (0, 24)
