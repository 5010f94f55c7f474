"""Data that stays until it is read: the same labels, little in the store at a time, and no work that was not asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from configs.settings import ConfigError
from flows.plan import make_plan
from flows.publishing.audit import owed_by, with_stage
from flows.running import dropping
from flows.stores.items import verify_store
from flows.stores.made import made_of
from scenes.dataset import write_dataset
from storage.receipts import drop_data
from tests.flows.test_fidelity import write_config
from tests.support.pipelines import data_bytes, load, run_pipeline, without_fingerprints, write_pipeline

pytestmark = pytest.mark.usefixtures("prefect_api")
KEPT: dict[str, Any] = {"project__keep": "until_read", "geometry__keep": "until_read", "classes__keep": "until_read"}


def test_labels_are_the_same_and_what_they_were_made_from_goes_as_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    always, until_read = write_pipeline(tmp_path / "always", 8), write_pipeline(tmp_path / "until_read", 8)
    run_pipeline(load(always))
    most = [0]

    def counted(url: str) -> int:
        there = [one for one in until_read.parent.rglob("receipt.json") if "label.geometry" in one.parts]
        most[0] = max(most[0], len(there))
        return drop_data(url)

    monkeypatch.setattr(dropping, "drop_data", counted)
    config = load(until_read, **KEPT, execution__runner__workers=1, execution__runner__window=1)
    record = run_pipeline(config)
    fused, kept = (
        {name: data for name, data in without_fingerprints(path.parent / "store").items() if "fuse/" in name}
        for path in (always, until_read)
    )
    assert kept == fused
    kept = data_bytes(until_read.parent / "store")
    assert not [name for name in kept if "label." in name or "/project/" in name]
    stored = list((until_read.parent / "store" / "stages").glob("[lp]*/*/*/**/"))
    assert not [folder for folder in stored if not any(folder.iterdir())], "folders of what was dropped go too"
    assert most == [1], "of four blocks one is there at a time"
    assert {row["stage"]: row["ran"] for row in record["stages"]}["geometry"] == 4
    assert not make_plan(config).anything_to_run
    assert all(broken is None for _, broken in verify_store(config))


def test_a_new_setting_behind_it_makes_it_once_more(tmp_path: Path) -> None:
    path = write_pipeline(tmp_path, 4)
    run_pipeline(load(path, **KEPT))
    changed = load(path, **KEPT, fuse__edge_feather=0.3)
    assert {row.stage: row.to_run for row in make_plan(changed).stages}["geometry"] == 2
    run_pipeline(changed)
    assert not make_plan(changed).anything_to_run


def test_what_it_shows_does_not_hang_on_when_it_was_dropped(tmp_path: Path) -> None:
    path = write_pipeline(tmp_path, 4)
    record = run_pipeline(load(path, **KEPT, fuse__keep="until_read"))
    shown = [piece for piece in record["shown"] if piece["title"] == "Labels"]
    assert "dropped, since all that reads them is made" in str(shown)
    plan = make_plan(load(path, **KEPT, fuse__keep="until_read"))
    for key in ("geometry", "fuse"):
        made = made_of(load(path), plan, plan.step(key))
        assert (len(made.blocks), len(made.dropped), len(list(made.rows()))) == (0, 2, 4)


def test_an_audit_makes_what_it_needs_again(tmp_path: Path) -> None:
    """That is the labels of views, and the views that these are made from; all go again."""
    write_dataset(tmp_path, "mixed", 3, 40, 64, 128, supersample=1, amodal=False, processes=1)
    path = write_config(tmp_path, tmp_path, view_scale=0.1, seed=1)
    kept = {"project__keep": "until_read", "truth__keep": "until_read"}
    run_pipeline(load(path, **kept))
    config, key = with_stage(load(path, **kept), "audit", {})
    owed = owed_by(config, make_plan(config), key)
    assert {stage: len(blocks) for stage, blocks in owed.items()} == {"project": 1, "truth": 1, "audit": 1}
    run_pipeline(config, only=owed)
    assert not make_plan(config).anything_to_run
    assert not [name for name in data_bytes(tmp_path / "store") if "label." in name or "/project/" in name]


def test_it_enters_no_fingerprint(tmp_path: Path) -> None:
    path = write_pipeline(tmp_path, 2)
    run_pipeline(load(path))
    assert not make_plan(load(path, **KEPT)).anything_to_run


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"geometry__keep": "never_ever"}, r"geometry\.keep: must be always, until_read or never, got 'never_ever'"),
        ({"ingest__keep": "until_read"}, r"stages\.ingest\.keep: what ingest makes is no labels of single panoramas"),
        ({"execution__keep_patch_labels": False}, r"keep_patch_labels: is said by stages now"),
        ({"execution__blocks_per_flow_run": 5}, r"blocks_per_flow_run: is called task_runs_per_flow_run now"),
    ],
)
def test_a_mistake_is_told(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load(write_pipeline(tmp_path, 1), **changes)
