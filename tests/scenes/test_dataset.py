"""The data set on disk is what its README says, resumes, and is the same for the same seed."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from geometry.directions import erp_directions
from scenes.amodal import decode_run_lengths
from scenes.build import build_scene
from scenes.dataset import write_dataset
from scenes.render import render_erp
from scenes.vocabulary import CLASSES


def contents(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def test_layout_truth_resume_and_determinism(tmp_path: Path) -> None:
    root, again = tmp_path / "a", tmp_path / "b"
    write_dataset(root, "mixed", 2, 11, 48, 96, supersample=1, processes=1)
    files = contents(root)
    items = ["room_00011", "street_00012"]
    expected = {"README.md", "dataset.json"} | {
        f"{folder}/{item}{suffix}"
        for item in items
        for folder, suffix in (("images", ".png"), ("images", ".json"), ("truth", ".npz"), ("truth", "_amodal.json"))
    }
    assert files.keys() == expected
    assert json.loads(files["dataset.json"])["classes"] == list(CLASSES)

    capture = json.loads(files["images/street_00012.json"])
    scene = build_scene(capture["scene"], capture["seed"])
    frame = render_erp(scene, np.array(capture["position"]), 48, 96, heading=capture["heading"])
    truth = np.load(root / "truth" / "street_00012.npz")
    for name in ("depth", "normals", "semantics", "instances", "sky"):
        np.testing.assert_array_equal(truth[name], getattr(frame, name))
    image = cv2.imread(str(root / "images" / "street_00012.png"))[..., ::-1]
    np.testing.assert_array_equal(image, frame.image)

    for one in json.loads(files["truth/street_00012_amodal.json"]):
        mask = decode_run_lengths(one["mask"])
        assert mask.sum() == one["amodal_area"] >= one["visible_area"]
        assert (mask >= (truth["instances"] == one["instance"])).all()
        assert CLASSES[one["class"]] == one["name"]

    (root / "images" / "room_00011.png").unlink()
    stamp = (root / "truth" / "street_00012.npz").stat().st_mtime_ns
    write_dataset(root, "mixed", 2, 11, 48, 96, supersample=1, processes=2)
    assert contents(root) == files
    assert (root / "truth" / "street_00012.npz").stat().st_mtime_ns == stamp
    write_dataset(again, "mixed", 2, 11, 48, 96, supersample=1, processes=1)
    assert contents(again) == files


def test_the_position_and_heading_explain_the_image(tmp_path: Path) -> None:
    write_dataset(tmp_path, "room", 1, 3, 16, 32, supersample=1, amodal=False, processes=1)
    truth = np.load(tmp_path / "truth" / "room_00003.npz")
    capture = json.loads((tmp_path / "images" / "room_00003.json").read_text())
    down = truth["depth"][-1] * erp_directions(16, 32)[-1, :, 1]
    assert np.median(np.abs(down + capture["position"][1])) < 0.05, "the floor lies as deep as the camera is high"


def test_no_scene_is_in_two_splits(tmp_path: Path) -> None:
    parts = tmp_path / "a", tmp_path / "b"
    for root, seed in zip(parts, (0, 5)):  # seeds 5 to 9 are in both data sets
        write_dataset(root, "mixed", 10, seed, 8, 16, supersample=1, amodal=False, processes=1)
    splits: dict[tuple[str, int], set[str]] = {}
    for root in parts:
        for path in (root / "images").glob("*.json"):
            capture = json.loads(path.read_text())
            splits.setdefault((capture["scene"], capture["seed"]), set()).add(capture["split"])
    assert all(len(names) == 1 for names in splits.values())
    assert {name for names in splits.values() for name in names} == {"train", "val", "test"}


@pytest.mark.parametrize(("kind", "size", "message"), [("castle", (8, 16), "use one of"), ("room", (8, 15), "twice as wide")])
def test_what_cannot_be_made_is_refused(tmp_path: Path, kind: str, size: tuple[int, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        write_dataset(tmp_path, kind, 1, 0, *size)
