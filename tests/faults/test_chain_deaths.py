"""`panolabel run` of the whole chain, killed at any moment: the next run goes on, to the bytes of one that nobody disturbed."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from flows.plan import make_plan
from flows.running.server.embedded import _die_with_parent
from tasks.pipeline import load
from tests.support.chains import write_chain
from tests.support.pipelines import data_bytes, run_pipeline
from tests.support.processes import until

KILLS = int(os.environ.get("PANOLABEL_KILLS", "4"))
LONGER = {"train": {"steps": 12}, "adapt": {"checkpoint_every": 1}}
Seen = Callable[[str], None]


def start(path: Path, prefect_api: str) -> subprocess.Popen[bytes]:
    """`panolabel run`, from a folder of its own."""
    environment = {**os.environ, "PREFECT_API_URL": prefect_api}
    command = [sys.executable, "-m", "flows.cli", "run", str(path)]
    with (path.parent / "stderr").open("a") as errors:
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors, env=environment, preexec_fn=_die_with_parent)


def made(path: Path, stage: str) -> int:
    return len(list((path.parent / "store/stages").glob(f"{stage}/*/*/receipt.json")))


def checkpoints(path: Path) -> list[Path]:
    return sorted((path.parent / "store/checkpoints").rglob("step-*.pt"))


def labelling(path: Path) -> bool:
    return made(path, "label.geometry") > 0


def writing(path: Path) -> bool:
    """Some arrays of a fused block are there, and its receipt is not."""
    folders = {file.parents[2] for file in (path.parent / "store/stages/fuse").glob("*/*/data.zarr/*/zarr.json")}
    return any(not (folder / "receipt.json").exists() for folder in folders) or made(path, "fuse") > 1


def training(path: Path) -> bool:
    return bool(checkpoints(path)) and not made(path, "train")


def adapting(path: Path) -> bool:
    return bool(checkpoints(path)) and made(path, "train") == 1


def killed_when(met: Callable[[Path], bool], path: Path, prefect_api: str) -> None:
    run = start(path, prefect_api)
    until(lambda: met(path), run, folder=path.parent)
    run.send_signal(signal.SIGKILL)
    assert run.wait() == -signal.SIGKILL


def killed_after(receipts: int, seconds: float, path: Path, run: subprocess.Popen[bytes]) -> bool:
    """Kill a run some time after so many blocks are there; False if it ended before."""
    until(lambda: len(list(path.parent.rglob("receipt.json"))) >= receipts or run.poll() is not None)
    try:
        run.wait(seconds)
    except subprocess.TimeoutExpired:
        run.send_signal(signal.SIGKILL)
    return run.wait() == -signal.SIGKILL


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for all, since fingerprints hold the places of weights."""
    return tmp_path_factory.mktemp("chain")


@pytest.fixture(scope="module")
def undisturbed(folder: Path, prefect_api: str) -> dict[str, bytes]:
    """The bytes of a chain's run that nobody disturbed."""
    run_pipeline(load(write_chain(folder, **LONGER)))
    return data_bytes(folder / "store")


@pytest.fixture
def path(folder: Path, undisturbed: dict[str, bytes]) -> Path:
    """The same chain before its run."""
    return anew(folder)


def anew(folder: Path) -> Path:
    shutil.rmtree(folder)
    return write_chain(folder, **LONGER)


@pytest.mark.slow
@pytest.mark.fault("SIGKILL during a training of a chain", expected="the next run goes on from the checkpoint; the same bytes")
def test_killed_while_it_trains(path: Path, prefect_api: str, undisturbed: dict[str, bytes], seen: Seen) -> None:
    killed_when(training, path, prefect_api)
    left = [file.name for file in checkpoints(path)]
    assert left, "what the next run goes on from"
    run_pipeline(load(path))
    assert not checkpoints(path)
    assert data_bytes(path.parent / "store") == undisturbed
    seen(f"killed after {left[-1]}; bytes of all {len(undisturbed)} files identical")


@pytest.mark.slow
@pytest.mark.fault("SIGKILL of a chain in any of its parts", expected="the bytes of an undisturbed run; no rework")
def test_killed_in_every_part(path: Path, prefect_api: str, undisturbed: dict[str, bytes], seen: Seen) -> None:
    for part in (labelling, writing, training, adapting):
        before = {file: file.stat().st_mtime_ns for file in path.parent.rglob("receipt.json")}
        killed_when(part, path, prefect_api)
        assert {file: file.stat().st_mtime_ns for file in before} == before, "a finished block was made again"
    run_pipeline(load(path))
    assert not make_plan(load(path)).anything_to_run
    assert data_bytes(path.parent / "store") == undisturbed
    seen("killed while it labelled, wrote, trained and adapted: bytes identical")


@pytest.mark.slow
@pytest.mark.fault("SIGKILL of a chain at random moments", expected="the bytes of an undisturbed run; no rework")
def test_killed_at_random_moments(path: Path, prefect_api: str, undisturbed: dict[str, bytes], seen: Seen) -> None:
    generator, kills, moments = random.Random(2), 0, []
    total = 24
    while kills < KILLS:
        finished = len(list(path.parent.rglob("receipt.json")))
        wanted = finished + generator.randint(0, total // 3)
        run = start(path, prefect_api)
        if killed_after(wanted, generator.uniform(0, 1), path, run):
            kills += 1
            moments.append(len(list(path.parent.rglob("receipt.json"))))
            continue
        assert run.returncode == 0, (path.parent / "stderr").read_text()
        assert data_bytes(path.parent / "store") == undisturbed
        anew(path.parent)
    run_pipeline(load(path))
    assert data_bytes(path.parent / "store") == undisturbed
    seen(f"{kills} kills after {moments} receipts: bytes identical")
