"""Several processes of one training: they learn what others started by hand do, stop, and tell what went wrong."""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from storage.receipts import damage
from tasks.train.checkpoints import load_checkpoint
from tasks.train.labels.data import LabelStore
from tasks.train.processes import in_processes
from tasks.train.progress import Diverged, Log, Stopped
from tasks.train.train import train_block
from tests.support.label_store import write_label_store
from tests.support.processes import until
from tests.support.trainings import training
from tests.tasks.train.test_loop import ALIKE, MEANS, run, same

HERE = "tests.tasks.train.test_processes"
DATA = replace(ALIKE, batch_size=1)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> LabelStore:
    return write_label_store(tmp_path_factory.mktemp("train") / "labels", count=8, splits=("train", "train", "train", "val"))


def learn(argument: tuple[LabelStore, str, dict[str, Any]], log: Log, stop: Callable[[], bool]) -> Any:
    """Train a small student, which is returned as its weights."""
    store, url, changes = argument
    return run(store, url, replace(MEANS, **changes), log, DATA, stop)[0]


def learn_slowly(argument: Any, log: Log, stop: Callable[[], bool]) -> Any:
    """So that there is time to stop it; the second process notes who it is."""
    Path(argument[1], f"process-{os.environ['RANK']}").write_text(str(os.getpid()))

    def tell(step: int, figures: Any) -> None:
        log(step, figures)
        time.sleep(0.2)

    return learn(argument, tell, stop)


def learn_and_die(argument: Any, log: Log, stop: Callable[[], bool]) -> Any:
    """The second process is killed after the third step."""

    def tell(step: int, figures: Any) -> None:
        log(step, figures)
        if os.environ["RANK"] == "1" and step == 3:
            os.kill(os.getpid(), signal.SIGKILL)

    return learn(argument, tell, stop)


def learn_and_fail(argument: Any, log: Log, stop: Callable[[], bool]) -> Any:
    """The second process finds damage, and the first one only that it is alone."""

    def tell(step: int, figures: Any) -> None:
        if os.environ["RANK"] == "1" and step == 3:
            raise OSError(5, "the disk of the second process is broken")

    return learn(argument, tell, stop)


@pytest.fixture(scope="module")
def whole(store: LabelStore, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The weights that two processes learn without an interruption."""
    return in_processes(2, f"{HERE}:learn", (store, str(tmp_path_factory.mktemp("whole")), {}))


LAUNCHED = """
import pickle, sys, torch
from tests.tasks.train.test_processes import learn
argument = pickle.load(open(sys.argv[1], "rb"))
torch.save(learn(argument, lambda *_: None, lambda: False), sys.argv[2])
"""


@pytest.mark.slow
def test_they_learn_what_processes_that_a_launcher_starts_learn(store: LabelStore, whole: Any, tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(LAUNCHED)
    (tmp_path / "work").write_bytes(pickle.dumps((store, str(tmp_path / "run"), {})))
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    command = [*launch, str(tmp_path / "script.py"), str(tmp_path / "work"), str(tmp_path / "weights")]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert same(torch.load(tmp_path / "weights"), whole)


@pytest.mark.slow
def test_they_stop_together_and_go_on_to_the_same_bytes(store: LabelStore, whole: Any, tmp_path: Path) -> None:
    steps: list[int] = []

    def begin() -> Any:
        argument = (store, str(tmp_path), {})
        return in_processes(
            2, f"{HERE}:learn_slowly", argument, lambda step, _: steps.append(step), lambda: bool(steps and steps[-1] >= 2)
        )

    with ThreadPoolExecutor(1) as thread, pytest.raises(Stopped, match=r"stopped after step \d of 6; its checkpoint is in"):
        thread.submit(begin).result()
    state = load_checkpoint(str(tmp_path))
    assert state is not None
    stopped = state["progress"]["step"]
    assert 2 <= stopped < 6
    assert sorted(set(steps)) == list(range(1, stopped + 1))
    assert same(in_processes(2, f"{HERE}:learn", (store, str(tmp_path), {})), whole)


@pytest.mark.slow
def test_a_killed_process_fails_the_training_which_goes_on_from_its_checkpoint(
    store: LabelStore, whole: Any, tmp_path: Path
) -> None:
    with pytest.raises(ChildProcessError, match=r"process 2 of 2 of the training died \(SIGKILL\); run again: it goes on"):
        in_processes(2, f"{HERE}:learn_and_die", (store, str(tmp_path), {}))
    state = load_checkpoint(str(tmp_path))
    assert state is not None
    assert state["progress"]["step"] == 2
    assert same(in_processes(2, f"{HERE}:learn", (store, str(tmp_path), {})), whole)


@pytest.mark.slow
def test_what_one_of_them_raises_comes_back_as_it_is(store: LabelStore, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="the disk of the second process is broken") as caught:
        in_processes(2, f"{HERE}:learn_and_fail", (store, str(tmp_path / "damaged"), {}))
    assert caught.value.errno == 5
    assert any("learn_and_fail" in note for note in caught.value.__notes__)
    wild = {"learning_rate": 1e30, "clip": 1e30}
    with pytest.raises(Diverged, match="the loss is no number any more"):
        in_processes(2, f"{HERE}:learn", (store, str(tmp_path / "wild"), wild))


PARENT = """
import pickle, sys
from tasks.train.processes import in_processes
in_processes(2, "tests.tasks.train.test_processes:learn_slowly", pickle.load(open(sys.argv[1], "rb")))
"""


@pytest.mark.slow
def test_they_die_with_their_parent(store: LabelStore, tmp_path: Path) -> None:
    (tmp_path / "work").write_bytes(pickle.dumps((store, str(tmp_path), {"steps": 1000})))
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(tmp_path / "work")])
    until(lambda: (tmp_path / "step-00000002.pt").exists(), parent)
    children = [int((tmp_path / f"process-{rank}").read_text()) for rank in range(2)]
    assert all(Path(f"/proc/{child}").exists() for child in children)
    parent.kill()
    parent.wait()
    until(lambda: all(_gone(child) for child in children))


def _gone(process: int) -> bool:
    status = Path(f"/proc/{process}/status")
    try:
        return "State:\tZ" in status.read_text()
    except OSError:
        return True


@pytest.mark.slow
def test_a_training_of_two_processes_ends_with_a_sound_receipt(store: LabelStore, tmp_path: Path) -> None:
    one = training(tmp_path, store, batch=1, processes=2)
    receipt = train_block(one)
    assert sorted(json.loads(Path(one.url, "log.json").read_text())) == ["1", "2", "3", "4"]
    assert (receipt.about["processes"], receipt.about["steps"], receipt.made["run"]) == (2, 4, "run")
    assert damage(one.url, receipt) == []
