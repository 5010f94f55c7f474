"""A source model in minutes: a small seamless network learns from procedural streets, measured on streets that it never saw.

python -m benchmarks.adaptation.source_training > benchmarks/results/adaptation/source_training.md
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from benchmarks.adaptation.sources import trained
from scenes.pinholes import write_pinholes
from tasks.seamless.reading import open_seamless_data
from tasks.seamless.scores import majority_figures
from tasks.train.seamless.train import FIGURES as FOUND

FIGURES = ("mIoU", "mPQ", "mAPQ", "mAP", "mAAP")
HEIGHT, WIDTH = 96, 192
NETWORK = {
    "size": "small", "channels": 32, "hidden": 128, "mask_layers": 1, "proposals": 100, "sampled": 64, "anchor": 4,
}  # fmt: skip


def row(name: str, figures: Mapping[str, float | None]) -> str:
    shown = [figures[key] for key in FIGURES]
    return f"| {name} | " + " | ".join("-" if value is None else f"{100 * value:.1f}" for value in shown) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--train", type=int, default=120)
    parser.add_argument("--val", type=int, default=40)
    parser.add_argument("--steps", type=int, default=600)
    given = parser.parse_args()
    with TemporaryDirectory() as folder:
        root = Path(folder) / "streets"
        write_pinholes(root, "train", given.train, HEIGHT, WIDTH)
        write_pinholes(root, "val", given.val, HEIGHT, WIDTH)
        train, val = ({"kind": "kitti360_aps", "root": str(root), "split": split} for split in ("train", "val"))
        values = {
            "data": train, "validation": val, "network": NETWORK, "steps": given.steps, "batch_size": 2,
            "crop": (HEIGHT, WIDTH), "learning_rate": 1e-3, "head_rate": 3, "least_stuff": 64,
        }  # fmt: skip
        start = time.process_time()
        block = trained(values, Path(folder) / "store")
        seconds = time.process_time() - start
        figures = json.loads((block / FOUND).read_text())
        floor = majority_figures(open_seamless_data(val["kind"], val["root"], val["split"]))
    print(f"# Source training: {given.steps} steps of 2 crops on {given.train} procedural streets of {WIDTH}x{HEIGHT}\n")
    print(f"Per cent, on {given.val} streets of other seeds. The floor says the commonest class of stuff and finds no object.\n")
    print(f"| | {' | '.join(FIGURES)} |\n|---|---|---|---|---|---|")
    print(row("floor", floor))
    print(row("trained", figures))
    print(
        f"\nThresholds chosen on these streets: {figures['instance_score']} for instances, {figures['amodal_score']} for whole "
        f"objects. {seconds:.0f} seconds of one core for training and measuring.\n"
    )
    print(f"{date.today()}, Python {platform.python_version()}, torch {torch.__version__}.")


if __name__ == "__main__":
    main()
