"""Workers, schedulers and runs that die at the worst moment, on real processes; and two that are alive at once."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from flows.plan import make_plan
from flows.stores.items import verify_store
from tests.support.faulty import journal, switch
from tests.support.pipelines import data_bytes, load, run_pipeline, without_fingerprints
from tests.support.processes import cluster, holder, start_run, until, write_faulty_pipeline

pytestmark = pytest.mark.usefixtures("prefect_api")
Seen = Callable[[str], None]
DASK = {"kind": "dask", "workers": 2}


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory, prefect_api: str) -> dict[str, bytes]:
    """The bytes of an undisturbed run over six panoramas."""
    path = write_faulty_pipeline(tmp_path_factory.mktemp("undisturbed"))
    run_pipeline(load(path))
    return without_fingerprints(path.parent / "store")


def labels(path: Path) -> list[Path]:
    return sorted((path.parent / "store" / "stages" / "label.geometry").rglob("receipt.json"))


@pytest.mark.slow
@pytest.mark.fault("SIGKILL of a worker in the middle of a shard", expected="invisible; that block runs again")
def test_a_dask_worker_killed_in_a_shard_costs_its_block_only(
    tmp_path: Path, prefect_api: str, expected: dict[str, bytes], seen: Seen
) -> None:
    path = write_faulty_pipeline(tmp_path)
    switch(tmp_path, hold_on="p03")  # the second item of its block: the shard is begun
    run = start_run(path, {"PREFECT_API_URL": prefect_api}, execution__runner=DASK)
    worker = holder(tmp_path, "p03", run)
    assert worker != run.pid
    until(lambda: len(labels(path)) == 2, run, folder=tmp_path)
    assert len(list((tmp_path / "store/stages/label.geometry").rglob("attempts.json"))) == 1
    os.kill(worker, signal.SIGKILL)
    switch(tmp_path)
    assert run.wait(180) == 0, (tmp_path / "stderr").read_text()
    assert without_fingerprints(tmp_path / "store") == expected
    times = Counter(item for _, item in journal(tmp_path))
    assert times == {"p00": 1, "p01": 1, "p02": 2, "p03": 2, "p04": 1, "p05": 1}
    seen("no receipt at the kill; 1 of 3 blocks made again by itself, the other 4 items looked at once; bytes identical")


@pytest.mark.slow
@pytest.mark.fault("Poison item that kills its worker", expected="found and quarantined; the others done exactly once")
def test_a_poison_item_is_found_and_the_others_are_done_once(tmp_path: Path, seen: Seen) -> None:
    path = write_faulty_pipeline(tmp_path)
    switch(tmp_path, kill_on="p03")
    record = run_pipeline(load(path, execution__runner=DASK))
    assert [(row["item"], "killed its process twice (SIGKILL)" in row["reason"]) for row in record["quarantined"]] == [
        ("p03", True)
    ]
    states = Counter(row["state"] for file in labels(path) for row in json.loads(file.read_text())["items"])
    assert states == {"done": 5, "quarantined": 1}
    times = Counter(item for _, item in journal(tmp_path))
    assert {item: times[item] for item in ("p00", "p01", "p04", "p05")} == dict.fromkeys(("p00", "p01", "p04", "p05"), 1)
    assert times["p03"] == 3, "once on the worker, twice in a process of its own"
    seen(f"quarantined after {times['p03']} deaths; the 4 items of other blocks seen once, its neighbour {times['p02']} times")


@pytest.mark.slow
@pytest.mark.fault("SIGKILL of the scheduler", expected="the run fails loudly; the next one resumes")
def test_a_killed_scheduler_fails_the_run_and_the_next_one_resumes(
    tmp_path: Path, prefect_api: str, expected: dict[str, bytes], seen: Seen
) -> None:
    path = write_faulty_pipeline(tmp_path)
    switch(tmp_path, hold_on="p03")
    with cluster(tmp_path) as (address, scheduler, _):
        runner = {**DASK, "cluster": "address", "address": address}
        run = start_run(path, {"PREFECT_API_URL": prefect_api}, execution__runner=runner)
        holder(tmp_path, "p03", run)
        until(lambda: len(labels(path)) == 2, run, folder=tmp_path)
        scheduler.send_signal(signal.SIGKILL)
        returned = run.wait(180)
    told = (tmp_path / "stderr").read_text()
    assert returned == 1, told
    stamps = {file: file.stat().st_mtime_ns for file in (tmp_path / "store").rglob("receipt.json")}
    switch(tmp_path)
    run_pipeline(load(path))
    assert all(file.stat().st_mtime_ns == stamp for file, stamp in stamps.items()), "what had its receipt is not made again"
    assert without_fingerprints(tmp_path / "store") == expected
    seen(f"the run exits with 1 ({told.strip().splitlines()[-1][:90]}); the next keeps all {len(stamps)} receipts; same bytes")


@pytest.mark.slow
@pytest.mark.fault("SIGKILL between data and receipt", expected="invisible; the same bytes are written again")
def test_killed_between_data_and_receipt_the_bytes_are_the_same(tmp_path: Path, prefect_api: str, seen: Seen) -> None:
    """The process stops there by itself: it opens two named pipes to sync them, and nobody writes to the second."""
    path = write_faulty_pipeline(tmp_path, 2)
    config, store = load(path), tmp_path / "store"
    run_pipeline(config)
    before = data_bytes(store)
    (receipt,) = labels(path)
    folder, data = receipt.parent, {name: one for name, one in before.items() if "/label.geometry/" in name}
    receipt.unlink()
    shutil.rmtree(folder / "data.zarr")
    pipes = [folder / ".one", folder / ".two"]
    for pipe in pipes:
        os.mkfifo(pipe)
    run = start_run(path, {"PREFECT_API_URL": prefect_api})
    until(lambda: any(_has_reader(pipe) for pipe in pipes), run, folder=tmp_path)
    assert not receipt.exists()
    assert {name: (store / name).read_bytes() for name in data} == data, "all data is there"
    run.send_signal(signal.SIGKILL)
    assert run.wait() == -signal.SIGKILL
    for pipe in pipes:
        pipe.unlink()
    plan = {row.stage: row.to_run for row in make_plan(config).stages}
    assert plan["geometry"] == 1, "data without a receipt is not there"
    inodes = {name: (store / name).stat().st_mtime_ns for name in data}
    run_pipeline(config)
    assert data_bytes(store) == before
    rewritten = sum((store / name).stat().st_mtime_ns != stamp for name, stamp in inodes.items())
    assert rewritten > 0
    seen(f"all {len(data)} files complete, no receipt: owed; {rewritten} files written again, bytes identical")


def _has_reader(pipe: Path) -> bool:
    try:
        os.close(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))
    except OSError:
        return False
    return True


@pytest.mark.fault("Two live attempts at one block", expected="identical bytes, one receipt")
def test_two_runs_at_once_make_the_same_bytes(tmp_path: Path, prefect_api: str, expected: dict[str, bytes], seen: Seen) -> None:
    path = write_faulty_pipeline(tmp_path)
    switch(tmp_path, hold_on="p00")
    runs = [start_run(path, {"PREFECT_API_URL": prefect_api}) for _ in range(2)]
    until(lambda: len({process for process, item in journal(tmp_path) if item == "p00"}) == 2, *runs, folder=tmp_path)
    switch(tmp_path, sleep=0.05)
    assert [run.wait(180) for run in runs] == [0, 0], (tmp_path / "stderr").read_text()
    assert without_fingerprints(tmp_path / "store") == expected
    assert len(labels(path)) == 3
    assert all(damage is None for _, damage in verify_store(load(path)))
    seen("two processes held in the same block at once: both exit with 0, one receipt, bytes identical, verify finds nothing")
