"""Seconds of label, fuse and audit for one panorama, and where they go, as one Markdown page.

Every stage runs twice in a process of its own: once as it is, for the seconds, and once under cProfile with thread pools that
run at once in the caller, so that the profile sees everything. Processor seconds are those of all threads, and hold on a busy
machine too. A first panorama warms caches and is not counted. Run from the project's root::

    python -m benchmarks.labels.quality_speed [--height 1024] [--patch 504] > benchmarks/results/labels/quality_speed.md
"""

from __future__ import annotations

import argparse
import concurrent.futures
import cProfile
import json
import os
import platform
import pstats
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

SHOWN = ("label.dense", "fuse", "audit")
MOST = 8


class AtOnce(concurrent.futures.Executor):
    """Runs what is submitted in the thread that submits it."""

    def __init__(self, *_arguments: Any, **_named: Any) -> None:
        pass

    def submit(self, function: Callable[..., Any], /, *arguments: Any, **named: Any) -> concurrent.futures.Future[Any]:
        """The finished future of ``function(*arguments, **named)``."""
        future: concurrent.futures.Future[Any] = concurrent.futures.Future()
        try:
            future.set_result(function(*arguments, **named))
        except BaseException as error:
            future.set_exception(error)
        return future


def main() -> None:
    """Measure in children, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--height", type=int, default=1024, help="rows of the panorama and of its labels")
    parser.add_argument("--patch", type=int, default=504, help="side of the patches in pixels")
    parser.add_argument("--child", choices=("seconds", "profile"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        if given.child == "profile":
            concurrent.futures.ThreadPoolExecutor = AtOnce  # type: ignore[misc,assignment]
        print(json.dumps(measure(given.folder, given.height, given.patch, given.child == "profile")))
        return
    with tempfile.TemporaryDirectory() as folder:
        render(Path(folder), given.height)
        found = {mode: in_child(mode, folder, given) for mode in ("seconds", "profile")}
    print_page(found, given)


def render(folder: Path, height: int) -> None:
    """Two rooms with truth."""
    from scenes.dataset import write_dataset

    write_dataset(folder / "scenes", "room", 2, 92000, height, 2 * height, supersample=1, amodal=False)


def in_child(mode: str, folder: str, given: argparse.Namespace) -> dict[str, Any]:
    """What :func:`measure` gives in a process of its own."""
    words = ["--child", mode, "--folder", folder, "--height", str(given.height), "--patch", str(given.patch)]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.labels.quality_speed", *words], check=True, capture_output=True, text=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def measure(folder: Path, height: int, patch: int, profiled: bool) -> dict[str, Any]:
    """For every stage the seconds of the second panorama and, if profiled, its functions by their own processor seconds."""
    from benchmarks.runs.direct import ingested, labelling, steps_over
    from tasks.stage.job import Job

    store = str(folder / ("profiled" if profiled else "timed"))
    urls = {"root": store, "ingest.source.url": str(folder / "scenes/images"), "ingest.source.truth": str(folder / "scenes")}
    sizes = {"project.patch_size": patch, "fuse.height": height, "fuse.depth": "align", "ingest.block_size": 1}
    config = labelling("configs/demo.yaml", {**urls, **sizes}, audited=True)
    blocks = ingested(config)
    found: dict[str, Any] = {}
    for step in steps_over(config, blocks):
        stage, (first, second) = step.stage, step.blocks
        stage.make(Job(stage, first, "warm-up", config.execution))
        profile = cProfile.Profile(time.process_time)
        if profiled:
            profile.enable()
        before = time.process_time()
        receipt = stage.make(Job(stage, second, "measured", config.execution))
        profile.disable()
        took = {"seconds": receipt.made["seconds"], "processor": time.process_time() - before}
        found[stage.name] = {**took, "functions": functions(profile) if profiled else []}
    return found


def functions(profile: cProfile.Profile) -> list[tuple[str, int, float, float]]:
    """Name, calls, own seconds and seconds with callees of the functions that take longest themselves."""
    stats: dict[Any, Any] = pstats.Stats(profile).stats  # type: ignore[attr-defined]
    rows = [(shown_name(*key), calls, own, total) for key, (_, calls, own, total, _) in stats.items()]
    return sorted(rows, key=lambda row: -row[2])[:MOST]


def shown_name(path: str, line: int, name: str) -> str:
    """A function's name with its file's last two parts; builtins as Python shows them."""
    return name if path == "~" else f"{'/'.join(Path(path).parts[-2:])}:{line} {name}"


def print_page(found: dict[str, dict[str, Any]], given: argparse.Namespace) -> None:
    """The tables, and how they were made."""
    print(
        f"# Seconds of one panorama\n\nOne room of {2 * given.height}x{given.height}, 20 views of {given.patch} px, the demo "
        "network, `fuse.depth: align`, depth, normals and classes. Seconds of one\nblock with one panorama, reading and writing "
        "included, after another one warmed the caches.\n\n"
        "| stage | seconds | processor seconds | the same under the profiler, pools in one thread |\n|---|---|---|---|"
    )
    for stage, one in found["seconds"].items():
        profiled = found["profile"][stage]["processor"]
        print(f"| {stage} | {one['seconds']:.2f} | {one['processor']:.2f} | {profiled:.2f} |")
    for stage in SHOWN:
        print(f"\n## {stage}: functions by their own processor seconds\n")
        print("| function | calls | own | with callees |\n|---|---|---|---|")
        for name, calls, own, total in found["profile"][stage]["functions"]:
            print(f"| `{name}` | {calls} | {own:.2f} | {total:.2f} |")
    load = os.getloadavg()[1]
    print(
        f"\n{len(os.sched_getaffinity(0))} CPU cores, no GPU, shared with other work; load average of the last 5 minutes "
        f"{load:.1f}. {date.today()}, Python {platform.python_version()}.\n"
        f"Command: `python -m benchmarks.labels.quality_speed --height {given.height} --patch {given.patch}`"
    )


if __name__ == "__main__":
    main()
