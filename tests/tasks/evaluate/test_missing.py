"""PaGeR's figures under PaGeR's names, and panoramas that have truth and no labels: they are counted, and told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from configs.pipeline import Config
from flows.plan import make_plan
from flows.stores.made import made_of
from geometry.directions import erp_directions
from tasks.evaluate.missing import without_labels
from tasks.evaluate.shown import shows, summary
from tasks.pipeline import validated
from tasks.stage.made import Made
from tests.support.pipelines import make_owed, write_panoramas

SIZE = (16, 32)
TRUTH = {"near": 2.0, "far": 4.0, "blind": 3.0, "absent": 5.0, "broken": 6.0}
SAID = {"near": (2.2, 10.0), "far": (6.0, 4.0), "blind": (3.0, 4.0)}
"""Distance, and how many degrees the normals are turned."""


def turned(degrees: float) -> NDArray[np.float32]:
    """Normals of a sphere around the camera, turned towards the east."""
    outwards = erp_directions(*SIZE)
    east = np.cross(outwards, [0.0, 1.0, 0.0])
    east /= np.linalg.norm(east, axis=-1, keepdims=True)
    angle = np.radians(degrees)
    return (np.sin(angle) * east - np.cos(angle) * outwards).astype(np.float32)


def write(folder: Path, protocol: Any, names: tuple[str, ...] = (*TRUTH, "nothing")) -> Config:
    """Predictions as files: two good ones, and one with distances where no truth is known; of two panoramas with truth and of one
    without there is none."""
    write_panoramas(folder / "images", list(names))
    if "broken" in names:
        (folder / "images" / "broken.png").write_bytes(b"no picture")
    for part in ("truth", "said"):
        (folder / part).mkdir()
    (folder / "dataset.json").write_text(json.dumps({"classes": []}))
    unknown = np.arange(SIZE[1]) < 12
    for name, metres in TRUTH.items():
        known = np.broadcast_to(~unknown if name == "blind" else True, SIZE)
        depth = np.full(SIZE, metres, np.float32)
        np.savez(folder / "truth" / f"{name}.npz", depth=depth, depth_valid=known, normals=turned(0))
    for name, (metres, degrees) in SAID.items():
        said = np.broadcast_to(np.where(unknown | (name != "blind"), metres, np.nan), SIZE)
        np.save(folder / "said" / f"{name}.npy", said.astype(np.float32))
        np.save(folder / "said" / f"{name}_normals.npy", turned(degrees))
    told = {"depth": {"path": "{item}.npy", "unit": "metre"}, "normals": {"path": "{item}_normals.npy", "axes": "+x+y+z"}}
    files = {
        "stage": "label",
        "kind": "files",
        "fields": ["depth", "normals"],
        "settings": {"folder": str(folder / "said"), **told},
    }
    stages = {
        "ingest": {"source": {"url": str(folder / "images"), "truth": str(folder)}},
        "whole": {"stage": "project", "layout": {"kind": "sphere"}, "patch_size": SIZE[0]},
        "theirs": {**files, "views": "whole"},
        "fuse": {"height": SIZE[0]},
        "evaluate": {"protocol": protocol},
    }
    return validated({"name": "missing", "root": str(folder / "store"), "stages": stages})


def evaluated(config: Config) -> Made:
    make_owed(config)
    plan = make_plan(config)
    return made_of(config, plan, plan.step("evaluate"))


def test_figures_under_pagers_names_and_failures_beside_them(tmp_path: Path) -> None:
    made = evaluated(write(tmp_path, "pager_metric"))
    assert without_labels(made) == ["absent", "broken"], "what has no truth is no failure"
    found = summary(made)
    assert found["failures"] == 2
    depth, normals = (found["pager"]["pager_metric"][task] for task in ("depth", "normals"))
    # near is 10 % too far, far 50 %; blind, absent and broken say nothing that could be judged.
    expected = {"abs_relative_difference": (0.1 + 0.5) / 2, "rmse_linear": (0.2 + 2) / 2, "delta1_acc": 1 / 2}
    assert {name: depth[name] for name in expected} == pytest.approx(expected, rel=1e-3)
    assert (depth["panoramas"], depth["failures"]) == (2, 3)
    assert depth["with_failures"] == pytest.approx({"delta1_acc": 1 / 5})
    assert (normals["panoramas"], normals["failures"]) == (3, 2)
    assert normals["mean"] == pytest.approx((10 + 4 + 4) / 3, abs=0.5)
    assert normals["mse"] == pytest.approx((100 + 16 + 16) / 3, abs=6)
    assert (normals["delta_5"], normals["delta_22.5"]) == pytest.approx((2 / 3, 1))
    assert normals["with_failures"] == pytest.approx({"delta_5": 2 / 5, "delta_22.5": 3 / 5})
    seams = found["pager"]["pager_metric"]["seams"]
    assert (seams["panoramas"], seams["failures"], seams["seam_severity"]) == (3, 2, 0)
    assert seams["with_failures"]["seam_severity"] == pytest.approx(2 / 5)
    json.dumps(found, allow_nan=False)
    assert "2 more have truth and no labels" in shows(made)[0].note  # type: ignore[union-attr]


def test_pagers_beside_ours_says_the_same_and_each_row_counts_failures(tmp_path: Path) -> None:
    (one, both) = (tmp_path / name for name in ("one", "both"))
    alone = summary(evaluated(write(one, "pager_metric")))
    found = summary(evaluated(write(both, ["panolabel", "pager_metric", "moge_metric", "seams"])))
    assert found["pager"] == alone["pager"]
    counts = {row["protocol"]: (row["panoramas"], row["failures"]) for row in found["protocols"]}
    assert counts == {"panolabel": (3, 3), "pager_metric": (3, 3), "moge_metric": (2, 3), "seams": (3, 2)}


def test_where_all_were_given_up_there_are_failures_and_no_figures(tmp_path: Path) -> None:
    made = evaluated(write(tmp_path, "pager_metric", ("absent", "nothing")))
    assert summary(made) == {"items": 0, "failures": 1}
    assert shows(made) == []
