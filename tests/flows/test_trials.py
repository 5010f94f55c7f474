"""Trials: some panoramas, some stages, in the same store. What ran is counted by the Prefect server, and compared with the plan."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from configs.pipeline import Config
from configs.settings import ConfigError
from configs.trial import Trial
from flows.plan import make_plan
from storage.manifest import Block, Item
from tasks.pipeline import load
from tests.flows.test_chain import task_runs
from tests.support.chains import ADAPTATION, ADAPTED, LABELLING, STAGES, STUDENT, write_chain
from tests.support.pipelines import keep, restore, write_panoramas, write_pipeline

pytestmark = pytest.mark.usefixtures("prefect_api")


def run(config: Config, trial: Trial) -> dict[str, object]:
    from flows.pipeline import pipeline
    from flows.stores.record import new_run_name

    return pipeline(config, new_run_name(config.name), trial=trial)


def executed(config: Config, **trial: object) -> dict[str, int]:
    """Run a trial, and count the blocks that ran by stage; plan and record must agree, and nothing be owed afterwards."""
    chosen = Trial.model_validate(trial)
    plan = make_plan(config, trial=chosen)
    record = run(config, chosen)
    ran = {row["stage"]: row["ran"] for row in record["stages"] if row["ran"]}
    assert task_runs(record["run"]) == ran
    assert {row.stage: row.to_run for row in plan.stages if row.to_run and row.stage in plan.owed} == ran
    assert not make_plan(config, trial=chosen).anything_to_run
    return ran


def stored(config: Config, stage: str) -> list[list[str]]:
    """The items of every block of a stage, as receipts name them."""
    files = sorted((Path(config.root) / "stages" / stage).rglob("receipt.json"))
    return sorted([row["item"] for row in json.loads(file.read_text())["items"]] for file in files)


def manifests(config: Config) -> list[Path]:
    return sorted((Path(config.root) / "stages").glob("*/*/*.parquet"))


def test_a_trial_of_a_new_source_reads_and_makes_its_panoramas_alone(tmp_path: Path) -> None:
    config = load(write_pipeline(tmp_path, 7))
    assert executed(config, limit=3) == dict.fromkeys(LABELLING, 2)
    assert stored(config, "fuse") == [["p00", "p01"], ["p02"]]
    assert manifests(config) == [], "places are given once all files are read"
    assert executed(config, items=["p06", "p02"]) == dict.fromkeys(LABELLING, 1), "p02 was tried already"
    assert executed(config) == dict.fromkeys(LABELLING, 2), "the first block and the last are whole"
    assert stored(config, "fuse") == [["p00", "p01"], ["p02"], ["p02", "p03"], ["p04", "p05"], ["p06"]]
    assert executed(config, limit=3) == {}
