"""LiteRT: real quantised networks of the shared folder, run here a second time by hand."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from models.teachers import load_teacher
from models.teachers.file_network import FileTeacher, Tensor
from models.teachers.litert import _dequantise
from models.teachers.settings import LitertSettings
from tests.models.tiny import cameras, patches

DATA = Path(os.environ.get("PANOLABEL_DATA", "../shared")) / "weights"


def shared(name):
    path = DATA / name
    if not path.is_file():
        pytest.skip(f"{path} is not there; set PANOLABEL_DATA to the shared data folder")
    return path


def run_by_hand(path, rgb):
    """The network's first output for one picture, as the interpreter gives it, dequantised by its own numbers."""
    interpreter = pytest.importorskip("ai_edge_litert.interpreter").Interpreter(str(path), num_threads=2)
    interpreter.allocate_tensors()
    taken, given = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    side = taken["shape"][1]
    interpreter.set_tensor(taken["index"], np.asarray(Image.fromarray(rgb).resize((side, side), Image.Resampling.BILINEAR))[None])
    interpreter.invoke()
    scale, zero = given["quantization"]
    values = interpreter.get_tensor(given["index"])[0]
    return (values.astype(np.float64) - zero) * scale if scale else values


def test_depth_of_a_quantised_network():
    path, rgb = shared("fast_depth_224.tflite"), patches(2, 224, 224)
    teacher = load_teacher("litert", {"file": str(path), "output": {"field": "depth", "unit": "metre"}}, "cpu")
    depth = teacher(rgb, cameras(2, 224, 224), {})["depth"]
    assert (teacher.fields, depth.unit, depth.frame, depth.values.dtype) == (("depth",), "metre", "axis", np.float32)
    for said, one in zip(depth.values, rgb):
        expected = run_by_hand(path, one)[..., 0]
        assert 0.3 < expected.mean() < 20
        np.testing.assert_allclose(said, expected, rtol=1e-4)


def test_classes_of_a_quantised_network_are_votes():
    path, names = shared("deeplabv3_mnv2_dm05_pascal_quant.tflite"), shared("pascal_voc_segmentation_labels.txt")
    settings = {"file": str(path), "output": {"field": "semantics"}, "classes": str(names)}
    noise = np.random.default_rng(0).integers(-20, 20, (1, 513, 513, 3))
    rgb = np.clip(patches(1, 513, 513, seed=3) + noise, 0, 255).astype(np.uint8)
    teacher = load_teacher("litert", settings, "cpu")
    semantics = teacher(rgb, cameras(1, 513, 513), {})["semantics"]
    assert (len(teacher.classes), teacher.classes[0], teacher.classes[-1]) == (21, "background", "tvmonitor")
    assert np.array_equal(semantics.values[0, ..., 0], run_by_hand(path, rgb[0]))
    assert (semantics.confidence[..., 0] == 1).all()
    assert not semantics.confidence[..., 1:].any()


def test_shrunk_classes_are_counted_not_averaged():
    settings = LitertSettings(file="-", output={"field": "semantics"}, classes=("a", "b", "c"))
    numbers = np.array([[[0, 0, 2, 2], [0, 2, 2, 2], [0, 0, 0, 0], [0, 0, 0, 0]]])
    teacher = FileTeacher(lambda _: numbers, Tensor((1, 4, 4, 3), np.dtype(np.uint8)), settings, ("a", "b", "c"))
    semantics = teacher(patches(1, 2, 2), cameras(1, 2, 2), {})["semantics"]
    assert semantics.values[0, ..., 0].tolist() == [[0, 2], [0, 0]]
    assert 0.5 < semantics.confidence[0, 0, 0, 0] < 1


def test_a_class_without_a_name_is_an_error():
    settings = LitertSettings(file="-", output={"field": "semantics"}, classes=("a", "b"))
    teacher = FileTeacher(lambda _: np.full((1, 4, 4), 2), Tensor((1, 4, 4, 3), np.dtype(np.uint8)), settings, ("a", "b"))
    with pytest.raises(ValueError, match="classes: the model says class 2, but only 2 are named"):
        teacher(patches(1, 4, 4), cameras(1, 4, 4), {})


def test_quantised_numbers_become_real_and_back():
    assert _dequantise(np.array([10, 12], np.int8), 0.5, 10).tolist() == [0, 1]
    assert _dequantise(np.array([10, 12], np.int64), 0.0, 0).dtype == np.int64
    given = []
    settings = LitertSettings(file="-", output={"field": "depth", "unit": "metre"}, mean=(0.5,) * 3, std=(0.5,) * 3)
    # int8 with real = (q + 1) / 127: a black pixel is -1, a white one 1.
    taken = Tensor((1, 2, 2, 3), np.dtype(np.int8), 1 / 127, -1)
    teacher = FileTeacher(lambda values: given.append(values) or np.ones((1, 2, 2)), taken, settings, ())
    rgb = np.array([0, 255], np.uint8)[None, :, None, None] * np.ones((1, 2, 2, 3), np.uint8)
    teacher(rgb, cameras(1, 2, 2), {})
    assert given[0].dtype == np.int8
    assert given[0][0, :, 0, 0].tolist() == [-128, 126]
