"""What is looked for in the store is what a run makes there, in a file with a training and two sources too."""

from __future__ import annotations

from pathlib import Path

import yaml

from configs.trial import WHOLE
from flows.plan import make_plan
from flows.setup.cost import estimate_cost, stages_over
from flows.trials import narrowed
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


def test_fingerprints_are_those_of_the_plan(tmp_path: Path) -> None:
    config = load(write_street(tmp_path))
    part = narrowed(WHOLE, config, sources(config), ingest.recorded)
    found = {stage.key: stage.identity.fingerprint for stage in stages_over(config, part.sources)}
    assert found == {row.stage: row.fingerprint for row in make_plan(config).stages}


def test_every_stage_has_a_row_and_what_is_made_of_all_is_made_once(tmp_path: Path) -> None:
    cost = estimate_cost(load(write_street(tmp_path)), 1001)
    runs = {row.stage: row.task_runs for row in cost.stages}
    assert runs == {
        "ingest": 5,
        "target": 5,
        "train": 1,
        **dict.fromkeys(("project", "geometry", "classes", "fuse", "evaluate"), 501),
        **dict.fromkeys(("student", "score"), 63),
    }
