"""How labelling scales over Dask workers, as one Markdown page.

A teacher that sleeps stands for a device that is busy: it shows what the scheduler, Prefect and the store add. The demo teacher
shows real work on the cores there are. Run from the project's root::

    python -m benchmarks.runs.scaling [--workers 1 2 4 8 16 32] > benchmarks/results/runs/scaling.md
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

import cv2
import numpy as np
import psutil
import yaml
from prefect import flow

from benchmarks.runs.direct import ingested, steps_over
from benchmarks.runs.overhead import write_config
from configs.execution import Runner
from configs.pipeline import Config
from configs.trial import Trial
from flows.plan import make_plan
from flows.running.engine import Engine
from flows.running.files.reading import Reading
from flows.running.measures.chips import Chips
from flows.running.measures.efficiency import Efficiency
from flows.running.planning import Planning
from flows.running.server.embedded import prefect_server
from flows.running.watch import Watch
from flows.running.workers import Workers, start_workers
from flows.stores.record import RunRecord
from flows.telling.lineage_events import RunEvents
from flows.telling.run_log import RunLog
from storage.items import Block
from tasks.pipeline import load
from tasks.stage.job import Job
from tasks.stage.kind import Stage

BLOCK = 16
TEACHER_SECONDS = 1.0
BLOCKS_PER_WORKER = 3


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4, 8, 16, 32], help="workers with the sleeping teacher")
    counts = parser.parse_args().workers
    command = " ".join(["python -m benchmarks.runs.scaling", *sys.argv[1:]])
    print(f"# Labelling over Dask workers\n\n{os.cpu_count()} cores, CPU; {date.today().isoformat()}; `{command}`.\n")
    print("Worker processes of a `LocalCluster`, started and warm (all imports done) before the clock; the label stage alone.")
    with tempfile.TemporaryDirectory() as folder, prefect_server():
        print_simulated(Path(folder), counts)
        print_cost_of_a_block(Path(folder))
        print_real(Path(folder))


def print_simulated(folder: Path, counts: list[int]) -> None:
    """Efficiency with the sleeping teacher."""
    cores = os.cpu_count()
    print(
        f"""
## A teacher that sleeps {TEACHER_SECONDS:g} s a panorama

Blocks of {BLOCK}, {BLOCKS_PER_WORKER} blocks a worker, window of 2 blocks a worker. Efficiency: the teacher's time over workers x
wall time. *Cores busy*: with all processes of the run, server and scheduler included; at {cores} the machine has no more to give,
and decoding, cutting, writing and Prefect wait for each other instead of for the teacher.

| workers | blocks | wall time | efficiency | cores busy |
|---|---|---|---|---|"""
    )
    for count in counts:
        blocks = BLOCKS_PER_WORKER * count
        config = load(write_config(folder / f"sleep-{count}", BLOCK * blocks, BLOCK, TEACHER_SECONDS))
        wall, busy = time_to_label(config, count)
        ideal = BLOCKS_PER_WORKER * BLOCK * TEACHER_SECONDS
        print(f"| {count} | {blocks} | {wall:.1f} s | {ideal / wall:.3f} | {busy / wall:.2f} |", flush=True)


def print_cost_of_a_block(folder: Path, blocks: int = 200) -> None:
    """Blocks of one panorama of no work: what is left is the cost of a task run."""
    print(
        f"""
## What a block costs

{blocks} blocks of one panorama of 64x32 pixels and a teacher that takes no time. *Directly*: the same function, called.

| runner | workers | milliseconds a block | without the block's own work |
|---|---|---|---|"""
    )
    own = 1000 * seconds_directly(prepared(load(write_config(folder / "own", blocks, 1, 0.0)))) / blocks
    print(f"| directly | 1 | {own:.1f} | |")
    for kind, count in (("threads", 1), ("dask", 1), ("dask", 2)):
        config = load(write_config(folder / f"cost-{kind}-{count}", blocks, 1, 0.0))
        each = 1000 * time_to_label(config, count, kind)[0] / blocks
        print(f"| {kind} | {count} | {each:.1f} | {each - own / min(count, os.cpu_count() or 1):.1f} |", flush=True)


def print_real(folder: Path, count: int = 48) -> None:
    """The demo teacher on the cores there are."""
    print(
        f"""
