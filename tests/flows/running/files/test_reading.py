"""Blocks are made while files of others are read; what comes of it is what comes of reading all files first."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from flows.errors import RunFailed
from storage.items import blocks_of
from storage.manifest import read_manifest
from storage.receipts import existing_receipts
from tasks.ingest.ingest import manifest_url
from tests.support.gate import Gate, listed
from tests.support.pipelines import load, run_pipeline, without_fingerprints, write_pipeline
from tests.support.processes import until
from tests.support.stages import source_of

FILES = 48
"""Three groups; a file of the last is held back."""


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    with listed(tmp_path, FILES, "p40.png") as gate:
        yield gate


def fused(store: Path) -> list[str]:
    """Names of the blocks that are fused, and whose receipts are there."""
    return [path.parent.name for path in store.glob("stages/fuse/*/*/receipt.json")]


def open_once(gate: Gate, store: Path, blocks: int, seen: list[list[str]]) -> None:
    """Open the gate once so many blocks are fused, or nothing came of waiting; what was fused by then goes to ``seen``."""
    end = time.monotonic() + 60
    while time.monotonic() < end and len(fused(store)) < blocks:
        time.sleep(0.05)
    seen.append(fused(store))
    gate.open.set()


@pytest.mark.parametrize(
    ("runner", "size", "task_runs", "blocks"),
    [
        ("threads", 8, 1000, 4),
        pytest.param("threads", 4, 40, 4, marks=pytest.mark.slow),
        pytest.param("dask", 4, 1000, 6, marks=pytest.mark.slow),
    ],
    ids=["one flow", "flows within it", "dask"],
)
def test_blocks_are_fused_while_a_file_of_others_is_read(
    tmp_path: Path, prefect_api: str, gate: Gate, runner: str, size: int, task_runs: int, blocks: int
) -> None:
    told: dict[str, Any] = {"source": {"url": str(tmp_path / "list.csv")}, "block_size": size}
    path = write_pipeline(tmp_path, 1, **told)
    config = load(path, execution__task_runs_per_flow_run=task_runs, execution__runner__kind=runner)
    store, seen = tmp_path / "store", list[list[str]]()
    opener = threading.Thread(target=open_once, args=(gate, store, blocks, seen))
    opener.start()
    record = run_pipeline(config)
    opener.join()
    assert len(seen[0]) >= blocks, "the 32 files before the group of p40 make whole blocks"
    assert record["state"] == "completed"
    log = (store / "runs" / f"{record['run']}.log").read_text()
    assert "fuse: begins" in log
    assert "and more as files are read" in log
    placed = [block.name for block in blocks_of(read_manifest(manifest_url(source_of(config))))]
    assert sorted(fused(store)) == placed == record["blocks"]["ingest"]
    assert set(seen[0]) < set(placed), "no block was made twice under other names"
    planned = {row["stage"]: row["to_run"] for row in record["plan"]["stages"] if row["stage"] != "ingest"}
    assert planned == {row["stage"]: row["ran"] for row in record["stages"]}, "the plan of the record is that of the whole run"
    assert set(planned.values()) == {FILES // size}
    assert all(row["reasons"] for row in record["plan"]["stages"] if row["to_run"])

    undisturbed = load(write_pipeline(tmp_path / "other", 1, **told))
    run_pipeline(undisturbed)
    mine, theirs = without_fingerprints(store), without_fingerprints(tmp_path / "other" / "store")
    assert {name: data for name, data in mine.items() if name.startswith("fuse")} == {
        name: data for name, data in theirs.items() if name.startswith("fuse")
    }


@pytest.mark.slow
def test_a_source_that_fails_in_the_middle_fails_the_run_but_not_what_was_read(
    tmp_path: Path, prefect_api: str, gate: Gate
) -> None:
    gate.open.set()
    gate.broken.add("p40.png")
    path = write_pipeline(tmp_path, 1, source={"url": str(tmp_path / "list.csv")}, block_size=4)
    config = load(path)
    with pytest.raises((OSError, RunFailed), match="p40"):
        run_pipeline(config)
    made = fused(tmp_path / "store")
    assert len(made) >= 4
    gate.broken.clear()
    record = run_pipeline(config)
    assert {row["stage"]: row["cached"] for row in record["stages"]}["fuse"] == len(made)
    assert len(existing_receipts(config.root, "fuse", Path(next((tmp_path / "store/stages/fuse").iterdir())).name)) == FILES // 4


RUN = """
import sys
from pathlib import Path
from tests.support.pipelines import load, run_pipeline
run_pipeline(load(Path(sys.argv[1])))
"""


@pytest.mark.slow
@pytest.mark.fault("SIGKILL while files are read and blocks are made", expected="the bytes of an undisturbed run; no rework")
def test_killed_at_random_moments_while_files_are_read(tmp_path: Path, prefect_api: str, seen: Callable[[str], None]) -> None:
    environment = {**os.environ, "PREFECT_API_URL": prefect_api}

    def start(path: Path) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-c", RUN, str(path)], env=environment, stderr=subprocess.DEVNULL)

    undisturbed = write_pipeline(tmp_path / "undisturbed", FILES, block_size=4)
    assert start(undisturbed).wait() == 0
    expected = without_fingerprints(tmp_path / "undisturbed/store")
    path = write_pipeline(tmp_path / "killed", FILES, block_size=4)
    store, generator, kills, placed = tmp_path / "killed/store", random.Random(3), 0, set[int]()
    while True:
        finished = {file: file.stat().st_mtime_ns for file in store.rglob("receipt.json")}
        run = start(path)
        wanted = len(finished) + generator.randint(1, 12)
        until(partial(_reached, run, store, wanted))
        with suppress(subprocess.TimeoutExpired):
            run.wait(generator.uniform(0, 0.5))
        run.kill()
        returned = run.wait()
        placed.add(len(list(store.rglob("placed-*.parquet"))))
        assert all(file.stat().st_mtime_ns == stamp for file, stamp in finished.items()), "a finished block was made again"
        if returned == 0:
            break
        kills += 1
    assert kills >= 2
    assert without_fingerprints(store) == expected
    manifests = [read_manifest(manifest_url(source_of(load(one)))) for one in (path, undisturbed)]
    assert [(one.item, one.block, one.slot) for one in manifests[0]] == [(one.item, one.block, one.slot) for one in manifests[1]]
    seen(f"{kills} kills, with {sorted(placed)} parts placed: nothing made twice, bytes and places identical")


def _reached(run: subprocess.Popen[bytes], store: Path, receipts: int) -> bool:
    return len(list(store.rglob("receipt.json"))) >= receipts or run.poll() is not None
