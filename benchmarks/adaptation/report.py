"""The pages of the experiment, from whatever records there are.

python -m benchmarks.adaptation.report arms > benchmarks/results/adaptation/adaptation.md
python -m benchmarks.adaptation.report arms --experiment pvt_v2 > benchmarks/results/adaptation/adaptation_steady.md
python -m benchmarks.adaptation.report arms --experiment posters > benchmarks/results/adaptation/adaptation_posters.md
python -m benchmarks.adaptation.report thresholds > benchmarks/results/adaptation/adaptation_thresholds.md
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.adaptation.arms import FIXED, MAIN, NUDGED, Arm, sweep
from benchmarks.adaptation.experiments import EXPERIMENTS, Experiment
from benchmarks.adaptation.intervals import FIGURES, differences, figures_of
from benchmarks.adaptation.records import Record, read_records
from benchmarks.adaptation.run import FOLDER
from benchmarks.adaptation.world import COUNTS, HEIGHT, WIDTH
from benchmarks.comparisons import HOW, LEVEL, Compared, holm, stars, two_seeds
from tasks.adapt.settings import AdaptTraining

Records = Mapping[str, Mapping[int, Record]]
Tables = Mapping[str, Mapping[int, NDArray[np.floating]]]
FULLER = (
    " Vans are a class of their own, and rare. In the panoramas, posters of people and cars hang on the houses, and people stand "
    "close to each other."
)
WANTED = 5
"""Seeds that the experiment is to have."""
SWEEP_SEEDS = 2
REQUIRED = (("OPLL", "pseudo-labels"), ("OPLL", "source"), ("pseudo-labels", "source"))
"""What is to be better than what in mAPQ."""
OTHERS = (
    ("statistics", "source"),
    ("OPLL", "statistics"),
    (MAIN, "source"),
    (MAIN, "pseudo-labels"),
    ("OPLL", "pseudo-labels, high thresholds"),
    ("pseudo-labels", "pseudo-labels, high thresholds"),
    ("OPLL, high thresholds", "pseudo-labels, high thresholds"),
    ("OPLL, high thresholds, whole objects, doubt ignored", "pseudo-labels, high thresholds"),
    (MAIN, "OPLL"),
    ("statistics, pseudo-labels", "statistics"),
    ("statistics, OPLL", "statistics"),
    ("statistics, OPLL", "statistics, pseudo-labels"),
    ("statistics, OPLL, no veto", "statistics, OPLL"),
    ("statistics, OPLL, doubt ignored", "statistics, OPLL"),
    (f"statistics, {MAIN}", "statistics"),
    (f"statistics, {MAIN}", "statistics, OPLL"),
    *((name, "OPLL") for name in ("OPLL, whole objects, doubt ignored", "OPLL, no veto")),
    ("OPLL, whole objects, doubt ignored", "pseudo-labels"),
    *((FIXED, name) for name in ("source", "pseudo-labels", "OPLL", "OPLL, whole objects, doubt ignored")),
    *((name, "OPLL") for name in ("OPLL + instance", "OPLL + amodal", "OPLL + AoMix", "OPLL + random")),
    *((name, "OPLL") for name in ("OPLL + ClassMix", "OPLL + anchor")),
    ("prototypes", "source"),
    ("ADCL", "pseudo-labels"),
    (MAIN, "ADCL"),
    ("all predictions", "source"),
)


def arms_page(asked: str, records: Records, trials: Sequence[Mapping[str, Any]] = ()) -> str:
    """The page on the arms; ``trials`` are the lines that ``benchmarks.adaptation.tune`` wrote."""
    experiment = EXPERIMENTS[asked]
    arms = experiment.arms
    tables = {name: figures_of(own) for name, own in records.items() if own}
    lines = [f"# Source-free adaptation: what each part of the method does ({experiment.title})", ""]
    lines += [_setting(experiment, records, WANTED * len(arms)), "", "## Figures", ""]
    lines += ["Per cent on the test panoramas: mean over seeds, and its standard deviation where there are two or more.", ""]
    lines += [f"| arm | seeds | {' | '.join(FIGURES)} |", "|---|---|" + "---|" * len(FIGURES)]
    lines += [f"| {name} | {len(own)} | {' | '.join(_spread(own))} |" for name, own in tables.items()]
    lines += ["", "## What was required", "", *_requirements(tables), "", "## Differences", ""]
    lines += ["Points.", "", HOW]
    lines += [f"| difference | seeds | {' | '.join(FIGURES)} |", "|---|---|" + "---|" * len(FIGURES)]
    lines += _differences(tables)
    missing = [name for name in arms if len(tables.get(name, {})) < WANTED]
    if missing:
        lines += ["", f"Not shown yet, with fewer than {WANTED} seeds: {'; '.join(missing)}."]
    if trials:
        lines += ["", "## What was tuned", "", *_trials(arms, trials)]
    return "\n".join([*lines, "", _foot(f"arms --experiment {asked}")])


def thresholds_page(records: Records, main: Mapping[int, Record]) -> str:
    """The page on the threshold sweep: mAPQ of each setting against that of the paper's, and against the spread of seeds."""
    tables = {name: figures_of(own) for name, own in records.items() if own}
    base = figures_of(main)
    setting = _setting(EXPERIMENTS["resnet"], records, SWEEP_SEEDS * len(sweep()))
    lines = [f"# Thresholds of {MAIN}, one changed at a time", "", setting, ""]
    if tables:
        lines += ["Points of mAPQ on the test panoramas, beside the paper's thresholds from the same seeds.", ""]
        lines += ["| changed | seeds | mAPQ | minus the paper's |", "|---|---|---|---|"]
    place = FIGURES.index("mAPQ")
    changes = []
    for name, own in tables.items():
        change = differences(own, base)[place].mean
        changes.append(change)
        mean = np.mean([table[place] for table in own.values()])
        lines.append(f"| {name} | {len(own)} | {_number(mean)} | {_number(change)} |")
    known = np.array(changes)[np.isfinite(changes)]
    spread = np.array([table[place] for table in base.values()])
    if len(known):
        lines += [
            "",
            f"All settings lie within {_number(np.ptp(np.append(known, 0)))} points of each other, the paper's among them.",
        ]
    if len(spread) > 1:
        lines += [f"Seeds alone move it by a standard deviation of {_number(spread.std(ddof=1))} points ({len(spread)} seeds)."]
    if len(tables) < len(sweep()):
        lines += ["", f"{len(sweep()) - len(tables)} of {len(sweep())} settings are not run yet; nothing is claimed of them."]
    return "\n".join([*lines, "", _foot("thresholds")])


