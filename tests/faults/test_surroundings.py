"""A disk that is full, and a Prefect server that is away or cannot write: labels and receipts stay right."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from flows.plan import make_plan
from flows.running.server.embedded import _free_port, _start, _stop, _wait_until_healthy
from flows.stores.items import verify_store
from tests.support.faulty import switch
from tests.support.pipelines import load, run_pipeline, without_fingerprints
from tests.support.processes import holder, start_run, write_faulty_pipeline

Seen = Callable[[str], None]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MB."""
    folder = tmp_path / "store"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "none", str(folder)], capture_output=True, check=False)
    if mounted.returncode != 0:
        pytest.skip("mounting a small tmpfs needs root and the right to mount")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.slow
@pytest.mark.fault("Disk full", expected="nothing more is submitted; no receipt; path and bytes named; a later run goes on")
def test_a_full_disk_stops_the_run(tmp_path: Path, small_disk: Path, prefect_api: str, seen: Seen) -> None:
    path = write_faulty_pipeline(tmp_path, 24)
    switch(tmp_path, hold_on="p00")
    run = start_run(path, {"PREFECT_API_URL": prefect_api}, execution__runner__workers=1)
    holder(tmp_path, "p00", run)
    filler = small_disk / "filler"
    with filler.open("wb", buffering=0) as file:
        for piece in (1 << 20, 1 << 12):
            with suppress(OSError):
                while True:
                    file.write(b"x" * piece)
    switch(tmp_path)
    assert run.wait(120) == 1
    told = (tmp_path / "stderr").read_text()
    labels = list((small_disk / "stages" / "label.geometry").rglob("receipt.json"))
    assert labels == []
    line = told[told.rindex("RunFailed: ") :]
    assert str(small_disk) in line
    assert "bytes free" in line
    filler.unlink()
    run_pipeline(load(path))
    assert not make_plan(load(path)).anything_to_run
    assert all(damage is None for _, damage in verify_store(load(path)))
    seen(f"0 receipts of 12 blocks; '{line.strip().replace(str(tmp_path), '')[:150]}'; with room again the next run completes")


@contextmanager
def server(home: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A Prefect server of its own, which may be harmed."""
    home.mkdir()
    url = f"http://127.0.0.1:{_free_port()}/api"
    process = _start(url, home)
    try:
        _wait_until_healthy(url, process, home / "server.log")
        yield url, process
    finally:
        _stop(process)


@pytest.mark.slow
@pytest.mark.fault("Prefect's API does not answer for a while", expected="compute drains; receipts hold; a further run completes")
def test_prefect_may_be_away_for_a_while(tmp_path: Path, prefect_api: str, seen: Seen) -> None:
    path = write_faulty_pipeline(tmp_path)
    switch(tmp_path, hold_on="p00")
    with server(tmp_path / "prefect") as (url, process):
        run = start_run(path, {"PREFECT_API_URL": url})
        holder(tmp_path, "p00", run)
        os.killpg(process.pid, signal.SIGSTOP)
        try:
            switch(tmp_path)
            time.sleep(5)
            during = len(list((tmp_path / "store/stages/label.geometry").rglob("receipt.json")))
        finally:
            os.killpg(process.pid, signal.SIGCONT)
        returned = run.wait(180)
    _holds(path, tmp_path / "calm")
    assert during >= 1, "a block in work is finished without Prefect"
    fate = "the run itself survives" if returned == 0 else "the run fails loudly"
    seen(f"5 s without an answer: {during} blocks finished meanwhile; {fate} (exit code {returned}); bytes identical")


@pytest.mark.slow
@pytest.mark.fault("Prefect's database is locked", expected="compute drains; receipts hold; a further run completes")
def test_prefects_database_may_be_locked(tmp_path: Path, prefect_api: str, seen: Seen) -> None:
    path = write_faulty_pipeline(tmp_path)
    switch(tmp_path, hold_on="p00")
    with server(tmp_path / "prefect") as (url, _):
        run = start_run(path, {"PREFECT_API_URL": url})
        holder(tmp_path, "p00", run)
        database = sqlite3.connect(tmp_path / "prefect" / "prefect.db", timeout=20, isolation_level=None)
        database.execute("BEGIN EXCLUSIVE")
        switch(tmp_path)
        time.sleep(5)
        during = len(list((tmp_path / "store/stages/label.geometry").rglob("receipt.json")))
        database.execute("ROLLBACK")
        database.close()
        returned = run.wait(180)
    _holds(path, tmp_path / "calm")
    assert during >= 1
    fate = "the run itself survives" if returned == 0 else "the run fails loudly"
    seen(f"locked for 5 s: {during} blocks finished meanwhile; {fate} (exit code {returned}); bytes identical")


def _holds(path: Path, calm: Path) -> None:
    """What has its receipt stays, a further run completes, and the bytes are those of an undisturbed run."""
    stamps = {file: file.stat().st_mtime_ns for file in (path.parent / "store").rglob("receipt.json")}
    run_pipeline(load(path))
    assert all(file.stat().st_mtime_ns == stamp for file, stamp in stamps.items())
    undisturbed = write_faulty_pipeline(calm)
    run_pipeline(load(undisturbed))
    assert without_fingerprints(path.parent / "store") == without_fingerprints(calm / "store")
