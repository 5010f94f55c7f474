"""How soon a run over a million files begins, what it takes until then, and that it goes on after it was stopped.

Files are links to a few small pictures: what is listed, planned and placed is real, only what is decoded is small. Run from the
project's root::

    python -m benchmarks.runs.million [--files 1000000] > benchmarks/results/runs/million.md
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

import psutil
import pyarrow.parquet as pq

from benchmarks.machine import machine
from benchmarks.runs.simulated import STAGES, megabytes, rss, with_server, write_pipeline

LINKS = 50_000
"""To one file, at most: file systems allow some 65,000."""
BLOCKS = 8
"""Blocks that are made before the run is stopped."""
SECONDS_BETWEEN_LOOKS = 0.5


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=1_000_000)
    count = parser.parse_args().files
    command = " ".join(["python -m benchmarks.runs.million", *sys.argv[1:]])
    print(f"# A run over {count:,} files begins\n\n{machine()}; {date.today().isoformat()}; `{command}`.\n", flush=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = write_pipeline(folder, -(-count // LINKS))
        link(folder / "images", count)
        with_server(folder, lambda environment, _: print_runs(folder, config, count, environment))


def link(images: Path, count: int) -> None:
    """Fill the folder up with links to the pictures that are in it."""
    pictures = sorted(images.rglob("*.png"))
    for number in range(count - len(pictures)):
        place = images / f"f{number // 1000:04d}"
        if number % 1000 == 0:
            place.mkdir()
        os.link(pictures[number // LINKS], place / f"{number:07d}.png")


def print_runs(folder: Path, config: Path, count: int, environment: dict[str, str]) -> None:
    """A run that is stopped after a few blocks, and another that goes on."""
    print(
        f"""{count:,} files of 64x32 pixels in folders of 1,000, a local disk, {len(STAGES)} stages that write a number an item,
two threads. *Listed*: the first files are being read. *First block*: made by all stages. *Memory*: of the flow's process, at
most, until {BLOCKS} blocks were made; then the run is stopped (SIGINT). *Read*: files that need not be read again.

| run | listed | first block | {BLOCKS} blocks | memory | stopped in | read |
|---|---|---|---|---|---|---|"""
    )
    for what in ("first", "second"):
        cells = [what, *begun(folder, config, environment), f"{read(folder):,}"]
        print(f"| {' | '.join(cells)} |", flush=True)


def begun(folder: Path, config: Path, environment: dict[str, str]) -> list[str]:
    """Run until so many more blocks are made, and stop: the cells of a row."""
    begin, before, parts = time.monotonic(), made(folder), len(parts_of(folder))
    command = [sys.executable, "-m", "flows.cli", "run", str(config)]
    with (folder / "said").open("w") as said:
        run = subprocess.Popen(command, env=environment, cwd=folder, stdout=said, stderr=said)
    flow, highest = psutil.Process(run.pid), 0
    listed = first = 0.0
    while run.poll() is None and made(folder) < before + BLOCKS:
        highest = max(highest, rss(flow))
        listed = listed or (time.monotonic() - begin if len(parts_of(folder)) > parts else 0.0)
        first = first or (time.monotonic() - begin if made(folder) > before else 0.0)
        time.sleep(SECONDS_BETWEEN_LOOKS)
    took = time.monotonic() - begin
    run.send_signal(signal.SIGINT)
    run.wait(600)
    if made(folder) < before + BLOCKS:
        raise SystemExit((folder / "said").read_text()[-3000:])
    times = (listed, first, took)
    return [*(f"{one:.0f} s" for one in times), megabytes(highest), f"{time.monotonic() - begin - took:.0f} s"]


def made(folder: Path) -> int:
    """Blocks of the last stage."""
    return sum(1 for _ in (folder / "store" / "stages" / STAGES[-1]).glob("*/*/receipt.json"))


def parts_of(folder: Path) -> list[Path]:
    """What was read of the source since its manifest was written."""
    return list((folder / "store" / "stages" / "ingest").glob("*/*.parts/*"))


def read(folder: Path) -> int:
    """Items that are read."""
    names: set[str] = set()
    for part in parts_of(folder):
        names.update(pq.read_table(part, columns=["item"])["item"].to_pylist())
    return len(names)


if __name__ == "__main__":
    main()