def _setting(experiment: Experiment, records: Records, wanted: int) -> str:
    """What was run, in the words of the records themselves."""
    own = [record.about for each in records.values() for record in each.values()]
    if not own:
        return f"None of {wanted} runs yet."
    learned = AdaptTraining.model_validate(own[0]["settings"])
    return (
        f"{len(own)} of {wanted} runs. Source models: {own[0]['source_steps']} steps of {experiment.source_batch} crops on "
        f"{experiment.world.learned} pinhole images of procedural streets. Adaptation: {learned.steps} steps of "
        f"{learned.batch_size} crops of {learned.crop[1]}x{learned.crop[0]} of {COUNTS['adapt']} unlabelled panoramas of "
        f"{WIDTH}x{HEIGHT}, learning rate {learned.learning_rate:g}. Measured on {own[0]['panoramas']} other "
        "panoramas, by score thresholds that each seed's source model got on pinhole images and that all its arms "
        "share; last weights." + FULLER * experiment.world.full
    )


def _trials(arms: Mapping[str, Arm], trials: Sequence[Mapping[str, Any]]) -> list[str]:
    lines = [f"The learning rate, on {COUNTS['validation']} validation panoramas of scenes of their own. Per cent.", ""]
    lines += ["| arm | learning rate | steps | seed | mIoU | mPQ | mAPQ |", "|---|---|---|---|---|---|---|"]
    for one in sorted(trials, key=lambda one: (one["arm"], one["rate"])):
        rate = f"{one['rate']:g}" if arms[one["arm"]].how in ("training", "prototypes") else "-"
        figures = " | ".join(_number(one[name]) for name in ("mIoU", "mPQ", "mAPQ"))
        lines.append(f"| {one['arm']} | {rate} | {one['steps']} | {one['seed']} | {figures} |")
    return lines


