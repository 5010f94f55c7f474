"""A power cut keeps what was synced: data goes to the disk before the receipt that vouches for it, as the kernel sees it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.pipelines import load, run_pipeline
from tests.support.processes import write_faulty_pipeline

MAKE = """
import sys
from pathlib import Path
from flows.plan import make_plan
from tasks.stage.job import Job
from tests.support.pipelines import load
config = load(Path(sys.argv[1]))
plan = make_plan(config)
stage = next(stage for stage in plan.definitions if stage.key == "geometry")
stage.make(Job(stage, plan.blocks[0], "test", config.execution))
"""


@pytest.mark.fault("Power loss", expected="data is synced before the receipt is renamed into place")
def test_every_data_file_is_synced_before_the_receipt(tmp_path: Path, prefect_api: str, seen: Callable[[str], None]) -> None:
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    path = write_faulty_pipeline(tmp_path, 2)
    run_pipeline(load(path))
    (receipt,) = (tmp_path / "store/stages/label.geometry").rglob("receipt.json")
    names = [str(file) for file in receipt.parent.rglob("*") if file.is_file() and file != receipt]
    receipt.unlink()
    shutil.rmtree(receipt.parent / "data.zarr")
    trace = tmp_path / "trace"
    traced = ["strace", "-f", "-y", "-s", "400", "-o", str(trace), "-e", "trace=fsync,fdatasync,rename,renameat,renameat2"]
    command = [*traced, sys.executable, "-c", MAKE, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if not receipt.exists() and "ptrace" in done.stderr.lower():
        pytest.skip("this environment lets nobody trace a process")
    assert receipt.exists(), done.stderr
    lines = trace.read_text().splitlines()
    last = next(number for number, line in enumerate(lines) if "rename" in line and f'"{receipt}"' in line)
    synced = {found[1] for line in lines[:last] if (found := re.search(r"f(?:data)?sync\(\d+<([^>]+)>", line))}
    assert set(names) <= synced, set(names) - synced
    seen(f"{len(names)} of {len(names)} data files fsynced before the rename of the receipt (strace)")
