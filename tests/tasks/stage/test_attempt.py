"""One attempt at a block, and what others made of it since the attempt was planned."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from configs.execution import Execution
from flows.plan import make_plan
from storage.receipts import read_receipt
from tasks.label import fuse
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


@pytest.mark.fault("What a block reads goes since another run made that block", expected="that of the other run stands")
def test_a_block_whose_inputs_another_run_drops_is_that_of_the_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_pipeline(tmp_path, 12, block_size=12)
    config = load(path, geometry__keep="until_read", classes__keep="until_read")
    ingested(config)
    plan = make_plan(config)
    for key in ("project", "geometry", "classes"):
        make_block(plan.job(plan.step(key), plan.step(key).blocks[0], "one", Execution()), print)
    job = plan.job(plan.step("fuse"), plan.step("fuse").blocks[0], "one", Execution())
    require, seen = fuse.require_labels, list[str]()

    def required(labels: Any, observed: Any) -> None:
        """At the second item another run comes by, makes the block, and drops what it has read."""
        seen.append("item")
        if len(seen) == 2:
            run_pipeline(config)
        require(labels, observed)

    monkeypatch.setattr(fuse, "require_labels", required)
    receipt = make_block(job, print)
    assert not list((tmp_path / "store/stages").glob("label.*/*/*/receipt.json")), "they were dropped while the block was made"
    assert receipt.made["run"] != "one"
    assert receipt == read_receipt(job.url)
    assert not make_plan(config).anything_to_run
