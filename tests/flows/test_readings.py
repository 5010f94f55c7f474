"""How often a run looks into its store and its source: each receipt at most once, and the source once."""

from __future__ import annotations

import threading
from collections import Counter
from pathlib import Path

import pytest
from typer.testing import CliRunner

from flows.cli import app
from flows.plan import make_plan
from flows.running.handover import handing_over
from storage import receipts as storage_receipts
from storage.receipts import read_receipt
from storage.urls import read_bytes
from tasks.ingest import ingest
from tests.support.pipelines import load, run_pipeline, write_pipeline

pytestmark = pytest.mark.usefixtures("prefect_api")


class Readings:
    """Receipts that the flow reads, by file, and listings of the source. What stages read on workers is their own work."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.receipts: Counter[str] = Counter()
        self.listings = 0
        look = ingest.look_at

        def read(url: str) -> bytes:
            name = threading.current_thread().name
            if threading.current_thread() is threading.main_thread() or name.startswith("receipts"):
                self.receipts[url] += url.endswith("receipt.json")
            return read_bytes(url)

        def listed(source):  # type: ignore[no-untyped-def]
            self.listings += 1
            return look(source)

        monkeypatch.setattr(storage_receipts, "read_bytes", read)
        monkeypatch.setattr(ingest, "look_at", listed)

    def found(self) -> dict[str, int]:
        """How often each receipt was read that is there; what the plan looks for in vain does not count."""
        return {url: count for url, count in self.receipts.items() if count and Path(url.removeprefix("file://")).exists()}


def test_a_run_reads_no_receipt_that_it_made_and_the_next_reads_each_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_pipeline(tmp_path, 5)
    config = load(path)
    read = Readings(monkeypatch)
    plan = make_plan(config)
    with handing_over(plan):
        record = run_pipeline(config)
    receipts = list((tmp_path / "store" / "stages").rglob("receipt.json"))
    assert len(receipts) == 3 * 5, "blocks x stages"
    assert sum(row["ran"] for row in record["stages"]) == 15
    assert record["found"]["evaluate"]["items"] == 5
    assert sum(read.receipts.values()) == 0, "blocks returned them, and none is looked for in vain"
    assert read.listings == 1, "what was planned is what runs"

    again = Readings(monkeypatch)
    taller = load(path, fuse__height=40)
    plan = make_plan(taller)
    with handing_over(plan):
        record = run_pipeline(taller)
    assert {row["stage"]: row["ran"] for row in record["stages"]} == {
        "project": 0, "geometry": 0, "classes": 0, "fuse": 3, "evaluate": 3
    }  # fmt: skip
    assert again.listings == 1
    assert len(again.found()) == 15, "nine that are there, and six of other settings to estimate from"
    assert set(again.found().values()) == {1}
    assert sum(again.receipts.values()) == 15, "and none is looked for in vain"


def test_what_blocks_return_is_what_the_store_says(tmp_path: Path) -> None:
    config = load(write_pipeline(tmp_path, 3))
    plan = make_plan(config)
    with handing_over(plan):
        run_pipeline(config)
    now = make_plan(config)
    for step in now.steps:
        for block, receipt in now.receipts.of(step):
            kept = plan.receipts.get(step.stage, block.name)
            url = tmp_path / "store" / "stages" / step.stage.name / step.stage.identity.fingerprint / block.name
            assert kept == receipt == read_receipt(str(url))


def test_what_is_forgotten_is_read_again(tmp_path: Path) -> None:
    config = load(write_pipeline(tmp_path, 2))
    run_pipeline(config)
    plan = make_plan(config)
    step = plan.steps[0]
    [(block, receipt)] = plan.receipts.of(step)
    (tmp_path / "store" / "stages" / step.stage.name / receipt.fingerprint / block.name / "receipt.json").unlink()
    assert plan.receipts.of(step) == [(block, receipt)]
    plan.receipts.forget()
    assert plan.receipts.of(step) == []


def test_the_command_lists_once_what_it_plans_and_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prefect_api: str) -> None:
    path = write_pipeline(tmp_path, 3)
    for ran in (True, False):
        with monkeypatch.context() as patch:
            read = Readings(patch)
            told = CliRunner().invoke(app, ["run", str(path), "--json"], env={"PREFECT_API_URL": prefect_api})
        assert told.exit_code == 0, told.output
        assert read.listings == 1
        assert sum(read.receipts.values()) == (0 if ran else 2 * 5), "blocks x stages"
