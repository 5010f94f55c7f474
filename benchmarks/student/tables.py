"""What the pages of the experiments have in common: cells, rows of figures, and how they were made."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
import transformers

from benchmarks.comparisons import HOW, Compared, over_seeds, stars, two_seeds
from benchmarks.student.arms import NUDGED, TRUTH, Arm
from benchmarks.student.data import FIRST_SEED
from benchmarks.student.intervals import FIGURES, Table, worse_by
from benchmarks.student.recipe import Recipe
from benchmarks.student.scale import CPU, Scale

Runs = dict[str, dict[int, dict[str, Any]]]
"""Arm's name -> seed -> the JSON of a run."""
DIGITS = {"AbsRel": 3, "normals, degrees": 2, "mIoU": 3}
COMMON = """\
Procedural rooms, {count} scenes of seeds from {first} on (80 % training, 10 % held out, 10 % test), panoramas of
{width}x{height} pixels. All arms: {steps} steps of {batch} panoramas with rolls and mirrors, AdamW, learning rates {rates},
the average of weights at the end; backbone {backbone} of {size} k weights, {start}; the tables count the weights
behind it; `vector_frame: local`. A seed sets the order of panoramas, the augmentations and the first weights: tensors of one
name and shape are alike in all arms; what an idea adds or reshapes is drawn by its own name.

{how}
{there} of {wanted} runs.

{machine}. {dates}, Python {python}, torch {torch}, transformers
{transformers}. Command: `make experiments-student`.
"""
UNFINISHED = """\
**Not finished: {there} of {wanted} runs.** Over one seed there is no interval.
"""


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Lines of a table, and an empty one."""
    yield f"| {' | '.join(header)} |"
    yield "|---" * len(header) + "|"
    yield from (f"| {' | '.join(row)} |" for row in rows)
    yield ""


def value_cell(runs: Mapping[int, Mapping[str, Any]], name: str) -> str:
    """A figure with its interval over seeds; a dash where the arm does not have it."""
    table = Table.of(list(runs.values()))
    if name not in table.names:
        return "-"
    found = over_seeds(table.figure(name))
    return "{:.{d}f} [{:.{d}f}, {:.{d}f}]".format(found.mean, found.low, found.high, d=DIGITS[name])


def scenes_cell(scenes: Mapping[str, Any], name: str) -> str:
    """A figure of what no seed is drawn for, with its interval over scenes."""
    found = Table.of([{"scenes": scenes}]).over_scenes(name)
    return "{:.{d}f} [{:.{d}f}, {:.{d}f}]".format(*found, d=DIGITS[name])


def paired(runs: Runs, ours: str, reference: str, name: str, against: float = 0) -> Compared | None:
    """By what share ours is worse than the reference, over the seeds that both have; None if there is nothing to compare."""
    seeds = sorted(runs.get(ours, {}).keys() & runs.get(reference, {}).keys())
    if not seeds:
        return None
    one, other = (Table.of([runs[arm][seed] for seed in seeds]) for arm in (ours, reference))
    if name not in one.names or name not in other.names:
        return None
    return worse_by(one, other, name, against)


def worse_cell(found: Compared | None, star: str = "") -> str:
    """Per cent, with sign; a dash where nothing is to be compared."""
    if found is None:
        return "-"
    return "{:+.1f} [{:+.1f}, {:+.1f}]".format(*(100 * one for one in (found.mean, found.low, found.high))) + star


def figures_of(runs: Runs, arms: Sequence[Arm]) -> Iterator[str]:
    """A table of the figures of arms, those without runs left out."""
    rows = []
    for arm in arms:
        if own := runs.get(arm.name):
            weights = f"{next(iter(own.values()))['parameters'] / 1000:.0f} k"
            rows.append([arm.name, str(len(own)), weights, *(value_cell(own, name) for name in FIGURES)])
    return markdown_table(["", "seeds", "weights", *FIGURES], rows)


def comparisons(runs: Runs, pairs: Sequence[tuple[str, str]]) -> Iterator[str]:
    """A table of by how much one arm of a pair is worse than the other, those without runs left out, and its null rows."""
    there = [pair for pair in pairs if pair[0] in runs and pair[1] in runs]
    found = [paired(runs, *pair, name) for pair in there for name in FIGURES]
    cells = [worse_cell(*one) for one in zip(found, stars(found))]
    rows = [[*pair, *cells[len(FIGURES) * k :][: len(FIGURES)]] for k, pair in enumerate(there)]
    return markdown_table(["", "worse than", *FIGURES], [*rows, *null_rows(runs)])


def null_rows(runs: Runs) -> Iterator[list[str]]:
    """How far an arm lies from itself: the student of the truth with another seed, and with first weights that were nudged."""
    if own := runs.get(TRUTH.name):
        table = Table.of([own[seed] for seed in sorted(own)])
        apart = [100 * two_seeds(np.log(table.figure(name))) for name in FIGURES]
        yield [f"*{TRUTH.name}, another seed*", TRUTH.name, *("-" if np.isnan(one) else f"±{one:.1f}" for one in apart)]
    if NUDGED.name in runs and own:
        cells = [worse_cell(paired(runs, NUDGED.name, TRUTH.name, name)) for name in FIGURES]
        yield [f"*{NUDGED.name}*", TRUTH.name, *cells]


def footer(runs: Runs, wanted: int, recipe: Recipe, scale: Scale = CPU) -> str:
    """What all arms have in common, and on how many of the runs ``wanted`` the page rests."""
    all_runs = [run for own in runs.values() for run in own.values()]
    dates = sorted({run["date"] for run in all_runs})
    there = len(all_runs)
    warning = UNFINISHED.format(there=there, wanted=wanted) + "\n" if there < wanted else ""
    return warning + COMMON.format(
        count=scale.scenes, first=FIRST_SEED, width=2 * scale.height, height=scale.height, steps=recipe.steps, batch=recipe.batch,
        rates=", ".join(f"{name} {rate:g}" for name, rate in scale.rates.items()),
        backbone=scale.backbone or "DINOv2 ViT-L", start=f"from {scale.pretrained}" if scale.pretrained else "untrained at first",
        size=f"{all_runs[0]['backbone'] / 1000:.0f}" if all_runs else "?", how=HOW.rstrip(),
        wanted=wanted, there=there, machine=_machine(scale), dates=" to ".join({*dates[:1], *dates[-1:]}),
        python=platform.python_version(), torch=torch.__version__, transformers=transformers.__version__,
    )  # fmt: skip


def _machine(scale: Scale) -> str:
    if scale.device == "cuda" and torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"{os.cpu_count()} CPU cores, shared with other work, one thread a run; no GPU"
