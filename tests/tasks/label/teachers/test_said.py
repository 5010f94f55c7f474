"""What a teacher says is held against its patches and its vocabulary, and classes that never come are named."""

import numpy as np
import pytest

from geometry.cameras import Camera
from geometry.fields import Field
from storage.receipts import Receipt
from storage.rows import ItemRow
from tasks.label.classes import class_shares, never_seen
from tasks.label.teachers.looking import check_said, look

VIEWS = [Camera.looking(6, 4, 1.0)] * 2


def semantics(highest, size=(4, 6)):
    values = np.zeros((2, *size, 1), np.uint16)
    values[0, 0, 0] = highest
    return Field("semantics", values, np.ones((2, *size), bool), "class", confidence=np.ones(values.shape, np.float32))


def test_a_class_beyond_the_vocabulary_is_refused_and_the_last_one_is_not():
    check_said(semantics(2), VIEWS, ("a", "b", "c"))
    with pytest.raises(ValueError, match=r"semantics says class 3, but its vocabulary names 3 \(0 to 2\)"):
        check_said(semantics(3), VIEWS, ("a", "b", "c"))


def test_a_class_where_nothing_is_valid_does_not_count():
    field = semantics(255)
    field.valid[0, 0, 0] = False
    check_said(field, VIEWS, ("a", "b"))


def test_a_segment_beyond_the_vocabulary_is_refused():
    tables = {"segment_class": np.array([[0, -1], [2, -1]], np.int32), "segment_score": np.ones((2, 2), np.float32)}
    field = Field("instances", np.zeros((2, 4, 6), np.uint16), np.ones((2, 4, 6), bool), "segment", tables=tables)
    check_said(field, VIEWS, ("a", "b", "c"))
    with pytest.raises(ValueError, match="instances says class 2, but its vocabulary names 2"):
        check_said(field, VIEWS, ("a", "b"))


class Other:
    classes = ("a",)
    fields = ("depth",)

    def __call__(self, patches, cameras, item):
        values = np.ones((len(patches), 4, 4), np.float32)
        return {"depth": Field("depth", values, values > 0, "metre", "ray")}


def test_an_answer_of_another_size_is_refused():
    with pytest.raises(ValueError, match=r"depth has the shape \(2, 4, 4\), but its patches are \(2, 4, 6\)"):
        look(Other(), np.zeros((2, 4, 6, 3), np.uint8), tuple(VIEWS), {}, ("depth",), 8)


def test_shares_are_those_of_valid_pixels():
    labels = {"semantics": np.array([[0, 0, 2, 1]], np.uint8), "semantics_valid": np.array([[True, True, True, False]])}
    assert class_shares(labels, ["wall", "floor", "sky", "car"]) == {"wall": 0.666667, "sky": 0.333333}
    labels["instance_class"] = np.array([3, -1])
    assert class_shares(labels, ["wall", "floor", "sky", "car"]) == {"wall": 0.666667, "sky": 0.333333, "car": 0.0}
    assert class_shares({}, []) == {}


def receipt(*seen, classes=("wall", "floor", "sky")):
    rows = [ItemRow(f"item {index}", "done", "", {"classes": own} if own is not None else {}) for index, own in enumerate(seen)]
    return Receipt("fuse", "f", "b", rows, [], {"classes": list(classes)}, {})


def test_a_class_is_never_seen_if_no_panorama_shows_it():
    assert never_seen([receipt({"wall": 0.5}), receipt({"sky": 0.1})]) == ["floor"]
    assert never_seen([receipt({"wall": 0.5}, None)]) == ["floor", "sky"]
    assert never_seen([receipt(None)]) == []  # blocks of an older version, or of a student
    assert never_seen([]) == []
