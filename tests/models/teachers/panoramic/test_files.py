"""Predictions that somebody made elsewhere: every format and layout, against what was written; what is wrong is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from geometry.fields import CannotLabel
from geometry.spheres import Sphere
from models.teachers import load_teacher, sees, wanted_views, weights_digest

HEIGHT, WIDTH = 32, 64
WHOLE = (Sphere(WIDTH, HEIGHT),)
DEPTH = np.random.default_rng(1).uniform(0.5, 20, (HEIGHT, WIDTH)).astype(np.float32)
NORMALS = np.random.default_rng(2).normal(size=(HEIGHT, WIDTH, 3)).astype(np.float32)
NORMALS /= np.linalg.norm(NORMALS, axis=-1, keepdims=True)


def say(folder: Path, *fields: str, size: tuple[Sphere, ...] = WHOLE, **settings: Any) -> list[Any]:
    teacher = load_teacher("files", {"folder": str(folder), **settings}, "cpu")
    said = teacher(np.zeros((1, size[0].height, size[0].width, 3), np.uint8), size, {"item": "a"})
    return [said[name] for name in fields]


def write_exr(path: Path, depth: np.ndarray, names: str) -> None:
    import OpenEXR

    OpenEXR.File({"compression": OpenEXR.ZIP_COMPRESSION}, dict.fromkeys(names, depth)).write(str(path))


@pytest.mark.parametrize("ending", ["npy", "npz", "exr", "rgb.exr", "png"])
def test_a_depth_is_read_from_every_format(tmp_path: Path, ending: str) -> None:
    path, file = tmp_path / f"a.{ending}", {"path": f"{{item}}.{ending}", "unit": "metre"}
    if ending == "npy":
        np.save(path, DEPTH[None])
    elif ending == "npz":
        np.savez(path, distance=DEPTH)
        file["key"] = "distance"
    elif ending == "png":
        cv2.imwrite(str(path), np.round(DEPTH * 1000).astype(np.uint16))
        file["factor"] = 0.001
    else:
        write_exr(path, DEPTH, "RGB" if ending.startswith("rgb") else "Y")
    (depth,) = say(tmp_path, "depth", depth=file)
    np.testing.assert_allclose(depth.values[0], DEPTH, atol=6e-4 if ending == "png" else 0)
    assert (depth.unit, depth.frame, depth.valid.all()) == ("metre", "ray", True)


def test_pagers_files_are_in_our_frame(tmp_path: Path) -> None:
    for name in ("depth", "normals"):
        (tmp_path / name / "preds").mkdir(parents=True)
    np.savez(tmp_path / "depth" / "preds" / "a.npz", DEPTH[None])
    forward, up, left = NORMALS[..., 2], -NORMALS[..., 1], -NORMALS[..., 0]
    np.savez(tmp_path / "normals" / "preds" / "a.npz", np.stack([forward, up, left]))
    depth, normals = say(tmp_path, "depth", "normals", layout="pager")
    np.testing.assert_array_equal(depth.values[0], DEPTH)
    np.testing.assert_array_equal(normals.values[0], NORMALS)
    assert (depth.unit, normals.frame) == ("metre", "world")


@pytest.mark.parametrize(
    ("layout", "path", "factor", "unit"),
    [("da2", "a.npy", 1, "shared"), ("dap", "depth_npy/a.npy", 100, "metre"), ("moge", "a/depth.exr", 1, "shared")],
)
def test_other_programs_files_mean_what_they_say(tmp_path: Path, layout: str, path: str, factor: float, unit: str) -> None:
    (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
    stored = (DEPTH / factor).astype(np.float32)
    stored[0] = 1.0 if layout == "dap" else np.inf  # the sky
    write_exr(tmp_path / path, stored, "Y") if path.endswith("exr") else np.save(tmp_path / path, stored)
    (depth,) = say(tmp_path, "depth", layout=layout)
    np.testing.assert_allclose(depth.values[0, 1:], DEPTH[1:], rtol=1e-5)
    assert (depth.unit, depth.valid[0, 0].any(), depth.valid[0, 1:].all()) == (unit, False, True)


def test_classes_sky_and_normals_of_pictures(tmp_path: Path) -> None:
    labels = np.tile(np.array([0, 1, 2, 255], np.uint8), (HEIGHT, WIDTH // 4))
    cv2.imwrite(str(tmp_path / "a.labels.png"), labels)
    cv2.imwrite(str(tmp_path / "a.sky.png"), np.where(labels == 2, 255, 0).astype(np.uint8))
    cv2.imwrite(str(tmp_path / "a.normals.png"), np.round((NORMALS[..., ::-1] + 1) / 2 * 65535).astype(np.uint16))
    names = {"sky": "sky", "semantics": "labels", "normals": "normals"}
    files = {name: {"path": f"{{item}}.{file}.png"} for name, file in names.items()}
    semantics, sky, normals = say(tmp_path, "semantics", "sky", "normals", classes=["a", "b", "sky"], **files)
    np.testing.assert_array_equal(semantics.valid[0], labels < 3)
    np.testing.assert_array_equal(semantics.values[0, ..., 0], np.where(labels < 3, labels, 0))
    np.testing.assert_array_equal(sky.values[0], labels == 2)
    np.testing.assert_allclose(normals.values[0], NORMALS, atol=1e-4)


def test_another_size_takes_the_pixel_that_holds_the_direction(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", DEPTH)
    (half,) = say(tmp_path, "depth", layout="da2", size=(Sphere(WIDTH * 2, HEIGHT * 2),))
    np.testing.assert_array_equal(half.values[0], np.repeat(np.repeat(DEPTH, 2, axis=0), 2, axis=1))


@pytest.mark.parametrize(
    ("stored", "told"),
    [
        (None, "there is no prediction"),
        (b"no array", "cannot be read"),
        (np.ones((4, 9)), "(4, 9) is no map of the whole sphere"),
        (np.array([{}], object), "cannot be read"),
    ],
)
def test_what_is_wrong_with_a_file_is_the_panoramas_reason(tmp_path: Path, stored: Any, told: str) -> None:
    path = tmp_path / "a.npy"
    if isinstance(stored, bytes):
        path.write_bytes(stored)
    elif stored is not None:
        np.save(path, stored, allow_pickle=True)
    with pytest.raises(CannotLabel) as caught:
        say(tmp_path, "depth", layout="da2")
    assert told in str(caught.value)
    assert "a.npy" in str(caught.value)


def test_what_it_knows_are_the_bytes_of_the_files(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", DEPTH)
    settings = {"folder": str(tmp_path), "layout": "da2"}
    before = weights_digest("files", settings)
    (tmp_path / "other.txt").write_text("notes")
    assert weights_digest("files", settings) == before, "no file of these predictions"
    np.save(tmp_path / "a.npy", DEPTH + 1)
    assert weights_digest("files", settings) != before
    stated = weights_digest("files", {**settings, "contents": "one"})
    np.save(tmp_path / "a.npy", DEPTH)
    assert weights_digest("files", {**settings, "contents": "one"}) == stated
    assert weights_digest("files", {**settings, "contents": "two"}) != stated


def test_it_sees_the_panorama_and_is_not_turned() -> None:
    assert sees("files") == "panorama"
    assert not wanted_views("files", {"folder": "x", "layout": "da2"}).turns


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({}, "layout: name the program that wrote the files (panolabel, pager, da2, dap, moge)"),
        ({"depth": {"path": "{item}.npy"}}, "depth.unit: a file does not say what its numbers are"),
        ({"depth": {"path": "depth.npy", "unit": "metre"}}, "must hold {item}"),
        ({"semantics": {"path": "{item}.png"}}, "classes: are required"),
        ({"normals": {"path": "{item}.npy", "axes": "+x+x+y"}}, "is not three signed axes"),
        ({"layout": "da2", "folder": "nowhere"}, "there is no folder"),
    ],
)
def test_mistakes_are_told(tmp_path: Path, settings: dict, told: str) -> None:
    with pytest.raises((ValueError, FileNotFoundError)) as caught:
        weights_digest("files", {"folder": str(tmp_path), **settings})
    assert told in str(caught.value)
