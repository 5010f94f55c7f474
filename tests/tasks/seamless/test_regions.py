"""Masks out of COCO's files, against COCO's own tool and against real annotations."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pycocotools import mask as coco

from tasks.seamless.coco_panoptic import CHANNELS
from tasks.seamless.labels import Segment, truth_of_segments
from tasks.seamless.regions import polygon_mask, region_mask, unpacked

LABELS = Path(os.environ.get("PANOLABEL_DATA", "../shared")) / "labels"


@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 40))
@settings(max_examples=60, deadline=None)
def test_packed_run_lengths_are_those_of_the_official_tool(seed: int, height: int, width: int) -> None:
    mask = np.random.default_rng(seed).random((height, width)) < 0.3
    runs = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
    np.testing.assert_array_equal(region_mask({"size": [height, width], "counts": runs["counts"].decode()}, height, width), mask)


def test_a_polygon_holds_the_pixels_whose_centres_it_holds() -> None:
    """Against the crossing number of each centre, one at a time."""
    generator = np.random.default_rng(0)
    for _ in range(20):
        corners = generator.uniform(-3, 23, (generator.integers(3, 9), 2))
        found = polygon_mask(corners.ravel(), 20, 18)
        for row in range(20):
            for column in range(18):
                x, y, inside = column + 0.5, row + 0.5, False
                for (x0, y0), (x1, y1) in zip(corners, np.roll(corners, -1, axis=0)):
                    if (y0 > y) != (y1 > y) and x < (x1 - x0) * (y - y0) / (y1 - y0) + x0:
                        inside = not inside
                assert found[row, column] == inside


@pytest.mark.parametrize(
    ("region", "message"),
    [
        ("abc", "polygons or run lengths"),
        ([[1.0, 2, 3]], "three finite pairs"),
        ([[0.0, 0, 1, 0, float("nan"), 1]], "three finite pairs"),
        ({"size": [4, 4], "counts": [3, 2]}, "add up to its 4x4"),
        ({"size": [4, 4], "counts": [-1, 17]}, "add up to its 4x4"),
        ({"size": [4, 5], "counts": [20]}, "of the size"),
        ({"size": [4, 4], "counts": "\x10"}, "which no such text has"),
        ({"size": [4, 4], "counts": "P"}, "middle of a number"),
    ],
)
def test_damaged_regions_are_refused(region: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        region_mask(region, 4, 4)


def test_nothing() -> None:
    assert not region_mask([], 3, 4).any()
    assert unpacked("") == []


def test_objects_without_pixels_are_left_out() -> None:
    numbers = np.array([[5, 6]])
    nothing, whole = np.zeros((1, 2), bool), np.ones((1, 2), bool)
    truth = truth_of_segments(numbers, [Segment(5, 11, whole=nothing), Segment(6, 12, whole=whole), Segment(7, 13)], amodal=True)
    assert truth.classes.tolist() == [12]
    assert truth.semantics.tolist() == [[11, 12]]
    with pytest.raises(ValueError, match="same id"):
        truth_of_segments(numbers, [Segment(5, 1), Segment(5, 2)], amodal=False)


def real(path: Path) -> Path:
    if not path.exists():
        pytest.skip(f"{path} is not there; set PANOLABEL_DATA to the shared data folder")
    return path


def test_real_amodal_regions() -> None:
    """Polygons have the areas that COCOA's own tool measured; what is seen and what is hidden make up the whole."""
    files, hidden = sorted(real(LABELS / "cocoa_demo").glob("*.json")), 0
    for file in files:
        size = Image.open(file.with_suffix(".jpg")).size[::-1]
        for region in json.loads(file.read_text())["regions"]:
            whole = region_mask(region["segmentation"], *size)
            official = coco.decode(coco.merge(coco.frPyObjects([region["segmentation"]], *size))).astype(bool)
            outline = (
                0.7 * np.abs(np.diff(np.r_[region["segmentation"], region["segmentation"][:2]].reshape(-1, 2), axis=0)).sum()
            )
            assert (whole ^ official).sum() <= outline + 4
            if "invisible_mask" not in region:
                continue
            hidden += 1
            seen, unseen = (region_mask(region[name], *size) for name in ("visible_mask", "invisible_mask"))
            np.testing.assert_array_equal(unseen, coco.decode(region["invisible_mask"]).astype(bool))
            assert not (seen & unseen).any()
            assert unseen.sum() / (seen | unseen).sum() == pytest.approx(region["occlude_rate"], abs=0.01)
            assert ((seen | unseen) ^ whole).sum() <= outline + 4
    assert (len(files), hidden) == (5, 24)


def test_real_panoptic_pictures() -> None:
    folder = real(LABELS / "coco_panoptic") / "sample_data"
    for one in json.loads((folder / "panoptic_examples.json").read_text())["annotations"]:
        numbers = np.asarray(Image.open(folder / "panoptic_examples" / one["file_name"])).astype(np.int64) @ CHANNELS
        segments = [Segment(about["id"], 11, bool(about["iscrowd"])) for about in one["segments_info"]]
        truth = truth_of_segments(numbers, segments, amodal=False)
        areas = sorted(about["area"] for about in one["segments_info"])
        assert sorted(truth.visible.sum(axis=(1, 2)).tolist()) == areas
