"""What a plan says of the bytes that a run will add, against what runs did add."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from flows import growth
from flows.cli import app
from flows.growth import Growth, growth_of
from flows.plan import make_plan
from flows.setup.init import growth_of_all, look_at, write_config
from tests.support.pipelines import load, make_owed, write_panoramas, write_pipeline


def data_bytes(store: Path) -> int:
    return sum(
        entry["bytes"]
        for path in store.glob("stages/*/*/*/receipt.json")
        for entry in json.loads(path.read_text())["files"].values()
    )


def test_a_plan_tells_what_a_run_adds_and_what_goes_with_keep(tmp_path: Path) -> None:
    path = write_pipeline(tmp_path, 4)
    config = load(path, execution__runner__workers=1, block_size=1)
    assert growth_of(config, make_plan(config)) is None, "nothing was measured yet"
    make_owed(config)
    before = data_bytes(tmp_path / "store")
    write_panoramas(tmp_path / "images", [f"q{number:02d}" for number in range(8)])
    plan = make_plan(config)
    told = growth_of(config, plan)
    assert told is not None
    assert set(told.stages) == {"geometry", "classes"}
    of_teachers = sum(row.bytes or 0 for row in plan.stages if row.stage in told.stages)
    assert told.bytes["never"] == told.bytes["always"] - of_teachers
    assert told.bytes["until_read"] == pytest.approx(told.bytes["never"] + of_teachers * 2 / 8, abs=2), "two blocks at a time"
    make_owed(config)
    assert told.bytes["always"] == pytest.approx(data_bytes(tmp_path / "store") - before, rel=0.05)
    assert growth_of(config, make_plan(config)) is None, "nothing is to be made"


def test_what_does_not_fit_is_told_with_what_to_do(tmp_path: Path) -> None:
    counts = {"always": 30_000_000, "until_read": 2_000_000, "never": 1_000_000}
    told = Growth(("dense",), counts, 50_000_000).words
    assert "at most 30.0 MB, 2.0 MB with `keep: until_read` in dense, 1.0 MB with `keep: never`" in told
    assert told.endswith("50.0 MB are free")

    def advice(free: int) -> str:
        return Growth(("dense",), counts, free).words.partition(" are free: ")[2]

    assert advice(5_000_000) == "write `keep: until_read` in dense"
    assert advice(1_500_000) == "write `keep: never` in dense"
    assert advice(500_000) == "set root to a larger disk"
    assert "free" not in Growth(("dense",), counts, None).words, "a bucket tells none"


def test_commands_tell_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_pipeline(tmp_path, 2)
    make_owed(load(path))
    write_panoramas(tmp_path / "images", ["q"])
    shown = CliRunner().invoke(app, ["plan", str(path)]).output
    assert "The store grows by at most" in shown
    assert "with `keep: never` in geometry, classes" in shown
    told = json.loads(CliRunner().invoke(app, ["plan", str(path), "--json"]).output)
    assert set(told["store"]) == {"always", "until_read", "never"}
    monkeypatch.chdir(tmp_path)
    assert "about: the store grows by at most" in CliRunner().invoke(app, ["init", "images", "--out", "made.yaml"]).output
    assert "keep:" not in (tmp_path / "made.yaml").read_text()


def test_a_first_config_keeps_patch_labels_only_as_long_as_there_is_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_panoramas(tmp_path / "images", [f"p{number:02d}" for number in range(40)], 400)
    survey = look_at(str(tmp_path / "images"))
    growth_of_40 = growth_of_all(survey, str(tmp_path)).bytes
    assert growth_of_40["never"] < growth_of_40["until_read"] < growth_of_40["always"]
    monkeypatch.setattr(growth.shutil, "disk_usage", lambda _: type("Usage", (), {"free": growth_of_40["until_read"]})())
    config = load(write_config(survey, tmp_path / "made.yaml"))
    assert {entry.key: entry.keep for entry in config.stages}["dense"] == "until_read"