## The demo teacher, real work

{count} panoramas of 512x256 pixels, 20 views of 192 pixels, blocks of 4; one thread a worker.

| workers | wall time | speed-up | efficiency |
|---|---|---|---|"""
    )
    first = None
    for workers in (1, 2):
        wall, _ = time_to_label(demo_config(folder / f"demo-{workers}", count), workers, threads=1)
        first = first or wall
        print(f"| {workers} | {wall:.1f} s | {first / wall:.2f} | {first / wall / workers:.2f} |", flush=True)


def time_to_label(config: Config, workers: int, kind: str = "dask", threads: int | None = None) -> tuple[float, float]:
    """Wall time of the label stage through Prefect on warm workers, and processor time of all processes of ours."""
    config = prepared(config)
    runner = Runner(kind=kind, workers=workers) if kind == "dask" else Runner(workers=workers)
    with start_workers(runner) as started:
        warm(started, threads)
        stage, _ = _labelled(config)

        @flow(name="scaling")
        def label() -> None:
            events, log = RunEvents(config, "scaling"), RunLog(config.root, "scaling")
            reading = Reading({}, [], events, started, config.execution.task_runs_per_flow_run)
            planning = Planning(config, False, Trial(stage=stage.key), reading, RunRecord(config, "scaling"))
            Engine(config, planning, "scaling", None, started, events, reading, Watch(), log, Efficiency(runner, Chips())).make()

        begin, busy = time.monotonic(), processor_time()
        label()
        return time.monotonic() - begin, processor_time() - busy


def processor_time() -> float:
    """Seconds of this process and of those that it started."""
    ours = [psutil.Process(), *psutil.Process().children(recursive=True)]
    return sum(sum(process.cpu_times()[:2]) for process in ours)


def seconds_directly(config: Config) -> float:
    """Wall time of the label stage's function over all blocks."""
    stage, blocks = _labelled(config)
    begin = time.monotonic()
    for block in blocks:
        stage.make(Job(stage, block, "scaling", config.execution))
    return time.monotonic() - begin


def _labelled(config: Config) -> tuple[Stage, tuple[Block, ...]]:
    """The stage of the teacher, and its blocks."""
    step = next(step for step in make_plan(config).steps if step.stage.name.startswith("label."))
    return step.stage, step.blocks


def prepared(config: Config) -> Config:
    """The config, its panoramas ingested and projected."""
    project = steps_over(config, ingested(config))[0]
    for block in project.blocks:
        project.stage.make(Job(project.stage, block, "scaling", config.execution))
    return config


def warm(workers: Workers, threads: int | None) -> None:
    """Let every worker import what a block needs."""
    if workers.client:
        workers.client.wait_for_workers(workers.settings.workers)
        workers.client.run(_import_all, threads)


def _import_all(threads: int | None) -> None:
    import torch

    import tasks.label.label  # noqa: F401

    if threads:
        torch.set_num_threads(threads)
        cv2.setNumThreads(threads)


def demo_config(folder: Path, count: int) -> Config:
    """Random panoramas and the demo teacher."""
    (folder / "images").mkdir(parents=True)
    generator = np.random.default_rng(0)
    for number in range(count):
        coarse = generator.integers(0, 256, (8, 16, 3)).astype(np.uint8)
        cv2.imwrite(str(folder / "images" / f"{number:04d}.png"), cv2.resize(coarse, (512, 256), interpolation=cv2.INTER_CUBIC))
    fields = ["depth", "normals", "semantics"]
    config = {
        "name": "scaling",
        "root": str(folder / "store"),
        "stages": {
            "ingest": {"source": {"url": str(folder / "images")}, "block_size": 4},
            "project": {"patch_size": 192, "layout": {"kind": "icosahedron", "fov_degrees": 90}},
            "dense": {"stage": "label", "kind": "transformers", "fields": fields, "settings": {"model": "demo"}},
        },
    }
    (folder / "scaling.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    return load(folder / "scaling.yaml")


if __name__ == "__main__":
    main()
