"""Truth that came or changed since a row was made: the row is not copied into another block, but made with the truth of now."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from benchmarks.runs.changes import add_column, write_config, write_images
from benchmarks.runs.direct import carry_out
from configs.pipeline import Config
from flows.plan import make_plan
from storage.fingerprint import digest
from tasks.pipeline import load

NAMES = ("p0", "p1", "p2", "p3")


def write_truth(folder: Path, name: str, metres: float) -> None:
    """A panorama whose truth is one distance."""
    np.savez(folder / "truth" / f"{name}.npz", depth=np.full((16, 32), metres, np.float32))


def write_audited(folder: Path) -> Config:
    """Four panoramas, of which all but p2 have truth, evaluated and audited."""
    write_images(folder / "images", list(NAMES))
    (folder / "truth").mkdir()
    (folder / "dataset.json").write_text(json.dumps({"classes": ["wall"]}))
    for name in ("p0", "p1", "p3"):
        write_truth(folder, name, 2.0)
    path = write_config(folder, 4)
    said = yaml.safe_load(path.read_text())
    said["stages"]["ingest"]["source"]["truth"] = str(folder)
    path.write_text(yaml.safe_dump({**said, "stages": {**said["stages"], "audit": {}}}, sort_keys=False))
    return load(path)


def rows(config: Config, key: str) -> Iterator[tuple[str, Any, int]]:
    """Name, figures and count of copied rows of the blocks that are now."""
    plan = make_plan(config)
    for _, receipt in plan.receipts.of(plan.step(key)):
        yield from ((row.item, row.figures, receipt.copied) for row in receipt.items)


def test_a_row_is_copied_only_while_its_truth_is_the_same(tmp_path: Path) -> None:
    config = write_audited(tmp_path)
    carry_out(config)
    write_truth(tmp_path, "p1", 4.0)
    write_truth(tmp_path, "p2", 2.0)
    (tmp_path / "truth/p3.npz").touch()
    add_column(tmp_path / "images")
    carry_out(config)
    shutil.copytree(tmp_path / "store/stages/ingest", tmp_path / "anew/stages/ingest")
    anew = load(tmp_path / "changes.yaml", {"root": str(tmp_path / "anew")})
    carry_out(anew)
    for key in ("evaluate", "audit"):
        found, wanted = list(rows(config, key)), list(rows(anew, key))
        for (name, figures, copied), (_, expected, none) in zip(found, wanted, strict=True):
            assert figures == expected, f"{key} of {name}"
            assert (copied, none) == (2, 0), "p0 and p3, whose bytes are the same"
            assert figures["truth"] == digest((tmp_path / "truth" / f"{name}.npz").read_bytes())


def test_a_row_whose_truth_went_is_made_without(tmp_path: Path) -> None:
    config = write_audited(tmp_path)
    carry_out(config)
    (tmp_path / "truth/p0.npz").unlink()
    add_column(tmp_path / "images")
    carry_out(config)
    assert {name: figures["truth"] == "" for name, figures, _ in rows(config, "evaluate")} == {
        "p0": True, "p1": False, "p2": True, "p3": False
    }  # fmt: skip
