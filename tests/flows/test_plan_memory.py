"""What a plan holds does not grow with what there is to say of every panorama."""

import tracemalloc
from pathlib import Path

from benchmarks.runs.overhead import write_finished_store
from flows.plan import make_plan
from flows.stores.life import items_told
from tasks.pipeline import load


def test_a_plan_of_a_finished_store_holds_little_of_each_panorama(tmp_path: Path) -> None:
    count = 5_000
    config = load(write_finished_store(tmp_path, count, 500))
    make_plan(config)  # what is imported, and kept for all plans, is no plan's
    tracemalloc.start()
    plan = make_plan(config)
    told = items_told(plan)
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(plan.items) == count
    assert not plan.anything_to_run
    assert told[0]["new"]["count"] == 0
    assert held / count < 200, "bytes a panorama, with its rows in the receipts of all stages; one object alone has 1,000"
    assert peak / count < 2_000
