"""How much of a run networks would have taken by themselves: the figure, and runs with a teacher that sleeps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from configs.execution import Runner
from flows.running.measures import efficiency
from flows.running.measures.chips import Chips
from flows.running.measures.efficiency import Efficiency
from storage.receipts import Receipt
from tests.support.faulty import switch
from tests.support.pipelines import load, run_pipeline
from tests.support.processes import write_faulty_pipeline
from tests.support.stages import stage_of

SLEEP = 0.05


def receipt(device: str, **spent: float) -> Receipt:
    made = {"run": "run", "seconds": 1.0, "device": device, "versions": {}, "spent": spent}
    return Receipt("label.geometry", "f", "b", (), {}, {}, made)


POOLS = Runner.model_validate({"kind": "dask", "pools": {"gpu": 3, "cpu": 5}})
"""Each worker of the first calls its GPU by the same name."""


@pytest.mark.parametrize(
    ("device", "runner", "at_a_time"),
    [("cuda:0", Runner(workers=2), 1), ("cpu", Runner(workers=2), 2), ("cuda:0", POOLS, 3), ("cpu", POOLS, 3)],
)
def test_it_is_the_quickest_item_over_the_time_that_there_was(
    device: str, runner: Runner, at_a_time: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(efficiency.time, "monotonic", lambda: now[0])
    stage = stage_of(load(write_faulty_pipeline(tmp_path, 1)), "geometry")
    found = Efficiency(runner, Chips())
    now[0] = 3.0
    found.begun(stage)
    now[0] = 8.0
    found.done(stage, receipt(device, input=1.0, compute=2.0, output=1.0, items=4, quickest=0.5))
    now[0] = 9.0
    found.done(stage, receipt(device, input=0.0, compute=4.0, output=0.0, items=6, quickest=0.4))
    now[0] = 10.0
    found.end()
    now[0] = 70.0
    told = found.as_json()
    assert told is not None
    assert told["share"] == pytest.approx(10 * 0.4 / (10.0 * at_a_time), abs=1e-4)
    assert (told["devices"], told["before_the_first"], told["after_the_last"]) == (at_a_time, 3.0, 1.0)
    assert "Their blocks waited 12% of their time for input and 12% for output" in str(found.line())


def test_a_run_without_networks_has_none(tmp_path: Path) -> None:
    stage = stage_of(load(write_faulty_pipeline(tmp_path, 1)), "project")
    found = Efficiency(Runner(workers=1), Chips())
    found.begun(stage)
    found.done(stage, receipt("cpu", input=0.0, compute=1.0, output=0.0, items=1, quickest=1.0))
    assert (found.as_json(), found.line()) == (None, None)


@pytest.mark.parametrize(("keep", "name"), [("always", "geometry"), ("never", "label.geometry")])
def test_the_record_of_a_run_has_it(keep: str, name: str, tmp_path: Path, prefect_api: str) -> None:
    path = write_faulty_pipeline(tmp_path, 6)
    switch(tmp_path, sleep=SLEEP)
    record: dict[str, Any] = run_pipeline(load(path, geometry__keep=keep, execution__runner__workers=1))
    told = record["efficiency"]
    assert told["stages"][name]["items"] == 6
    assert told["stages"][name]["quickest"] >= SLEEP
    assert 6 * SLEEP / told["seconds"] <= told["share"] <= 1
    (log,) = (tmp_path / "store" / "runs").glob("*.log")
    assert f"efficiency {told['share']:.0%}: networks alone would take" in log.read_text()
