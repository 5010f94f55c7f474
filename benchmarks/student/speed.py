"""Speed and memory of the student: the loader alone, training, prediction; and where a step's time goes.

    python -m benchmarks.student.speed [--only NAME]      writes benchmarks/results/student/student_speed.md

Every size runs in a process of its own, so that its peak of memory is its own. Full size is measured where there is a GPU.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import torch
import transformers

from benchmarks.student.report import write_page
from benchmarks.student.speed_sizes import SIZES, measure
from benchmarks.student.tables import markdown_table

INTRO = """\
# Speed of the student

Loader: panoramas of 2048x1024 pixels as JPEG, with labels of 1024x512, read, checked, resized and augmented for training at
the given rows, with two threads, auxiliary labels included where the student learns them. Steps alone: the same batches again
and again from memory. Training: the training loop reading from the store; the share is that of its time in which a step is at
work, so that the rest is waiting for the loader. Peak: of the whole process, loader, optimizer and average of weights
included.
"""
HEADER = (
    "student", "weights", "loader", "steps alone", "training", "in steps", "prediction", "peak, training", "peak, prediction",
)  # fmt: skip
STEP = """\
## Where a step's time goes

Shares of one step by torch's profiler: the phases, then the costliest operators of all phases together.
"""
MACHINE = """\
{cores} CPU cores, {threads} thread(s) for tensors, {gpu}; {date}, load {load} at the start (a load above the number of cores
means a shared machine). Python {python}, torch {torch}, transformers {transformers}. Command: `python -m
benchmarks.student.speed`.
"""


def in_a_process(name: str) -> dict[str, Any]:
    """Measure one size in a fresh interpreter."""
    done = subprocess.run([sys.executable, "-m", __spec__.name, "--only", name], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{name}: {done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def page(found: dict[str, dict[str, Any]], load: float) -> Iterator[str]:
    """Lines of the page."""
    yield INTRO
    yield from markdown_table(HEADER, map(_row, found, found.values()))
    yield "Panoramas per second.\n"
    yield STEP
    for name, one in found.items():
        phases = ", ".join(f"{phase} {share:.0%}" for phase, share in one["phases"].items())
        operators = ", ".join(f"`{operator}` {share:.0%}" for operator, share in one["operators"].items())
        yield f"- {name}: {phases}. Operators: {operators}.\n"
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU: full size is not measured, nor the share on one"
    yield MACHINE.format(
        cores=os.cpu_count(), threads=torch.get_num_threads(), gpu=gpu, date=date.today(),
        load=f"{load:.1f}", python=platform.python_version(),
        torch=torch.__version__, transformers=transformers.__version__,
    )  # fmt: skip


def _row(name: str, one: dict[str, Any]) -> Sequence[str]:
    rates = [f"{one[key]:.2f}" for key in ("loader", "steps", "training")]
    memory = [f"{one[key] / 2**20:.0f} MiB" for key in ("training_peak", "prediction_peak")]
    return [name, f"{one['weights'] / 1e6:.2f} M", *rates, f"{one['share']:.0%}", f"{one['prediction']:.2f}", *memory]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=SIZES, help="measure one size here, and print it as JSON")
    parser.add_argument("--results", type=Path, default=Path("benchmarks/results/student/student_speed.md"))
    options = parser.parse_args()
    if options.only:
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps(measure(SIZES[options.only], Path(folder))))
        return
    load = os.getloadavg()[0]
    wanted = [name for name, size in SIZES.items() if torch.cuda.is_available() or not size.needs_gpu]
    write_page(options.results, page({name: in_a_process(name) for name in wanted}, load))
    print(options.results)


if __name__ == "__main__":
    main()
