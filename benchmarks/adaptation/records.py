"""What an arm achieved from one seed: figures and settings as JSON, and the counts of every test panorama beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from metrics.seamless.suite import SuiteCounts, from_arrays, merged
from tasks.seamless.vocabularies import THINGS


@dataclass(frozen=True, eq=False)
class Record:
    """``about``: arm, seed, settings, seconds; ``counts``: of each panorama, in their order."""

    about: Mapping[str, Any]
    counts: Sequence[SuiteCounts]


def record_file(folder: Path, arm: str, seed: int) -> Path:
    """Where the record of an arm and a seed lies, or will lie."""
    return folder / "runs" / arm.replace(" ", "_") / f"{seed}.json"


def write_record(folder: Path, record: Record) -> None:
    """Write both files, the JSON last: where it is, the record is whole."""
    file = record_file(folder, record.about["arm"], record.about["seed"])
    file.parent.mkdir(parents=True, exist_ok=True)
    arrays = {f"{index} {name}": value for index, one in enumerate(record.counts) for name, value in one.arrays().items()}
    np.savez_compressed(file.with_suffix(".npz"), allow_pickle=False, **arrays)
    content = {**record.about, "panoramas": len(record.counts), "figures": merged(record.counts).figures(THINGS)}
    temporary = file.with_suffix(".tmp")
    temporary.write_text(json.dumps(content, indent=1) + "\n")
    temporary.replace(file)


def read_records(folder: Path, arm: str) -> dict[int, Record]:
    """All records of an arm by seed."""
    found = {int(file.stem): file for file in (folder / "runs" / arm.replace(" ", "_")).glob("*.json")}
    return {seed: _read(found[seed]) for seed in sorted(found)}


def _read(file: Path) -> Record:
    about = json.loads(file.read_text())
    each: list[dict[str, np.ndarray]] = [{} for _ in range(about["panoramas"])]
    with np.load(file.with_suffix(".npz"), allow_pickle=False) as arrays:
        for key in arrays.files:
            index, name = key.split(" ", 1)
            each[int(index)][name] = arrays[key]
    return Record(about, [from_arrays(one) for one in each])
