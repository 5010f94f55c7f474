"""What a run costs besides its teachers, and what planning costs, as one Markdown page.

Panoramas of 64x32 pixels and a teacher that sleeps 50 ms a panorama: all else is overhead. Run from the project's root::

    python -m benchmarks.runs.overhead [--quick] > benchmarks/results/runs/overhead.md
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml

from benchmarks.runs.direct import ingested, make_all, source_of, steps_over
from configs.pipeline import Config
from flows.plan import make_plan
from storage.items import Item, blocks_of
from storage.manifest import place, write_manifest
from storage.receipts import Receipt, write_receipt
from storage.rows import ItemRow
from tasks.ingest.ingest import manifest_url
from tasks.ingest.sources import list_source
from tasks.pipeline import load

TEACHER_SECONDS = 0.05
CHILD = "import sys; from benchmarks.runs.overhead import {function}; {function}(sys.argv[1])"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a tenth of everything, to see that it works")
    scale = 10 if parser.parse_args().quick else 1
    command = " ".join(["python -m benchmarks.runs.overhead", *sys.argv[1:]])
    print(f"# Overhead of runs and plans\n\n{os.cpu_count()} cores, CPU; {date.today().isoformat()}; `{command}`.\n")
    with tempfile.TemporaryDirectory() as folder:
        print_runs(Path(folder), scale)
        print_memory(Path(folder), scale)
        print_plans(Path(folder), scale)


def print_runs(folder: Path, scale: int) -> None:
    """Runs of 64 and 1,000 panoramas at two block sizes."""
    print(
        f"""## Runs with a teacher of {1000 * TEACHER_SECONDS:.0f} ms

One worker thread, all stages, ingest included; the start of the embedded Prefect server is not. *Directly*: the same
functions over the same blocks, without Prefect. *Outside* the teacher and *main thread* (processor time of the thread that the
flow runs in): a panorama. *Prefect's share*: (through the flow - directly) / through the flow.

| panoramas | in a block | through the flow | directly | teacher | outside | main thread | Prefect's share |
|---|---|---|---|---|---|---|---|"""
    )
    for count in (64, 1000 // scale):
        for size in (16, 64):
            run = measured(folder / f"run-{count}-{size}", count, size)
            outside = 1000 * (run.flow - run.teacher) / count
            print(
                f"| {count:,} | {size} | {run.flow:.1f} s | {run.direct:.1f} s | {run.teacher:.1f} s | {outside:.1f} ms "
                f"| {1000 * run.main_thread / count:.1f} ms | {100 * (run.flow - run.direct) / run.flow:.1f} % |",
                flush=True,
            )


def print_memory(folder: Path, scale: int) -> None:
    """Peak memory of runs of 60 and of 600 blocks."""
    print(
        "\n## Memory of a run\n\nBlocks of 4 panoramas, a teacher that takes no time; peak of the process that runs the flow.\n"
    )
    print("| blocks | peak memory | growth |\n|---|---|---|")
    first = None
    for blocks in (60 // scale, 600 // scale):
        path = write_config(folder / f"memory-{blocks}", 4 * blocks, 4, 0.0)
        said = child("run_and_say_peak", path)
        first = first or said["peak"]
        print(f"| {blocks} | {said['peak'] / 1e6:.0f} MB | {said['peak'] / first:.2f}x |", flush=True)


def print_plans(folder: Path, scale: int) -> None:
    """Plans of finished stores."""
    print(
        """
## Plans of a store in which nothing changed

`panolabel plan CONFIG` as a user calls it, start of Python included. The store holds a manifest and a receipt for every block
of every stage, written by this script; the source is a folder of files.

| panoramas | in a block | blocks | wall time | peak memory |
|---|---|---|---|---|"""
    )
    for count, size in ((10_000 // scale, 16), (1_000_000 // scale, 512)):
        path = write_finished_store(folder / f"plan-{count}", count, size)
        started = time.monotonic()
        process = subprocess.Popen([sys.executable, "-m", "flows.cli", "plan", str(path), "--check"], stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.monotonic() - started
        assert status == 0, "the store is complete, so the plan must be empty"
        print(f"| {count:,} | {size} | {-(-count // size):,} | {wall:.1f} s | {usage.ru_maxrss / 1e3:.0f} MB |", flush=True)
        shutil.rmtree(path.parent)


@dataclass(frozen=True)
class Measured:
    """Seconds: wall time through the flow and directly, what the teacher slept, processor time of the flow's main thread."""

    flow: float
    direct: float
    teacher: float
    main_thread: float


