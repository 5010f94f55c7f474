"""A street whose labels teach a student, which says what it sees in another place."""

from __future__ import annotations

from pathlib import Path

import yaml

from tasks.ingest import ingest
from tasks.ingest.check import check
from tasks.pipeline import load, sources
from tests.support.pipelines import write_panoramas, write_pipeline


def write_street(folder: Path, count: int = 2) -> Path:
    """Labels, a student of them, and its predictions of another place; both sources have their manifests."""
    path = write_pipeline(folder, count)
    write_panoramas(folder / "target", ["t0", "t1", "t2"])
    values = yaml.safe_load(path.read_text())
    values["stages"] |= {
        "train": {"size": "tiny", "backbone": "convnext", "height": 32, "steps": 2, "held_out": None},
        "target": {"stage": "ingest", "source": {"url": str(folder / "target")}},
        "student": {"stage": "predict", "model": "train", "panoramas": "target"},
        "score": {"stage": "evaluate", "labels": "student"},
    }
    path.write_text(yaml.safe_dump(values, sort_keys=False))
    for stage in sources(load(path)):
        scan = ingest.scan(stage)
        ingest.save(stage, scan.known, [check(entry, stage.settings, None) for entry in scan.to_read])
    return path
