"""Items that are tried again: the others of their blocks are copied, except where a model will be another."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from flows.plan import make_plan
from tasks.pipeline import load
from tests.flows.test_changed_truth import rows, write_audited, write_truth
from tests.support.chains import carry_out, write_chain


def test_truth_that_was_mended_costs_its_own_row(tmp_path: Path) -> None:
    config = write_audited(tmp_path)
    torn = tmp_path / "truth/p1.npz"
    torn.write_bytes(torn.read_bytes()[:-50])
    carry_out(config)
    assert [name for name, _, _ in rows(config, "evaluate")] == ["p0", "p1", "p2", "p3"]
    write_truth(tmp_path, "p1", 3.0)
    planned = {row.stage: (row.to_run, row.items, row.copied) for row in make_plan(config, True).stages if row.to_run}
    assert planned == dict.fromkeys(("evaluate", "audit"), (1, 1, 3))
    carry_out(config, retry=True)
    found = {name: figures for name, figures, _ in rows(config, "evaluate")}
    expected = load(tmp_path / "changes.yaml", {"root": str(tmp_path / "anew")})
    carry_out(expected)
    assert found == {name: figures for name, figures, _ in rows(expected, "evaluate")}
    assert not make_plan(config, True).anything_to_run


@pytest.mark.slow
def test_what_a_model_made_that_learns_anew_is_made_by_the_new_one(tmp_path: Path) -> None:
    """A panorama whose labels are tried again is one more to learn from: nothing is copied behind the training."""
    config = load(write_chain(tmp_path))
    carry_out(config)
    (receipt,) = [
        file
        for file in (tmp_path / "store/stages/fuse").rglob("receipt.json")
        if json.loads(file.read_text())["items"][0]["item"] == "p00"
    ]
    said = json.loads(receipt.read_text())
    said["items"][0] |= {"state": "quarantined", "reason": "torn", "digest": "", "key": ""}
    receipt.write_text(json.dumps(said))
    planned = {row.stage: (row.items, row.copied) for row in make_plan(config, True).stages if row.to_run}
    assert (planned["fuse"], planned["train"]) == ((1, 1), (1, 0))
    assert (planned["student"], planned["adapt.predict"]) == ((3, 0), (3, 0))
    assert (planned["student_score"], planned["adapted_score"]) == ((3, 0), (3, 0)), "figures of predictions that are no more"
