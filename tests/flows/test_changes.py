"""Inside a block only what changed is made: a teacher counts the panoramas that it looks at, in small and in large blocks."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from benchmarks.runs.changes import MORE, TEACHER, add_column, change_pixel, changes, rename, write_config, write_images
from benchmarks.runs.direct import carry_out, ingested
from configs.pipeline import Config
from configs.settings import ConfigError
from flows.comparing.comparison import StagePlan
from flows.plan import make_plan
from flows.setup.cost import measured_rate
from flows.stores.explained import explain_item
from flows.stores.forgetting import forget
from models.teachers import registry
from tasks.pipeline import load
from tests.support.pipelines import data_bytes


@pytest.mark.parametrize("size", [16, pytest.param(512, marks=pytest.mark.slow)])
def test_a_change_costs_what_changed(tmp_path: Path, size: int) -> None:
    everything = size + MORE
    made = list(changes(tmp_path, size))
    assert {one.what: one.adopted for one in made if one.adopted} == {"a new version of project, equal bytes": everything}
    assert {one.what: (one.planned, one.looked_at, one.copied) for one in made} == {
        "first run": (everything, everything, 0),
        "nothing": (0, 0, 0),
        "a setting of fuse": (0, 0, 0),
        "a new version of project, equal bytes": (everything, 0, 0),
        "one pixel of one panorama": (1, 1, size - 1),
        "a new column of metadata, of all": (0, 0, everything),
        "one renamed": (1, 0, 1),
        "one removed": (0, 0, 0),
        "ten more": (10, 10, 0),
        "ten of twelve more tried": (10, 10, 0),
        "then all": (2, 2, 10),
    }


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """A store of five panoramas, finished."""
    write_images(tmp_path / "images", [f"p{number}" for number in range(5)])
    found = load(write_config(tmp_path, 4))
    carry_out(found)
    return found


def planned(config: Config) -> dict[str, StagePlan]:
    return {row.stage: row for row in make_plan(config).stages if row.to_run}


def test_after_changes_the_store_has_the_bytes_of_one_made_anew(config: Config, tmp_path: Path) -> None:
    change_pixel(tmp_path / "images/p1.png")
    carry_out(config)
    add_column(tmp_path / "images")
    rename(tmp_path / "images", "p2", "q2")
    plan = carry_out(config)
    assert sum(map(len, plan.copies["fuse"].values())) == 6
    assert not make_plan(config).anything_to_run
    shutil.copy2(tmp_path / "images/q2.png", tmp_path / "images/p2.png")  # whose row was copied though its file was gone
    store, other = tmp_path / "store", tmp_path / "anew"
    shutil.copytree(store / "stages/ingest", other / "stages/ingest")
    carry_out(load(tmp_path / "changes.yaml", {"root": str(other)}))
    anew = data_bytes(other)
    assert {name: data_bytes(store).get(name) for name in anew} == anew


def test_plan_tells_items_and_an_estimate_to_match(config: Config, tmp_path: Path) -> None:
    change_pixel(tmp_path / "images/p1.png")
    row, fuse = planned(config)[TEACHER], planned(config)["fuse"]
    assert (row.to_run, row.items, row.copied) == (1, 1, 3)
    assert (fuse.to_run, fuse.items, fuse.copied) == (1, 1, 3)
    of_block = 4 * (row.seconds or 0)
    carry_out(config)
    write_images(tmp_path / "images", [f"r{number}" for number in range(4)])
    after = planned(config)[TEACHER]
    assert after.items == 4
    assert after.seconds == pytest.approx(of_block, abs=1), "a block of copies says nothing of what making one takes"
    assert row.bytes == pytest.approx(after.bytes, rel=0.1), "copied rows take room"


def test_cost_is_that_of_items_which_were_made(config: Config, tmp_path: Path) -> None:
    plan = make_plan(config)
    stage = plan.step(TEACHER).stage
    before = measured_rate(stage.root, stage.name, stage.identity.fingerprint)
    add_column(tmp_path / "images")
    carry_out(config)
    assert measured_rate(stage.root, stage.name, stage.identity.fingerprint) == before


def test_a_teacher_whose_rows_are_all_copied_is_not_loaded(config: Config, tmp_path: Path) -> None:
    registry._loaded.clear()
    (tmp_path / "calls.loaded").unlink()
    add_column(tmp_path / "images")
    carry_out(config)
    assert not (tmp_path / "calls.loaded").exists()
    change_pixel(tmp_path / "images/p1.png")
    carry_out(config)
    assert (tmp_path / "calls.loaded").read_text() == "loaded\n"


def test_rows_of_receipts_older_than_keys_are_read_and_never_copied(config: Config, tmp_path: Path) -> None:
    for file in (tmp_path / "store/stages").rglob("receipt.json"):
        said = json.loads(file.read_text())
        for row in said["items"]:
            del row["key"]
        file.write_text(json.dumps(said))
    assert not make_plan(config).anything_to_run
    add_column(tmp_path / "images")
    assert {row.items for row in planned(config).values() if row.stage != "ingest"} == {5}
    assert carry_out(config).copies[TEACHER] == {}


def test_a_band_stated_by_metadata_is_read_anew(config: Config, tmp_path: Path) -> None:
    """How pixels are decoded is a fact too."""
    (tmp_path / "images/p1.json").write_text('{"vertical_degrees": 180}')
    assert {planned(config)[stage].items for stage in (TEACHER, "fuse", "evaluate")} == {1}
    assert planned(config)["project"].items == 0, "views do not depend on it"


def test_the_way_of_one_panorama_tells_what_is_made_copied_and_there(config: Config, tmp_path: Path) -> None:
    everything = make_plan(config)
    assert {(row["stage"], row["state"]) for row in explain_item(everything, "p0")} == {
        (key, "there") for key in (everything.sources[0].key, *(step.key for step in everything.steps))
    }
    change_pixel(tmp_path / "images/p1.png")
    before = make_plan(config)  # p1 is not read yet
    ingested(config)
    plan = make_plan(config)
    assert [row["state"] for row in explain_item(before, "p1")][:2] == ["changed", "made"]
    for name in ("p0", "p4"):
        assert [row["state"] for row in explain_item(before, name)] == [row["state"] for row in explain_item(plan, name)]
    states = {name: {row["stage"]: row["state"] for row in explain_item(plan, name)} for name in ("p1", "p0", "p4")}
    assert states["p1"]["fuse"] == "made"
    assert states["p0"]["fuse"] == "copied"
    assert states["p4"]["fuse"] == "there"
    (row,) = (row for row in explain_item(plan, "p0") if row["stage"] == "fuse")
    assert row["why"].startswith("its row lies in 000000-")
    with pytest.raises(ConfigError, match="did you mean 'p0'"):
        explain_item(plan, "p00")


def test_the_way_of_a_panorama_that_came_went_is_forgotten_or_no_image(config: Config, tmp_path: Path) -> None:
    images = tmp_path / "images"
    write_images(images, ["q0"])
    (images / "p2.png").unlink()
    (images / "q1.png").write_bytes(b"no image")
    forget(config, ["p3"], "asked to")
    plan = make_plan(config)
    states = {name: [row["state"] for row in explain_item(plan, name)] for name in ("q0", "p2", "p3", "q1")}
    assert states["q0"] == ["new", *["made"] * len(plan.steps)]
    assert states["p2"][0] == "gone"
    assert set(states["p3"]) == {"forgotten"}
    assert states["q1"][0] == "new"
    ingested(config)
    (row,) = explain_item(make_plan(config), "q1")
    assert row["state"] == "given up"
    assert row["why"].startswith("not an image")
