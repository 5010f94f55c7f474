"""``panolabel try``: what it says is held against a second store, made with the settings tried; its own store stays as it is."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import panolabel
from configs.settings import ConfigError
from configs.trial import Trial
from flows.cli import app
from flows.plan import make_plan
from flows.trying.tried import golden, try_item
from tasks.catalogue import kind_named
from tasks.ingest import ingest
from tasks.ingest.check import check
from tasks.label import fuse
from tasks.pipeline import load, sources
from tests.support.chains import STAGES, carry_out, carry_out_plan, write_chain
from tests.support.pipelines import write_pipeline

BARRIERS = {"train", "adapt.scores", "adapt.thresholds", "adapt"}


def listing(root: str | Path) -> dict[str, tuple[int, int]]:
    """Every file and folder of a store, with its time and size."""
    return {str(path): (path.stat().st_mtime_ns, path.stat().st_size) for path in [Path(root), *Path(root).rglob("*")]}


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small pipeline that was run."""
    path = write_pipeline(tmp_path_factory.mktemp("tried"), 3)
    carry_out(load(path))
    return path


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures are written to the working directory."""
    monkeypatch.chdir(tmp_path)


def test_the_difference_is_that_of_a_store_made_with_the_setting(path: Path, tmp_path: Path) -> None:
    change = {"fuse.edge_feather": 0.6}
    before = listing(path.parent / "store")
    said = try_item(load(path, change), "fuse", "p01")
    assert listing(path.parent / "store") == before
    assert said["stored"]["changes"] == ["fuse.edge_feather: 0.2 -> 0.6"]
    assert said["stored"]["fingerprint"] != said["tried"]["fingerprint"]
    carry_out(load(path, {**change, "root": str(tmp_path / "other")}))
    one, other = panolabel.open(path)["p01"], panolabel.open(path, root=tmp_path / "other", **change)["p01"]
    told = {row["name"]: row for row in said["difference"]["arrays"]}
    for name in one:
        apart = ~np.isclose(one[name], other[name], rtol=0, atol=0, equal_nan=True)
        assert apart.any() == (name in told)
        if apart.any():
            pixels = apart if apart.ndim == 2 else apart.any(axis=-1)
            assert told[name]["share"] == pytest.approx(pixels.mean())
            largest = np.nanmax(np.abs(one[name].astype(float) - other[name].astype(float)))
            assert told[name]["maximum"] == pytest.approx(largest)
    assert told.keys() >= {"depth", "normals"}
    figures = {row["name"]: (row["before"], row["after"]) for row in said["difference"]["figures"]}
    for name in ("consistency_normals", "depth_normal_degrees"):
        assert figures[name] == (one.figures[name], other.figures[name])
    picture = Path(said["picture"]).read_bytes()
    assert (said["picture"], picture[:3]) == ("try-fuse-p01.jpg", b"\xff\xd8\xff")


def test_shares_of_classes_before_and_after(path: Path) -> None:
    stored = panolabel.open(path)["p00"]
    said = try_item(load(path, {"fuse.height": 48}), "fuse", "p00")
    row = next(row for row in said["difference"]["arrays"] if row["name"] == "semantics")
    assert row["form"] == "uint8(32, 64) -> uint8(48, 96)"
    for one in row["classes"]:
        here = stored.semantics[stored.semantics_valid] == stored.classes.index(one["name"])
        assert one["before"] == pytest.approx(here.mean())
        assert abs(one["after"] - one["before"]) < 0.05
    assert sum(one["after"] for one in row["classes"]) == pytest.approx(1)


@pytest.mark.parametrize("key", ["project", "geometry", "classes", "fuse", "evaluate"])
def test_the_same_settings_give_the_same_row(path: Path, key: str) -> None:
    said = try_item(load(path), key, "ingest/p02")
    assert said["difference"] == {"same": True, "arrays": [], "figures": [], "about": {}}
    assert said["stored"]["fingerprint"] == said["tried"]["fingerprint"]
    assert bool(said["picture"]) == (key not in ("project", "evaluate")), "cameras and figures are no maps"


def test_what_a_teacher_gives_up_is_told(path: Path) -> None:
    said = try_item(load(path, {"geometry.settings.fail_on": "p01"}), "geometry", "p01")
    assert (said["state"], said["stored"]["state"]) == ("quarantined", "done")
    assert "too much for the teacher" in said["reason"]
    assert not said["difference"]["same"]


@pytest.mark.parametrize(
    ("change", "key", "item", "message"),
    [
        ({}, "fuze", "p00", "did you mean 'fuse'"),
        ({}, "ingest", "p00", "reads the source"),
        ({}, "fuse", "p0O", "did you mean 'p0"),
        ({}, "fuse", "p00", "--out picture.gif: must end in one of .jpg"),
        (
            {"project.patch_size": 32},
            "fuse",
            "p00",
            r"not there.*: project \w+, geometry \w+, classes \w+; make it with `panolabel run .*--items p00 --until project",
        ),
    ],
)
def test_refusals_say_what_to_do(path: Path, change: dict[str, Any], key: str, item: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        try_item(load(path, change), key, item, "picture.gif" if "gif" in message else None)


def test_what_the_refusal_names_makes_the_item_s_inputs_in_a_block_of_a_trial(path: Path) -> None:
    config = load(path, {"project.patch_size": 20})
    with pytest.raises(ConfigError) as refused:
        try_item(config, "fuse", "p01")
    (words,) = re.findall(r"`panolabel run \S+ (.*)`", str(refused.value))
    assert words == "--items p01 --until project --until geometry --until classes"
    carry_out(config, Trial(items=("p01",), until=("project", "geometry", "classes")))
    said = try_item(config, "fuse", "p01")
    assert said["state"] == "done"
    assert said["stored"]["fingerprint"] == try_item(load(path), "fuse", "p01")["tried"]["fingerprint"]
    assert any(change.startswith("upstream project") for change in said["stored"]["changes"])


def test_what_a_trial_of_a_new_source_made_is_tried_again(tmp_path: Path) -> None:
    config = load(write_pipeline(tmp_path, 3))
    for source in sources(config):  # as a trial does: places are given once all files are read
        wanted = [entry for entry in ingest.scan(source).to_read if entry.item != "p02"]
        ingest.keep(source, [check(entry, source.settings, None) for entry in wanted])
    carry_out_plan(config, make_plan(config, trial=Trial(limit=2)))
    assert try_item(config, "fuse", "p01")["difference"]["same"]
    assert golden(config, "fuse", 9, 0)["same"] == 2
    with pytest.raises(ConfigError, match="p02 was not read yet; make what fuse is made from with `panolabel run"):
        try_item(config, "fuse", "p02")


def test_golden_sees_code_that_moves_labels_whatever_its_version_says(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config, before = load(path), listing(path.parent / "store")
    assert (golden(config, "fuse", 2, 0)["compared"], golden(config, "fuse", 9, 0)["same"]) == (2, 3)
    encode = fuse.encode_labels
    for version in (fuse.VERSION, "next"):
        monkeypatch.setattr(fuse, "KIND", replace(fuse.KIND, version=version))
        kind_named.cache_clear()
        assert golden(config, "fuse", 3, 0)["differ"] == []
        with monkeypatch.context() as patch:
            patch.setattr(fuse, "encode_labels", lambda labels, *more, **named: encode(_nearer(labels), *more, **named))
            found = golden(config, "fuse", 3, 0)
        assert (found["compared"], found["same"], len(found["differ"])) == (3, 0, 3)
        assert {row["name"] for one in found["differ"] for row in one["difference"]["arrays"]} == {"depth"}
        assert bool(found["differ"][0]["stored"]["changes"]) == (version == "next")
    kind_named.cache_clear()
    assert listing(path.parent / "store") == before


def _nearer(labels: dict[str, Any]) -> dict[str, Any]:
    """All distances a tenth shorter."""
    return {**labels, "depth": labels["depth"] * np.float32(0.9)}


def test_the_command_and_its_exit_codes(path: Path, tmp_path: Path) -> None:
    def run(*words: str) -> Any:
        return CliRunner().invoke(app, ["try", str(path), *words])

    assert "the same to the last bit" in run("fuse", "--item", "p00", "--out", "a.png").output
    assert (tmp_path / "a.png").read_bytes()[:4] == b"\x89PNG"
    told = run("fuse", "--item", "p00", "--set", "fuse.edge_feather=0.6", "--json").output
    assert json.loads(told)["stored"]["changes"] == ["fuse.edge_feather: 0.2 -> 0.6"]
    again = run("geometry", "--golden", "2")
    assert again.exit_code == 0
    assert "2 of 2 made again are the same" in again.output
    moved = run("fuse", "--golden", "2", "--set", "fuse.edge_feather=0.6")
    assert moved.exit_code == 1
    assert "0 of 2 made again are the same" in moved.output
    given_up = run("geometry", "--item", "p01", "--set", "geometry.settings.fail_on=p01")
    assert given_up.exit_code == 4
    assert "quarantined: " in given_up.output
    assert isinstance(run("fuse").exception, ConfigError)


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Labels, a student, and its adaptation to another place."""
    path = write_chain(tmp_path_factory.mktemp("chain"))
    carry_out(load(path))
    return path


@pytest.mark.parametrize("key", [key for key in STAGES if key not in BARRIERS and key not in ("project", "geometry", "classes")])
def test_rows_of_every_stage_come_out_the_same(chain: Path, key: str) -> None:
    before = listing(chain.parent / "store")
    found = golden(load(chain), key, 2, 1)
    assert (found["compared"], found["differ"]) == (2, [])
    assert listing(chain.parent / "store") == before


@pytest.mark.parametrize("key", sorted(BARRIERS))
def test_what_is_learned_from_all_has_no_rows(chain: Path, key: str) -> None:
    with pytest.raises(ConfigError, match=f"has no rows of items; make it of a few with .* --limit 10 --until {key}"):
        try_item(load(chain), key, "t00")


def test_what_is_behind_a_training_is_made_of_all(chain: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        try_item(load(chain, {"train.steps": 5}), "student", "t00")
    assert "--until train" in str(refused.value)
    assert "--items" not in str(refused.value)
