"""What stays of a block when one of its panoramas is forgotten: the labels of the others, which nobody makes again."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from benchmarks.runs.changes import TEACHER, write_config, write_images
from benchmarks.runs.direct import carry_out
from configs.pipeline import Config
from configs.trial import Trial
from flows.plan import make_plan
from flows.stores.finished import finished_labels
from flows.stores.forgetting import forget, remember
from flows.stores.items import verify_store
from models.teachers import registry
from storage.receipts import drop_data
from tasks.pipeline import load
from tests.support.pipelines import data_bytes

NAMES = [f"p{number}" for number in range(6)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Six panoramas in blocks of three."""
    write_images(tmp_path / "images", NAMES)
    return write_config(tmp_path, 3)


@pytest.fixture
def config(path: Path) -> Config:
    """A finished store; whatever its teacher looks at from now on is in the file ``calls``."""
    found = load(path)
    carry_out(found)
    (path.parent / "calls").write_text("")
    return found


def looked_at(config: Config) -> list[str]:
    """What the teacher sees when all is made that is owed."""
    carry_out(config)
    return (Path(config.root).parent / "calls").read_text().split()


def rows(root: Path) -> dict[str, object]:
    """The rows of all receipts, by where they lie."""
    files = sorted((root / "stages").rglob("receipt.json"))
    return {str(file.parent.relative_to(root)): json.loads(file.read_text())["items"] for file in files}


def test_neighbours_keep_their_labels_though_their_files_are_gone(path: Path, config: Config) -> None:
    (path.parent / "images/p1.png").unlink()
    other = load(path, {"fuse.edge_feather": 0.4})
    carry_out(other)
    found = forget(config, ["p0"], "asked to")
    assert (found["blocks"], found["kept"]) == (6, 6), "views, teacher, two fusions and two evaluations"
    assert not make_plan(config).anything_to_run
    assert not make_plan(other).anything_to_run, "of all fingerprints"
    kept = finished_labels(config, keep_removed=True)
    assert {item.item: row.state for item, row in kept.rows()} == dict.fromkeys(NAMES[1:], "done")
    assert not any(damage for _, damage in verify_store(config))
    assert looked_at(config) == []


def test_what_stays_is_what_a_run_makes_that_never_saw_the_panorama(path: Path, config: Config, tmp_path: Path) -> None:
    forget(config, ["p1"], "asked to")
    store, anew = tmp_path / "store", tmp_path / "anew"
    for folder in ("stages/ingest", "forgotten"):
        shutil.copytree(store / folder, anew / folder)
    carry_out(load(path, {"root": str(anew)}))
    assert data_bytes(store) == data_bytes(anew), "none of its bytes survives"
    assert rows(store) == rows(anew)


def test_one_after_the_other_and_remembered_again(config: Config) -> None:
    forget(config, ["p0"], "asked to")
    forget(config, ["p2"], "asked to")
    assert not make_plan(config).anything_to_run
    assert [row.item for _, row in finished_labels(config).rows()] == ["p1", "p3", "p4", "p5"]
    remember(config, ["p0"], "a mistake")
    forget(config, ["p1"], "before p0 is labelled again")
    assert looked_at(config) == ["p0"]


def test_killed_while_rows_are_written_the_same_again_ends_it(config: Config, tmp_path: Path) -> None:
    store, before = tmp_path / "store", tmp_path / "before"
    shutil.copytree(store, before)
    forget(config, ["p1"], "asked to")
    whole, told = data_bytes(store), rows(store)
    for block in [one.parent for one in store.rglob("receipt.json") if not (before / one.relative_to(store)).exists()]:
        (block / "receipt.json").unlink()
        for file in list(block.rglob("zarr.json"))[:1]:
            file.write_bytes(b"torn")
    shutil.copytree(before, store, dirs_exist_ok=True)
    assert forget(config, ["p1"], "asked to")["kept"] == 4
    assert (data_bytes(store), rows(store)) == (whole, told)


def test_a_damaged_block_goes_whole(config: Config, tmp_path: Path) -> None:
    for file in (tmp_path / "store/stages/fuse").glob("*/000000-*/data.zarr/depth/c/**/*"):
        if file.is_file():
            file.write_bytes(b"torn")
    found = forget(config, ["p0"], "asked to")
    assert (found["blocks"], found["kept"]) == (4, 3)
    assert {row.stage: row.to_run for row in make_plan(config).stages if row.to_run} == {"fuse": 1}
    assert looked_at(config) == []


def test_blocks_whose_data_was_dropped_are_owed_no_more_than_before(path: Path, tmp_path: Path) -> None:
    config = load(path, {f"{TEACHER}.keep": "until_read", "fuse.keep": "always"})
    plan = carry_out(config)
    step = plan.step(TEACHER)
    for block in step.blocks:
        drop_data(step.stage.block_url(block.name))
    assert not make_plan(config).anything_to_run
    forget(config, ["p0"], "asked to")
    assert not make_plan(config).anything_to_run
    assert "p0" not in {row["item"] for one in rows(tmp_path / "store").values() for row in one if row["state"] == "done"}  # type: ignore[attr-defined]


def test_of_a_block_in_a_trial_the_others_are_copied_later(path: Path, tmp_path: Path) -> None:
    config = load(path)
    carry_out(config, trial=Trial(items=("p0", "p1")))
    (tmp_path / "calls").write_text("")
    forget(config, ["p0"], "asked to")
    assert sorted(looked_at(config)) == ["p2", "p3", "p4", "p5"]


def test_a_block_that_is_copied_but_for_what_is_forgotten_loads_no_model(path: Path, config: Config, tmp_path: Path) -> None:
    forget(config, ["p0"], "asked to")
    (tmp_path / "images/p1.json").write_text(json.dumps({"camera": "two lenses"}))
    registry._loaded.clear()
    (tmp_path / "calls.loaded").unlink()
    assert looked_at(config) == []
    assert not (tmp_path / "calls.loaded").exists()
