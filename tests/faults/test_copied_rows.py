"""A run that is killed while it copies rows; the next one goes on, and the bytes are those of a store made anew."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.runs.changes import add_column, change_pixel, write_config, write_images
from benchmarks.runs.direct import carry_out
from flows.plan import make_plan
from tasks.pipeline import load
from tests.support.pipelines import data_bytes
from tests.support.processes import until

KILLS = 6
RUN = "import sys; from benchmarks.runs.direct import carry_out; from tasks.pipeline import load; carry_out(load(sys.argv[1]))"


def killed_while_copying(path: Path, stage: str, wait: float) -> bool:
    """Start a run, and kill it a while after it began to write a block of the stage; whether it still ran."""
    folder = path.parent / "store/stages" / stage
    before = {*folder.glob("*/*/data.zarr")}
    process = subprocess.Popen([sys.executable, "-c", RUN, str(path)], env=dict(os.environ))
    until(lambda: {*folder.glob("*/*/data.zarr")} - before or process.poll() is not None)
    time.sleep(wait)
    process.send_signal(signal.SIGKILL)
    return process.wait() == -signal.SIGKILL


@pytest.mark.slow
@pytest.mark.fault("SIGKILL while rows are copied", expected="the next run goes on; bytes as if made anew")
def test_killed_while_rows_are_copied_the_bytes_are_those_made_anew(tmp_path: Path, seen: Callable[[str], None]) -> None:
    path = write_config(tmp_path, 64)
    images, store, other = tmp_path / "images", tmp_path / "store", tmp_path / "anew"
    write_images(images, [f"p{number:04d}" for number in range(64)])
    carry_out(load(path))
    generator, kills = random.Random(0), 0
    for number in range(KILLS):
        change_pixel(images / f"p{number:04d}.png")
        stage = ("project", "label.teacher", "fuse")[number % 3]
        kills += killed_while_copying(path, stage, generator.uniform(0, 0.1))
        if number % 2:
            carry_out(load(path))
    add_column(images)
    kills += killed_while_copying(path, "label.teacher", 0.05)
    carry_out(load(path))
    assert not make_plan(load(path)).anything_to_run
    shutil.copytree(store / "stages/ingest", other / "stages/ingest")
    carry_out(load(path, {"root": str(other)}))
    anew, now = data_bytes(other), data_bytes(store)
    assert {name: now.get(name) for name in anew} == anew
    assert kills > KILLS // 2, "runs must be killed before they end"
    seen(f"{kills} kills while rows were copied: bytes as made anew")
