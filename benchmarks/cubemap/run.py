"""Every training of the comparison that is not there yet, then its figures on scenes that none has seen; written as a table.

    make cubemap-teacher
    python -m benchmarks.cubemap.run [--threads 2] > benchmarks/results/labels/cubemap_teacher.md

Trainings keep checkpoints, and figures are kept as they are found, in the folder of results: stop it at any time, and start it
again. What was measured needs no training any more. ``--report`` makes the table of what is there.
"""

from __future__ import annotations

import argparse
import json
import logging
from pathlib import Path
from typing import Any

import torch

from benchmarks.cubemap.arms import FOLDER, SEEDS, Arm, identity, make, model_of, planned
from benchmarks.cubemap.measuring import measured, place
from benchmarks.cubemap.report import report

log = logging.getLogger("cubemap")
Records = dict[tuple[str, int], list[dict[str, Any]]]
RESULTS = Path("benchmarks/results/labels/cubemap_teacher")


def file_of(arm: Arm, seed: int, results: Path) -> Path:
    """Where the figures of a training lie, a line a panorama: those of other weights, or another recipe, are others."""
    return results / f"{arm.name.replace(', ', '-').replace(' ', '-')}-{seed}-{identity(arm, seed)}.jsonl"


def rows_of(arm: Arm, seed: int, results: Path) -> list[dict[str, Any]]:
    """Figures of the first panoramas that a training was measured on; what a kill tore from the last line is not among them."""
    file = file_of(arm, seed, results)
    whole = file.read_text().rpartition("\n")[0] if file.exists() else ""
    return [json.loads(line) for line in whole.splitlines()]


def measure(arms: list[tuple[Arm, int]], count: int, folder: Path, results: Path) -> None:
    """Figures of networks on the first ``count`` unseen panoramas, panorama by panorama, so that all meet the same machine."""
    known = {one: rows_of(*one, results) for one in arms}
    results.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        for arm, seed in arms:
            rows = known[arm, seed]
            if number == len(rows):
                rows.append(_short(measured(arm, model_of(arm, seed, folder), place(number, folder))))
                file = file_of(arm, seed, results)
                part = file.with_suffix(".part")
                part.write_text("".join(json.dumps(row) + "\n" for row in rows))
                part.replace(file)
        log.info("panorama %d of %d", number + 1, count)


def _short(row: dict[str, Any]) -> dict[str, Any]:
    """The same with seven digits of each number."""
    shortened: dict[str, Any] = json.loads(json.dumps(row), parse_float=lambda text: float(f"{float(text):.7g}"))
    return shortened


def records(seeds: int, counts: dict[bool, int], results: Path) -> Records:
    """What is there of each training."""
    found = {(arm, seed): rows_of(arm, seed, results)[: counts[arm.shipped is not None]] for arm, seed in planned(seeds)}
    return {(arm.name, seed): rows for (arm, seed), rows in found.items() if rows}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=FOLDER, help="of faces and trainings")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of figures")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="of the arms")
    parser.add_argument("--count", type=int, default=60, help="unseen panoramas for both sides in full")
    parser.add_argument("--arms-count", type=int, default=30, help="unseen panoramas for the arms")
    parser.add_argument("--threads", type=int, help="of the CPU; by default PyTorch's own choice")
    parser.add_argument("--report", action="store_true", help="only the table of what is there")
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    if given.threads:
        torch.set_num_threads(given.threads)
    if not given.report:
        everything = list(planned(given.seeds))
        full = [one for one in everything if one[0].shipped is not None]
        measure(full, given.count, given.folder, given.results)
        for seed in range(given.seeds):
            own = [one for one in everything if one[0].shipped is None and one[1] == seed]
            for arm, _ in own:
                if len(rows_of(arm, seed, given.results)) < given.arms_count:
                    make(arm, seed, given.folder)
            measure(own, given.arms_count, given.folder, given.results)
    counts = {True: given.count, False: given.arms_count}
    print(report(records(given.seeds, counts, given.results), given.seeds, given.count, given.arms_count))


if __name__ == "__main__":
    main()
