"""A run of many items through kinds that write one number each, so that only plan, flow, receipts and a real server are measured.

The kinds come from a package of its own, as a user's would. Run from the project's root::

    python -m benchmarks.runs.simulated [--items 100000] > benchmarks/results/runs/simulated.md
"""

from __future__ import annotations

import argparse
import os
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import psutil
import yaml

from benchmarks.machine import machine

BLOCK_SIZE = 128
STAGES = ("first", "second", "third")
ROOT = Path(__file__).resolve().parents[2]
SECONDS_BETWEEN_LOOKS = 2.0
MODULE = '''
import numpy as np
from configs.settings import Settings
from tasks.stage.block import run_block
from tasks.stage.job import Output
from tasks.stage.kind import Edge, Kind
from tasks.stage.upstream import Upstream

class Numbers(Settings):
    """Nothing to set."""

def first(job):
    return run_block(job, lambda item, _: Output({"number": np.array([item.size], np.float32)}), {"unit": "bytes"})

def then(job):
    before = Upstream(job, job.input("before"))
    add = lambda item, read: Output({"number": read["number"] + 1})
    return run_block(job, add, {"unit": "bytes"}, read=lambda slot, _: before.item(slot))

FIRST = Kind("first", "1", Numbers, {"panoramas": Edge("panoramas")}, "first", make="panolabel_numbers:first")
SECOND = Kind("second", "1", Numbers, {"before": Edge("first")}, "second", make="panolabel_numbers:then")
THIRD = Kind("third", "1", Numbers, {"before": Edge("second")}, "third", make="panolabel_numbers:then")
'''
ENTRY_POINTS = "[panolabel.stages]\n" + "".join(f"{name} = panolabel_numbers:{name.upper()}\n" for name in STAGES)


