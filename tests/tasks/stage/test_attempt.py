"""One attempt at a block, and what others made of it since the attempt was planned."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from configs.execution import Execution
from flows.plan import make_plan
from storage.receipts import read_receipt
from tasks.stage.attempts.attempt import make_block
from tasks.stage.job import Job
from tests.support.pipelines import load, run_pipeline, write_pipeline
from tests.support.stages import ingested

pytestmark = pytest.mark.usefixtures("prefect_api")


def stamps(job: Job) -> dict[str, int]:
    return {str(file): file.stat().st_mtime_ns for file in Path(job.url).rglob("*")}


@pytest.mark.fault("A run planned before another made its blocks", expected="they stand; nobody's reader loses them")
def test_what_another_run_made_meanwhile_stands(tmp_path: Path) -> None:
    config = load(write_pipeline(tmp_path))
    ingested(config)
    late = make_plan(config)
    jobs = [late.job(step, block, "late", Execution()) for step in late.steps for block in late.owed_blocks(step)]
    assert jobs
    record = run_pipeline(config)
    for job in jobs:
        before = stamps(job)
        receipt = make_block(job, print)
        assert receipt == read_receipt(job.url)
        assert receipt.made["run"] == record["run"]
        assert stamps(job) == before, "nothing is written, withdrawn or renamed"


def test_what_was_there_when_planned_is_replaced(tmp_path: Path) -> None:
    config = load(write_pipeline(tmp_path))
    run_pipeline(config)
    plan = make_plan(config)
    step = next(step for step in plan.steps if not step.stage.is_source)
    job = plan.job(step, step.blocks[0], "again", Execution())
    assert job.replaces
    assert make_block(job, print).made["run"] == "again"
    assert make_block(replace(job, run="later"), print).made["run"] == "again", "a third run finds that of the second"