def measured(folder: Path, count: int, block_size: int) -> Measured:
    """One run through the flow and one directly, of two stores from the same panoramas."""
    path = write_config(folder, count, block_size, TEACHER_SECONDS)
    flow = child("run_and_say_peak", path)
    direct = child("make_directly", path)
    return Measured(flow["seconds"], direct["seconds"], count * TEACHER_SECONDS, flow["main_thread"])


def child(function: str, path: Path) -> dict[str, Any]:
    """What a function of this module prints about a config, in a process of its own."""
    process = subprocess.run(
        [sys.executable, "-c", CHILD.format(function=function), str(path)], capture_output=True, text=True, check=False
    )
    assert process.returncode == 0, process.stdout + process.stderr
    return dict(json.loads(process.stdout.splitlines()[-1]))


def run_and_say_peak(path: str) -> None:
    """Run the pipeline; a small run goes before it, so that imports are not measured."""
    from flows.running.server.embedded import prefect_server

    config = load(path)
    small = load(write_config(Path(path).parent / "small", 2, 2, 0.0))
    with prefect_server(), tempfile.TemporaryDirectory():
        from flows.pipeline import pipeline

        pipeline(small, "warm-up")
        started, processor = time.monotonic(), time.thread_time()
        assert threading.current_thread() is threading.main_thread()
        pipeline(config, "measured")
        took = {"seconds": time.monotonic() - started, "main_thread": time.thread_time() - processor}
    print(json.dumps({**took, "peak": 1000 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}))


def make_directly(path: str) -> None:
    """Make every block of every stage by calling its function."""
    from flows.report import found_by, write_run_report
    from flows.stores.record import RunRecord

    small = load(write_config(Path(path).parent / "small2", 2, 2, 0.0))
    config = load(path, {"root": str(Path(path).parent / "direct")})
    for one in (small, config):
        started = time.monotonic()
        blocks = ingested(one)
        record = RunRecord(one, "direct")
        plan = make_plan(one)
        record.planned(plan)
        for _ in make_all(one, blocks):
            pass
        plan.receipts.forget()
        record.finished("completed", **write_run_report(one, record, found_by(one, plan, plan.steps)))
    print(json.dumps({"seconds": time.monotonic() - started}))


def write_config(folder: Path, count: int, block_size: int, seconds: float) -> Path:
    """Panoramas and a config of one worker thread."""
    (folder / "images").mkdir(parents=True)
    generator = np.random.default_rng(0)
    for number in range(count):
        cv2.imwrite(str(folder / "images" / f"{number:07d}.png"), generator.integers(0, 256, (32, 64, 3)).astype(np.uint8))
    return write_yaml(folder, block_size, seconds)


def write_yaml(folder: Path, block_size: int, seconds: float) -> Path:
    """The config alone."""
    path = folder / "overhead.yaml"
    teacher = {
        "stage": "label",
        "kind": "benchmarks.runs.sleeping_teacher:load",
        "fields": ["depth"],
        "settings": {"seconds": seconds},
    }
    stages = {
        "ingest": {"source": {"url": str(folder / "images")}, "block_size": block_size, "min_width": 64},
        "project": {"patch_size": 16, "layout": {"kind": "cubemap", "fov_degrees": 100}},
        "sleep": teacher,
        "fuse": {"height": 32},
        "evaluate": {},
    }
    execution = {"runner": {"workers": 1}, "pictures": 1}
    config = {"name": "overhead", "root": str(folder / "store"), "stages": stages, "execution": execution}
    path.write_text(yaml.safe_dump(config, sort_keys=False))
    return path


def write_finished_store(folder: Path, count: int, block_size: int) -> Path:
    """Empty files as a source, and a manifest and receipts as if all were done."""
    (folder / "images").mkdir(parents=True)
    for number in range(count):
        (folder / "images" / f"{number:07d}.png").touch()
    path = write_yaml(folder, block_size, 0.0)
    config = load(path)
    items = [
        Item(entry.item, entry.uri, f"{number:064x}", 32, 64, entry.size, entry.stamp)
        for number, entry in enumerate(list_source(str(folder / "images")))
    ]
    placed = place([], items, block_size)
    write_manifest(manifest_url(source_of(config)), placed)
    write_receipts(config, placed)
    return path


def write_receipts(config: Config, items: Sequence[Item]) -> None:
    """A receipt for every block of every stage."""
    made = {"run": "none", "started": 0.0, "seconds": 1.0, "device": "cpu", "versions": {}, "python": ""}
    for step in steps_over(config, blocks_of(items)):
        identity = step.stage.identity
        for block in step.blocks:
            rows = [ItemRow(item.item, "done") for item in block.items]
            receipt = Receipt(
                identity.stage, identity.fingerprint, block.name, rows, {}, {}, {**made, "identity": identity.as_json()}
            )
            write_receipt(step.stage.block_url(block.name), receipt)


if __name__ == "__main__":
    main()
