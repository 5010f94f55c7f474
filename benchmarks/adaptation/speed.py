"""What an adaptation takes: seconds of every stage a panorama, a training step, where the time goes, and memory.

    OMP_NUM_THREADS=1 python -m benchmarks.adaptation.speed > benchmarks/results/adaptation/adapt_speed.md

The source model was never trained, so that it finds as many objects as there is room for: the worst case of every stage after it.
"""

from __future__ import annotations

import argparse
import cProfile
import platform
import pstats
import resource
import time
from collections.abc import Callable, Sequence
from datetime import date
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from benchmarks.runs.direct import ingested, steps_over
from configs.pipeline import Config
from configs.reading import lay_over
from models.adaptation.object_pool import cut_objects, surest
from models.seamless.branch import BranchSettings
from models.seamless.network import LARGE, SMALL, SeamlessNetwork, SeamlessSettings
from models.seamless.proposals import ProposalSettings
from models.seamless.saved import SeamlessModel, save_model
from scenes.dataset import write_dataset
from tasks.adapt.adapt import adapt_block
from tasks.pipeline import plain_stages, validated
from tasks.stage.job import Job
from tasks.stage.kind import Step

CLASSES = ("sky", "road", "sidewalk", "building", "terrain", "fence", "pole", "vegetation", "sign", "car", "person")
THINGS = range(8, 11)
STREETS = 7000
"""Seed of the first street."""
PARTS = {
    "pool, labels and crops of a step": "examples.py:batch",
    "encoder and pyramid": "network.py:features",
    "proposals": "proposals.py:propose",
    "suppression": "boxes.py:suppress",
    "RoIAlign": "roi_align.py:roi_align",
    "masks pasted into the panorama": "masks.py:paste_masks",
    "losses of the branches, with their features": "branch.py:losses",
    "backward": "_tensor.py:backward",
}
"""What the profile tells, by file and function; one may lie within another."""


def main() -> None:
    """Measure and print the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--panoramas", type=int, default=4)
    parser.add_argument("--height", type=int, default=256)
    parser.add_argument("--steps", type=int, default=4)
    given = parser.parse_args()
    imported = _peak()
    print(f"# What an adaptation takes: {given.panoramas} procedural streets of {2 * given.height}x{given.height}\n")
    with TemporaryDirectory() as folder:
        root = Path(folder)
        write_dataset(root / "streets", "street", given.panoramas, STREETS, given.height, 2 * given.height, processes=2)
        print_stages(_config(root, "small", SMALL, {"channels": 32}, given.height, given.steps), imported)
        # The large one not before, since it takes memory.
        print_large(_config(root, "large", LARGE, {}, given.height, 1))
    print("## The pool is bounded\n\nObjects of panoramas of 1024x512, 20 each, of 3 classes, 50 kept of each.\n")
    _print_table(("panoramas seen", "objects kept", "MB in memory", "processor s / panorama"), pool_rows((10, 40, 160)))
    print(f"\n{date.today()}, Python {platform.python_version()}, torch {torch.__version__}.")


def print_stages(config: Config, imported: str) -> None:
    """Every stage of the small network, a training step, and where their time goes."""
    print(
        "One thread of a machine that others were using at the same time: processor seconds are to be trusted, wall seconds "
        "are not. The networks were not trained and find as many objects as there is room for (100 in each branch), of which "
        "none stays in the pool.\n"
    )
    _print_table(("stage", "processor s / panorama", "wall s / panorama", "kB stored / panorama"), stage_rows(config))
    training = settings_of(config)
    print(
        "\n`thresholds`, `pool` and `adapt` are one block for all panoramas; "
        f"`adapt` trains {training.steps} steps and stores the network."
    )
    step = step_seconds(config, training.steps)
    print(
        f"\nA training step of {training.batch_size} crops of {training.crop[0]} x {training.crop[1]}, 0.8 million weights: "
        f"{step:.2f} processor seconds. Peak memory of the process until here: {_peak()}, of which {imported} are libraries.\n"
    )
    print("## Where the time goes\n\nShare of the wall time of a stage, profiled; parts may lie within others.\n")
    _print_table(("part", "predict", "adapt"), profile_rows(config))


def print_large(config: Config) -> None:
    """A panorama and a training step of the network of the paper's size."""
    predicted = stage_rows(config, until="adapt.scores")[0]
    print(
        f"\n## The network of the paper's size\n\n121 million weights: {predicted[1]} processor seconds a panorama in "
        f"`predict`, {step_seconds(config, 1):.1f} for a training step of 2 crops; peak memory {_peak()}. On a GPU nothing "
        "was measured.\n"
    )


def _config(root: Path, name: str, encoder: dict[str, Any], sizes: dict[str, Any], height: int, steps: int) -> Config:
    """An adaptation of an untrained network to the streets."""
    torch.manual_seed(0)
    branch = BranchSettings(ProposalSettings(), hidden=128, mask_layers=2) if sizes else BranchSettings()
    settings = SeamlessSettings(len(CLASSES), THINGS, encoder_config=encoder, branch=branch, **sizes)
    save_model(SeamlessModel(SeamlessNetwork(settings).eval(), CLASSES), root / name)
    training = {"steps": steps, "batch_size": 2, "crop": [height, height]}
    stages = {
        "ingest": {"source": {"url": str(root / "streets" / "images"), "truth": str(root / "streets")}},
        "adapt": {"model": str(root / name), "height": height, "training": training},
        "compare": {},
    }
    values = {"name": name, "root": str(root / f"{name}_store"), "stages": stages, "execution": {"device": "cpu"}}
    return validated(values)


