"""What is looked for in the store is what a run makes there, in a file with a training and two sources too."""

from __future__ import annotations

from pathlib import Path

from configs.trial import WHOLE
from flows.plan import make_plan
from flows.setup.cost import estimate_cost, stages_over
from flows.trials import narrowed
from tasks.ingest import ingest
from tasks.pipeline import load, sources
from tests.support.streets import write_street


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
