"""gc over a file that labels, trains, adapts and predicts: nothing of any of its stages goes, whatever it is read by."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.plan import make_plan
from flows.stores.garbage import collect, find_garbage
from flows.stores.items import verify_store
from flows.stores.needed import needed
from tests.support.chains import write_chain
from tests.support.pipelines import data_bytes, load, run_pipeline

pytestmark = pytest.mark.usefixtures("prefect_api")


@pytest.mark.slow
def test_gc_keeps_every_stage_of_a_chain_and_takes_what_was_superseded(tmp_path: Path) -> None:
    path, root = write_chain(tmp_path), tmp_path / "store"
    config = load(path)
    run_pipeline(config)
    before, manifests = data_bytes(root), sorted(root.rglob("*.parquet"))
    assert len(manifests) == 2
    plan = make_plan(config)
    own = {(stage.name, stage.identity.fingerprint) for stage in plan.definitions}
    assert own <= needed(config, plan, keep_runs=0)
    assert find_garbage(config, keep_runs=0, older_than_hours=0) == []

    other = load(path, student__normals_dtype="float16")
    assert {row.stage for row in make_plan(other).stages if row.to_run} == {"student", "student_score"}
    run_pipeline(other)
    found = find_garbage(config, keep_runs=0, older_than_hours=0)
    assert sorted(one.url.split("/")[-2] for one in found) == ["evaluate", "predict"]
    collect(config, found)
    assert (data_bytes(root), sorted(root.rglob("*.parquet"))) == (before, manifests)
    assert all(broken is None for _, broken in verify_store(config))
    assert not make_plan(config).anything_to_run

    retrained = load(path, train__steps=5)
    gone = {one.url.split("/")[-2] for one in find_garbage(retrained, keep_runs=0, older_than_hours=0)}
    assert not gone & {"train", "adapt", "fuse", "label.geometry", "label.classes", "project"}, "models, and all behind them"