def settings_of(config: Config) -> Any:
    """Settings of the stage that learns."""
    return next(stage.settings for stage in plain_stages(config) if stage.key == "adapt")


def _plan(config: Config) -> list[Step]:
    return steps_over(config, ingested(config))


def _jobs(config: Config, step: Step) -> list[Job]:
    return [Job(step.stage, block, "benchmark", config.execution) for block in step.blocks]


def stage_rows(config: Config, until: str = "") -> list[tuple[str, str, str, str]]:
    """Make every block of every stage before ``until``: name, processor and wall seconds and kB, for each panorama."""
    rows = []
    plan = _plan(config)
    count = sum(len(block.items) for block in plan[0].blocks)
    for step in plan:
        if step.key == until:
            break
        started, processor = time.perf_counter(), time.process_time()
        receipts = [step.stage.make(job) for job in _jobs(config, step)]
        wall, processor = time.perf_counter() - started, time.process_time() - processor
        stored = sum(receipt.bytes for receipt in receipts) / 1000
        rows.append((step.key, f"{processor / count:.2f}", f"{wall / count:.2f}", f"{stored / count:.0f}"))
    return rows


def step_seconds(config: Config, count: int) -> float:
    """Processor seconds of a training step: a training of twice as many steps less one of as many."""
    for step in _plan(config):
        if step.key == "adapt":
            break
        if not (Path(config.root) / "stages" / step.stage.name).exists():
            for job in _jobs(config, step):
                step.stage.make(job)
    return (_training_seconds(config, 2 * count) - _training_seconds(config, count)) / count


def _training_seconds(config: Config, count: int) -> float:
    values = config.model_dump(mode="json")
    lay_over(values, {"adapt.training.steps": count, "adapt.training.seed": 1})
    longer = validated(values)
    adapt = next(step for step in _plan(longer) if step.key == "adapt")
    before = time.process_time()
    adapt_block(_jobs(longer, adapt)[0])
    return time.process_time() - before


def profile_rows(config: Config) -> list[tuple[str, str, str]]:
    """Share of the time of ``predict`` and of ``adapt`` that each of :data:`PARTS` takes."""
    plan = {step.key: step for step in _plan(config)}
    jobs = {name: _jobs(config, plan[name])[0] for name in ("adapt.predict", "adapt")}
    predict, adapt = (_profiled(partial(plan[name].stage.make, job)) for name, job in jobs.items())
    shares = [(part, predict.get(where, 0.0), adapt.get(where, 0.0)) for part, where in PARTS.items()]
    return [(part, *(f"{100 * share:.0f} %" if share >= 0.005 else "-" for share in pair)) for part, *pair in shares if any(pair)]


def _profiled(work: Callable[[], Any]) -> dict[str, float]:
    """Share of the whole time by ``file:function``."""
    profile = cProfile.Profile()
    profile.runcall(work)
    stats = pstats.Stats(profile)
    total = max(own[3] for own in stats.stats.values())  # type: ignore[attr-defined]
    shares: dict[str, float] = {}
    for (file, _, function), own in stats.stats.items():  # type: ignore[attr-defined]
        key = f"{Path(file).name}:{function}"
        shares[key] = max(shares.get(key, 0.0), own[3] / total)
    return shares


def pool_rows(counts: Sequence[int], per_class: int = 50) -> list[tuple[str, str, str, str]]:
    """Objects and bytes in memory after so many panoramas of random ellipses."""
    rows, pool = [], []
    started = time.process_time()
    for seen in range(1, max(counts) + 1):
        pool = surest([*pool, *_ellipses(seen)], per_class)
        if seen in counts:
            megabytes = sum(one.nbytes for one in pool) / 1e6
            rows.append((str(seen), str(len(pool)), f"{megabytes:.1f}", f"{(time.process_time() - started) / seen:.2f}"))
    return rows


def _ellipses(seed: int, height: int = 512, count: int = 20) -> list[Any]:
    generator = np.random.default_rng(seed)
    y, x = np.mgrid[:height, : 2 * height]
    centre, radius = generator.uniform(0, [height, 2 * height], (count, 2)), generator.uniform(8, 60, (count, 2))
    masks = np.array([((y - cy) / ry) ** 2 + ((x - cx) / rx) ** 2 < 1 for (cy, cx), (ry, rx) in zip(centre, radius)])
    image = generator.integers(0, 256, (height, 2 * height, 3), dtype=np.uint8)
    labels, scores = generator.integers(0, 3, count), generator.random(count)
    return cut_objects(f"p{seed:04d}", image, masks, labels, scores, np.ones(count, bool))


def _peak() -> str:
    return f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.1f} GB"


def _print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    print(f"| {' | '.join(head)} |\n|{'---|' * len(head)}")
    for row in rows:
        print(f"| {' | '.join(row)} |")


if __name__ == "__main__":
    main()