def _requirements(tables: Tables) -> list[str]:
    """What was to be better than what, the chances corrected over these lines."""
    place = FIGURES.index("mAPQ")
    found = [differences(tables.get(one, {}), tables.get(other, {}))[place] for one, other in REQUIRED]
    lines = []
    for (one, other), own, chance in zip(REQUIRED, found, holm([own.chance for own in found])):
        seeds = len(tables.get(one, {}).keys() & tables.get(other, {}).keys())
        shown = own.mean > 0 and chance < 1 - LEVEL and seeds >= WANTED
        told = f"{'shown' if shown else 'not shown'}, {_cell(own)} points from {seeds} seeds" if seeds else "not run yet"
        lines.append(f"- {one} above {other} in mAPQ: {told}.")
    return lines


def _differences(tables: Tables) -> list[str]:
    """Rows of the table of differences, and its null rows."""
    pairs = [(one, other) for one, other in (*REQUIRED, *OTHERS) if one in tables and other in tables]
    found = [own for one, other in pairs for own in differences(tables[one], tables[other])]
    cells = [_cell(own) + star for own, star in zip(found, stars(found))]
    rows = []
    for number, (one, other) in enumerate(pairs):
        own = cells[len(FIGURES) * number :][: len(FIGURES)]
        rows.append(f"| {one} minus {other} | {len(tables[one].keys() & tables[other].keys())} | {' | '.join(own)} |")
    if base := tables.get("OPLL"):
        apart = [two_seeds(column) for column in np.stack(list(base.values())).T]
        rows.append(f"| *OPLL, another seed* | {len(base)} | {' | '.join(f'±{_number(one)}' for one in apart)} |")
        if nudged := tables.get(NUDGED):
            own = [_cell(one) for one in differences(nudged, base)]
            rows.append(f"| *{NUDGED} minus OPLL* | {len(nudged.keys() & base.keys())} | {' | '.join(own)} |")
    return rows


def _cell(found: Compared) -> str:
    return f"{_number(found.mean)} ({_number(found.low)} to {_number(found.high)})" if np.isfinite(found.mean) else "-"


def _spread(own: Mapping[int, NDArray[np.floating]]) -> list[str]:
    values = np.stack(list(own.values()))
    means = [_number(value) for value in values.mean(axis=0)]
    return means if len(own) < 2 else [f"{mean} ± {_number(sd)}" for mean, sd in zip(means, values.std(axis=0, ddof=1))]


def _number(share: float) -> str:
    # Adding 0 turns a minus zero into zero.
    return "-" if np.isnan(share) else f"{round(100 * share, 1) + 0:.1f}"


def _foot(page: str) -> str:
    return (
        f"`python -m benchmarks.adaptation.report {page}`, on {os.cpu_count()} cores, without a GPU, {date.today()}, Python "
        f"{platform.python_version()}, torch {torch.__version__}."
    )


def main() -> None:
    """The command line; see the top of this file."""
    parser = argparse.ArgumentParser(description="Pages on the experiments of adaptation.")
    parser.add_argument("page", choices=["arms", "thresholds"])
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("--experiment", choices=list(EXPERIMENTS), default="resnet")
    asked = parser.parse_args()
    experiment = EXPERIMENTS[asked.experiment]
    folder = asked.folder / experiment.folder
    if asked.page == "arms":
        file = folder / "tuning.jsonl"
        trials = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
        records = {name: read_records(folder, name) for name in experiment.arms}
        print(arms_page(asked.experiment, records, trials))
    else:
        print(thresholds_page({name: read_records(asked.folder, name) for name in sweep()}, read_records(asked.folder, MAIN)))


if __name__ == "__main__":
    main()
