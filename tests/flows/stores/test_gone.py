"""Panoramas that are gone or forgotten are no work where nothing can be made of them, no failures, and not published."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.runs.changes import TEACHER, write_config, write_images
from benchmarks.runs.direct import carry_out
from configs.pipeline import Config
from flows.plan import make_plan
from flows.plan_words import plan_words
from flows.publishing.publish import publish
from flows.stores.explained import explain_item
from flows.stores.forgetting import forget
from flows.stores.record import stage_counts
from tasks.pipeline import load


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """Five finished panoramas in two blocks; then the file of p1 went, and p2 was forgotten."""
    write_images(tmp_path / "images", [f"p{number}" for number in range(5)])
    found = load(write_config(tmp_path, 4))
    carry_out(found)
    (tmp_path / "images/p1.png").unlink()
    forget(found, ["p2"], "asked to")
    (tmp_path / "calls").write_text("")
    return found


def planned(config: Config) -> dict[str, tuple[int, int]]:
    """By stage the panoramas that a run would make, and those of its blocks of which it makes nothing."""
    return {row.stage: (row.items, row.gone) for row in make_plan(config).stages if row.to_run}


def test_nothing_is_planned_of_a_file_that_would_be_opened(config: Config, tmp_path: Path) -> None:
    other = load(tmp_path / "changes.yaml", {"project.patch_size": 24})
    assert planned(other) == {"project": (4, 1), TEACHER: (3, 2), "fuse": (3, 2), "evaluate": (3, 2)}
    assert "gone" in plan_words(make_plan(other))[0]
    assert [row["state"] for row in explain_item(make_plan(other), "p1")] == ["gone", "made", "gone", "gone", "gone"]
    plan = carry_out(other)
    assert len((tmp_path / "calls").read_text().split()) == 3
    counts = {row["stage"]: (row["quarantined"], row["gone"]) for row in stage_counts(plan, "direct")}
    assert counts == {"project": (0, 1), TEACHER: (0, 2), "fuse": (0, 2), "evaluate": (0, 2)}


def test_what_is_stored_of_it_is_work_for_those_that_read_that(config: Config, tmp_path: Path) -> None:
    other = load(tmp_path / "changes.yaml", {"fuse.edge_feather": 0.4})
    assert planned(other) == {"fuse": (4, 1), "evaluate": (4, 1)}
    plan, counted = carry_out(other), ("project", TEACHER, "fuse", "evaluate")
    assert {row["stage"]: row["gone"] for row in stage_counts(plan, "direct")} == dict.fromkeys(counted, 1)


def test_a_teacher_that_has_the_pixels_needs_no_file(config: Config, tmp_path: Path) -> None:
    images, file = tmp_path / "images", tmp_path / "changes.yaml"
    assert planned(load(file, {"project.keep_pixels": True}))[TEACHER] == (3, 2), "its pixels are not kept yet"
    write_images(images, ["p1"])
    carry_out(load(file, {"project.keep_pixels": True}))
    (images / "p1.png").unlink()
    (tmp_path / "calls").write_text("")
    other = load(file, {"project.keep_pixels": True, f"{TEACHER}.settings.calls": str(tmp_path / "other")})
    assert planned(other) == {TEACHER: (4, 1), "fuse": (4, 1), "evaluate": (4, 1)}
    carry_out(other)
    assert len((tmp_path / "other").read_text().split()) == 4


def test_kept_are_those_that_have_labels(config: Config, tmp_path: Path) -> None:
    assert publish(config, keep_removed=True)["kept_removed"] == ["p1"]
    other = load(tmp_path / "changes.yaml", {"project.patch_size": 24})
    carry_out(other)
    found = publish(other, keep_removed=True)
    assert (found["kept_removed"], found["left_out"], found["panoramas"]) == ([], ["p1", "p2"], 3)
