"""LAS and LAZ as laspy reads them."""

import io
from dataclasses import replace

import laspy
import numpy as np
import pytest

from tasks.solids.formats import FORMATS
from tasks.solids.point_clouds import point_cloud
from tasks.solids.scans import Scan
from tests.tasks.solids.test_point_clouds import SIZE, scan

CLASSES = ("wall", "a floor of very long boards", "ceiling")


def labelled() -> Scan:
    known = scan()
    semantics = np.random.default_rng(1).integers(0, 3, SIZE).astype(np.uint16)
    semantics_valid = known.labels["depth_valid"].copy()
    semantics_valid[2] = False
    labels = {**known.labels, "semantics": semantics, "semantics_valid": semantics_valid}
    return replace(known, labels=labels, classes=CLASSES)


@pytest.mark.parametrize("to", ["las", "laz"])
def test_laspy_reads_points_colours_and_classes(to):
    known = labelled()
    kept = known.labels["depth_valid"]
    data, counts = FORMATS[to]([known])
    las = laspy.read(io.BytesIO(data))
    assert str(las.header.version) == "1.4"
    assert las.header.point_format.id == 7
    assert len(las.points) == counts["points"] == kept.sum()
    right, down, forward = point_cloud(known).points.T
    np.testing.assert_allclose(las.xyz, np.stack([right, forward, -down], axis=-1), atol=5.1e-4)
    np.testing.assert_array_equal(np.stack([las.red, las.green, las.blue], axis=-1) // 257, known.image[kept])
    expected = np.where(known.labels["semantics_valid"], 64 + known.labels["semantics"], 1)[kept]
    np.testing.assert_array_equal(las.classification, expected)
    (lookup,) = las.header.vlrs.get("ClassificationLookupVlr")
    assert lookup.lookups == {64: "wall", 65: "a floor of very", 66: "ceiling"}


def test_the_same_labels_give_the_same_bytes_and_laz_is_smaller():
    assert FORMATS["las"]([labelled()]) == FORMATS["las"]([labelled()])
    assert len(FORMATS["laz"]([labelled()])[0]) < len(FORMATS["las"]([labelled()])[0])


def test_the_point_source_tells_panoramas_apart():
    las = laspy.read(io.BytesIO(FORMATS["las"]([labelled(), replace(labelled(), item="b")])[0]))
    assert sorted(set(np.asarray(las.point_source_id).tolist())) == [1, 2]


def test_without_classes_all_is_unclassified():
    las = laspy.read(io.BytesIO(FORMATS["las"]([scan()])[0]))
    assert set(np.asarray(las.classification).tolist()) == {1}


def test_more_classes_than_the_format_has_are_refused():
    FORMATS["las"]([replace(labelled(), classes=("x",) * 192)])
    with pytest.raises(ValueError, match="vocabulary of 193 classes"):
        FORMATS["las"]([replace(labelled(), classes=("x",) * 193)])
