"""Every training of the comparison that is not there yet, then its figures on scenes that none has seen; written as a table.

    make cubemap-teacher
    python -m benchmarks.cubemap.run [--threads 2] > benchmarks/results/labels/cubemap_teacher.md

Trainings keep checkpoints, and every panorama's figures are a file of their own: stop it at any time, and start it again.
``--report`` makes the table of what is there.
"""

from __future__ import annotations

import argparse
import json
import logging
from pathlib import Path
from typing import Any

import torch

from benchmarks.cubemap.arms import FOLDER, SEEDS, Arm, make, model_of, planned
from benchmarks.cubemap.measuring import measured, place
from benchmarks.cubemap.report import report
from models.teachers.weights import digest_folder

log = logging.getLogger("cubemap")
Records = dict[tuple[str, int], list[dict[str, Any]]]


def record_of(arm: Arm, seed: int, number: int, folder: Path) -> Path:
    """Where the figures of a network on a panorama lie: those of other weights are others."""
    weights = digest_folder(model_of(arm, seed, folder))[:12]
    return folder / "records" / f"{arm.name.replace(', ', '-').replace(' ', '-')}-{seed}-{weights}" / f"{number:03d}.json"


def measure(arms: list[tuple[Arm, int]], count: int, folder: Path) -> None:
    """Figures of networks on the first ``count`` unseen panoramas, panorama by panorama, so that all meet the same machine."""
    for number in range(count):
        for arm, seed in arms:
            path = record_of(arm, seed, number, folder)
            if not path.exists():
                found = measured(arm, model_of(arm, seed, folder), place(number, folder))
                path.parent.mkdir(parents=True, exist_ok=True)
                part = path.with_suffix(".part")
                part.write_text(json.dumps(found) + "\n")
                part.replace(path)
        log.info("panorama %d of %d", number + 1, count)


def records(seeds: int, counts: dict[bool, int], folder: Path) -> Records:
    """What is there of each training."""
    found: Records = {}
    for arm, seed in planned(seeds):
        if model_of(arm, seed, folder).exists():
            paths = [record_of(arm, seed, number, folder) for number in range(counts[arm.shipped is not None])]
            found[arm.name, seed] = [json.loads(path.read_text()) for path in paths if path.exists()]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=FOLDER)
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
        measure(full, given.count, given.folder)
        for seed in range(given.seeds):
            own = [one for one in everything if one[0].shipped is None and one[1] == seed]
            for arm, _ in own:
                make(arm, seed, given.folder)
            measure(own, given.arms_count, given.folder)
    counts = {True: given.count, False: given.arms_count}
    print(report(records(given.seeds, counts, given.folder), given.seeds, given.count, given.arms_count))


if __name__ == "__main__":
    main()