@dataclass
class Seen:
    """What processes held at one moment of a run: bytes of the flow's process and of the server's, and blocks that were done."""

    seconds: float
    flow: int
    server: int
    blocks: int


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=100_000)
    count = parser.parse_args().items
    command = " ".join(["python -m benchmarks.runs.simulated", *sys.argv[1:]])
    print(f"# A simulated run\n\n{machine()}; {date.today().isoformat()}; `{command}`.\n", flush=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = write_pipeline(folder, count)
        with_server(folder, lambda environment, server: print_runs(folder, config, count, environment, server))


def write_pipeline(folder: Path, count: int) -> Path:
    """Pictures of 64x32 pixels, all of them different, the package, and a config of its kinds."""
    for number in range(count):
        place = folder / "images" / f"{number // 1000:04d}"
        place.mkdir(parents=True, exist_ok=True)
        pixels = np.full((32, 64, 3), number % 251, np.uint8)
        pixels[0, :4] = [[number >> shift & 255] * 3 for shift in (0, 8, 16, 24)]
        (place / f"{number:07d}.png").write_bytes(cv2.imencode(".png", pixels)[1].tobytes())
    site = folder / "site"
    (site / "panolabel_numbers-1.0.dist-info").mkdir(parents=True)
    (site / "panolabel_numbers.py").write_text(MODULE)
    (site / "panolabel_numbers-1.0.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: panolabel-numbers\nVersion: 1.0\n"
    )
    (site / "panolabel_numbers-1.0.dist-info" / "entry_points.txt").write_text(ENTRY_POINTS)
    (site / "panolabel_numbers-1.0.dist-info" / "RECORD").write_text("panolabel_numbers.py,,\n")
    stages: dict[str, Any] = {"ingest": {"source": {"url": str(folder / "images")}, "block_size": BLOCK_SIZE}}
    stages |= {name: {} for name in STAGES}
    config = folder / "numbers.yaml"
    config.write_text(yaml.safe_dump({"name": "numbers", "root": str(folder / "store"), "stages": stages}, sort_keys=False))
    return config


def with_server(folder: Path, use: Any) -> None:
    """A Prefect server with a home of its own for as long as ``use`` takes."""
    environment = {**os.environ, "PYTHONPATH": f"{folder / 'site'}:{ROOT}", "XDG_CACHE_HOME": str(folder / "cache")}
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    server = subprocess.Popen([sys.executable, "-m", "flows.deploying.ui", port], env=environment, stdout=subprocess.DEVNULL)
    environment["PREFECT_API_URL"] = f"http://127.0.0.1:{port}/api"
    try:
        until_healthy(environment["PREFECT_API_URL"])
        use(environment, psutil.Process(server.pid))
    finally:
        server.terminate()
        server.wait(30)


def until_healthy(url: str) -> None:
    """Wait for a server."""
    for _ in range(120):
        try:
            if httpx.get(f"{url}/health").json() is True:
                return
        except httpx.HTTPError:
            pass
        time.sleep(1)
    raise SystemExit("the Prefect server does not answer")


def print_runs(folder: Path, config: Path, count: int, environment: dict[str, str], server: psutil.Process) -> None:
    """A run that makes everything, and one that finds all there."""
    print(
        f"""{count:,} pictures of 64x32 pixels, {len(STAGES)} stages that write a number an item, blocks of {BLOCK_SIZE}, threads,
a Prefect server of its own on the same machine. *First block*: made by all stages, while pictures are read. *All*: every picture
read and decoded too. *Growth*: of the flow's process, from a quarter of the blocks on.

| run | first block | all | items a second | flow's memory | growth | server's memory | task runs | database |
|---|---|---|---|---|---|---|---|---|"""
    )
    for what in ("everything", "nothing changed"):
        seen, first, took = watched(folder, config, environment, server)
        quarter = next((one.flow for one in seen if one.blocks >= max(one.blocks for one in seen) / 4), seen[-1].flow)
        highest = max(one.flow for one in seen)
        tasks = httpx.post(f"{environment['PREFECT_API_URL']}/task_runs/count", json={}).json()
        database = sum(file.stat().st_size for file in (folder / "cache").rglob("prefect.db*"))
        rate, soon = (f"{count / took:,.0f}", f"{first:.0f} s") if what == "everything" else ("-", "-")
        cells = [what, soon, f"{took:.0f} s", rate, megabytes(highest)]
        cells.append(megabytes(highest - quarter) if what == "everything" else "-")
        cells += [megabytes(max(one.server for one in seen)), f"{tasks:,}", megabytes(database)]
        print(f"| {' | '.join(cells)} |", flush=True)
    print_answers(environment["PREFECT_API_URL"])


def watched(folder: Path, config: Path, environment: dict[str, str], server: psutil.Process) -> tuple[list[Seen], float, float]:
    """Run the pipeline; returns what was seen on the way, and the seconds until a block and until all was made."""
    begin = time.monotonic()
    command = [sys.executable, "-m", "flows.cli", "run", str(config)]
    with (folder / "said").open("w") as said:
        run = subprocess.Popen(command, env=environment, cwd=folder, stdout=said, stderr=said)
    flow, seen, first = psutil.Process(run.pid), [], 0.0
    while run.poll() is None:
        blocks = sum(1 for _ in (folder / "store" / "stages" / STAGES[-1]).glob("*/*"))
        if blocks and not first:
            first = time.monotonic() - begin
        try:
            seen.append(Seen(time.monotonic() - begin, rss(flow), rss(server), blocks))
        except psutil.NoSuchProcess:
            break
        time.sleep(SECONDS_BETWEEN_LOOKS)
    if run.wait() != 0:
        raise SystemExit((folder / "said").read_text()[-3000:])
    return seen, first, time.monotonic() - begin


def rss(process: psutil.Process) -> int:
    """Bytes of a process and of those that it started."""
    return sum(one.memory_info().rss for one in (process, *process.children(recursive=True)))


def tasks_of(url: str, flow_run: str) -> int:
    """How many task runs a flow run has."""
    count: int = httpx.post(f"{url}/task_runs/count", json={"flow_runs": {"id": {"any_": [flow_run]}}}, timeout=60).json()
    return count


def megabytes(count: int) -> str:
    """``12 MB``."""
    return f"{count / 2**20:,.0f} MB"


def print_answers(url: str) -> None:
    """How long the server takes to answer what the UI asks for when somebody opens the run."""
    runs = {"limit": 200, "sort": "START_TIME_DESC"}
    found = httpx.post(f"{url}/flow_runs/filter", json=runs, timeout=60).json()
    largest = max(found, key=lambda one: tasks_of(url, one["id"]))["id"]
    print("\n| what the UI asks | seconds |\n|---|---|")
    asked: dict[str, tuple[str, str, Any]] = {
        "the list of flow runs": ("POST", "/flow_runs/filter", runs),
        "a page of task runs": ("POST", "/task_runs/filter", {"flow_runs": {"id": {"any_": [largest]}}, "limit": 100}),
        "the graph of a flow run": ("GET", f"/flow_runs/{largest}/graph-v2", None),
        "the newest artifacts": ("POST", "/artifacts/latest/filter", {"limit": 50}),
    }
    for what, (method, path, body) in asked.items():
        begin = time.monotonic()
        httpx.request(method, url + path, json=body, timeout=120).raise_for_status()
        print(f"| {what} | {time.monotonic() - begin:.2f} |", flush=True)


if __name__ == "__main__":
    main()
