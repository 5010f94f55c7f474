"""What was learned from a panorama that is forgotten is named, and learned anew without it."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.plan import make_plan
from flows.stores.forgetting import forget
from storage.receipts import read_receipt
from tests.support.pipelines import load, run_pipeline
from tests.support.streets import write_street


@pytest.mark.slow
def test_trainings_and_what_they_predicted_are_named_and_owed_again(tmp_path: Path, prefect_api: str) -> None:
    config = load(write_street(tmp_path, 5))
    record = run_pipeline(config)
    (before,) = (tmp_path / "store" / "stages" / "train").glob("*/*/receipt.json")
    told = forget(config, ["p02"], "asked to")
    assert ("train", record["run"]) in {(one["stage"], one["run"]) for one in told["made_with"]}
    owed = {row.stage: row.to_run for row in make_plan(config).stages}
    assert (owed["train"], owed["student"], owed["fuse"]) == (1, 1, 0)
    run_pipeline(config)
    after = set((tmp_path / "store" / "stages" / "train").glob("*/*/receipt.json")) - {before}
    (receipt,) = [read_receipt(str(path.parent)) for path in after]
    assert receipt is not None
    assert "p02" not in str(receipt.items), "the new model never saw it"
