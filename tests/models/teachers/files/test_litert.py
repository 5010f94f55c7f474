"""LiteRT: real quantised networks of the shared folder, run here a second time by hand."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from models.teachers import load_teacher
from models.teachers.files.litert import _dequantise
from models.teachers.files.network import FileTeacher, Tensor
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


def with_open_sides(path, folder, stored=224):
    """The same file with the sides of its input left open."""
    schema = pytest.importorskip("ai_edge_litert.schema_py_generated")
    flatbuffers = pytest.importorskip("flatbuffers")
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(bytearray(path.read_bytes()), 0))
    graph = model.subgraphs[0]
    taken = graph.tensors[graph.inputs[0]]
    taken.shape, taken.shapeSignature = [1, stored, stored, 3], [1, -1, -1, 3]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    (folder / "open.tflite").write_bytes(bytes(builder.Output()))
    return folder / "open.tflite"


def test_open_sides_are_sized_by_the_settings(tmp_path):
    path = shared("fast_depth_224.tflite")
    settings = {"file": str(with_open_sides(path, tmp_path)), "output": {"field": "depth", "unit": "metre"}}
    rgb, views = patches(1, 224, 224), cameras(1, 224, 224)
    fixed = load_teacher("litert", {**settings, "file": str(path)}, "cpu")(rgb, views, {})["depth"].values
    for more in ({}, {"size": 224}):
        said = load_teacher("litert", {**settings, **more}, "cpu")(rgb, views, {})["depth"].values
        np.testing.assert_allclose(said, fixed, rtol=1e-5)
    unsized = {**settings, "file": str(with_open_sides(path, tmp_path, 1))}
    said = load_teacher("litert", {**unsized, "size": 224}, "cpu")(rgb, views, {})["depth"].values
    np.testing.assert_allclose(said, fixed, rtol=1e-5)
    with pytest.raises(ValueError, match=r"size: .*leaves its input size open"):
        load_teacher("litert", unsized, "cpu")


@pytest.mark.parametrize("size", [230, 100])
def test_a_size_that_a_file_with_open_sides_does_not_divide_is_refused(size, tmp_path):
    file = with_open_sides(shared("fast_depth_224.tflite"), tmp_path)
    settings = {"file": str(file), "output": {"field": "depth", "unit": "metre"}}
    with pytest.raises(ValueError, match=r"no fixed multiple or fraction|drops the last|cannot take an input"):
        load_teacher("litert", {**settings, "size": size}, "cpu")
