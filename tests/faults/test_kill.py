"""A run may be killed at any moment. The next one goes on, and the store ends up byte-identical to an undisturbed run."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from flows.plan import make_plan
from flows.stores.garbage import collect, find_garbage
from tests.support.pipelines import load, run_pipeline, without_fingerprints, write_pipeline
from tests.support.processes import cluster, start_run, until

KILLS = int(os.environ.get("PANOLABEL_KILLS", "4"))
"""Of the flow, and a fifth as many of a Dask cluster; ``make faults`` asks for 84 and so for 100 in all."""

RUN = """
import sys
from pathlib import Path
from tests.support.pipelines import load, run_pipeline
print("ready", flush=True)
run_pipeline(load(Path(sys.argv[1])))
"""


def start(path: Path) -> subprocess.Popen:
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, str(path)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=dict(os.environ)
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def receipts(store: Path) -> dict[Path, int]:
    """When each receipt was written."""
    return {file: file.stat().st_mtime_ns for file in store.rglob("receipt.json")}


def run_until(path: Path, blocks: int, seconds: float) -> int:
    """Return code of a run, which is killed some time after so many blocks are there."""
    process = start(path)
    until(lambda: len(receipts(path.parent / "store")) >= blocks or process.poll() is not None)
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        return process.wait()


@pytest.mark.slow
@pytest.mark.fault("SIGKILL of the flow", expected="the next run resumes, without rework; bytes as if undisturbed")
def test_killed_at_random_moments_the_store_is_as_if_undisturbed(
    tmp_path: Path, prefect_api: str, monkeypatch: pytest.MonkeyPatch, seen: Callable[[str], None]
) -> None:
    monkeypatch.setenv("PREFECT_API_URL", prefect_api)
    undisturbed = write_pipeline(tmp_path / "undisturbed", 12)
    started = time.monotonic()
    assert start(undisturbed).wait() == 0
    total = len(receipts(undisturbed.parent / "store"))
    of_a_block = (time.monotonic() - started) / total
    expected = without_fingerprints(undisturbed.parent / "store")

    generator, kills, stores, moments = random.Random(0), 0, 0, set()
    while kills < KILLS:
        stores += 1
        path = write_pipeline(tmp_path / f"killed{stores}", 12)
        store = path.parent / "store"
        while True:
            finished = receipts(store)
            moments.add(len(finished))
            returned = run_until(path, len(finished) + generator.randint(0, total // 4), generator.uniform(0, of_a_block))
            kills += returned == -signal.SIGKILL
            for file, stamp in finished.items():
                assert file.stat().st_mtime_ns == stamp, "a finished block was made again"
            if returned == 0:
                break
            assert returned == -signal.SIGKILL
            if kills >= KILLS:
                run_pipeline(load(path))
                break
        assert not make_plan(load(path)).anything_to_run
        assert without_fingerprints(store) == expected
        collect(load(path), find_garbage(load(path), older_than_hours=0))
        assert not list(store.rglob("*.partial"))
        assert without_fingerprints(store) == expected
    assert len(moments) > min(3, KILLS // 2), (
        f"the kills must fall at different points of the work; receipts seen: {sorted(moments)}"
    )
    seen(f"{kills} kills over {stores} stores: 0 blocks lost, 0 made twice once finished, bytes identical")


@pytest.mark.slow
@pytest.mark.fault(
    "SIGKILL of Dask workers and schedulers at random moments", expected="the bytes of an undisturbed run; no rework"
)
def test_a_cluster_killed_at_random_moments_loses_nothing(
    tmp_path: Path, prefect_api: str, monkeypatch: pytest.MonkeyPatch, seen: Callable[[str], None]
) -> None:
    monkeypatch.setenv("PREFECT_API_URL", prefect_api)
    undisturbed = write_pipeline(tmp_path / "undisturbed", 12)
    run_pipeline(load(undisturbed))
    expected = without_fingerprints(undisturbed.parent / "store")
    wanted = max(1, KILLS // 5)
    generator, kills, rounds = random.Random(1), {"worker": 0, "scheduler": 0}, 0
    while sum(kills.values()) < wanted:
        rounds += 1
        path = write_pipeline(tmp_path / f"killed{rounds}", 12)
        store = path.parent / "store"
        while make_plan(load(path)).anything_to_run:
            finished = receipts(store)
            with cluster(path.parent) as (address, scheduler, nanny):
                run = start_run(path, execution__runner={"kind": "dask", "workers": 2, "cluster": "address", "address": address})
                while run.poll() is None and sum(kills.values()) < wanted:
                    time.sleep(generator.uniform(0, 6))
                    victim = generator.choice(["worker", "worker", "worker", "scheduler"])
                    workers = [
                        child.pid for child in psutil.Process(nanny.pid).children() if "spawn_main" in str(child.cmdline())
                    ]
                    if run.poll() is None and workers:
                        os.kill(scheduler.pid if victim == "scheduler" else generator.choice(workers), signal.SIGKILL)
                        kills[victim] += 1
                        if victim == "scheduler":
                            break
                assert run.wait(300) in (0, 1), (path.parent / "stderr").read_text()
            for file, stamp in finished.items():
                assert file.stat().st_mtime_ns == stamp, "a finished block was made again"
        assert without_fingerprints(store) == expected
    seen(
        f"{kills['worker']} kills of workers, {kills['scheduler']} of schedulers, {rounds} stores: nothing lost, bytes identical"
    )
