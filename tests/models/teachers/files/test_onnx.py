"""ONNX files built here, whose outputs are known in closed form."""

import numpy as np
import pytest

from models.teachers import load_teacher, weights_digest
from tests.models.oracles import assert_semantics, softmax
from tests.models.tiny import cameras, patches

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)


def write(path, matrix, bias, shape=("n", 3, "h", "w"), layout="nchw", dtype=TensorProto.FLOAT):
    """A network that maps each pixel's three channels to ``matrix @ rgb + bias``; its second output is that times 10."""
    channels = len(bias)
    taken = helper.make_tensor_value_info("pixels", dtype, shape)
    given = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ("n", "a", "b", "c")) for name in ("first", "second")]
    constants = {
        "kernel": np.asarray(matrix, np.float32).reshape(channels, 3, 1, 1), "bias": np.asarray(bias, np.float32),
        "ten": np.float32(10),
    }  # fmt: skip
    nodes = [
        helper.make_node("Cast", ["pixels"], ["real"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["real"], ["first_axes"], perm=[0, 3, 1, 2] if layout == "nhwc" else [0, 1, 2, 3]),
        helper.make_node("Conv", ["first_axes", "kernel", "bias"], ["mapped"]),
        helper.make_node("Transpose", ["mapped"], ["first"], perm=[0, 2, 3, 1] if layout == "nhwc" else [0, 1, 2, 3]),
        helper.make_node("Mul", ["first", "ten"], ["second"]),
    ]
    stored = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "pixelwise", [taken], given, stored)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return str(path)


def normalised(rgb):
    return (rgb / 255 - np.array(MEAN)) / np.array(STD)


DEPTH = {"output": {"field": "depth", "unit": "metre"}, "mean": MEAN, "std": STD, "size": 32}
ROW = np.array([[0.3, 0.2, 0.1]])


@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
def test_depth_is_what_the_graph_computes(layout, tmp_path):
    shape = ("n", 3, "h", "w") if layout == "nchw" else ("n", "h", "w", 3)
    file = write(tmp_path / "depth.onnx", ROW, [3], shape, layout)
    rgb = patches(3, 32, 32)
    teacher = load_teacher("onnx", {"file": file, "layout": layout, **DEPTH}, "cpu")
    depth = teacher(rgb, cameras(3, 32, 32), {})["depth"]
    assert (teacher.fields, teacher.classes, depth.unit, depth.frame) == (("depth",), (), "metre", "axis")
    np.testing.assert_allclose(depth.values, normalised(rgb) @ ROW[0] + 3, rtol=1e-4)
    assert depth.values.dtype == np.float32


def test_unit_frame_scale_and_output_are_the_settings(tmp_path):
    file = write(tmp_path / "depth.onnx", ROW, [3])
    output = {"field": "depth", "index": 1, "unit": "inverse", "frame": "ray", "scale": 0.5}
    rgb = patches(1, 32, 32)
    depth = load_teacher("onnx", {"file": file, **DEPTH, "output": output}, "cpu")(rgb, cameras(1, 32, 32), {})["depth"]
    assert (depth.unit, depth.frame) == ("inverse", "ray")
    np.testing.assert_allclose(depth.values, 5 * (normalised(rgb) @ ROW[0] + 3), rtol=1e-4)


def test_a_fixed_batch_is_filled_up(tmp_path):
    file = write(tmp_path / "fixed.onnx", ROW, [3], (2, 3, 32, 32))
    rgb = patches(5, 32, 32)
    settings = {key: value for key, value in DEPTH.items() if key != "size"}
    depth = load_teacher("onnx", {"file": file, **settings}, "cpu")(rgb, cameras(5, 32, 32), {})["depth"]
    np.testing.assert_allclose(depth.values, normalised(rgb) @ ROW[0] + 3, rtol=1e-4)


def test_semantics_from_logits_and_from_probabilities(tmp_path):
    matrix, rgb = np.random.default_rng(0).normal(size=(4, 3)), patches(2, 32, 32)
    names = tmp_path / "names.txt"
    names.write_text("wall\nfloor\nsky\ntree\n\nand a note that is no class\n")
    settings = {"mean": MEAN, "std": STD, "size": 32, "classes": str(names)}
    logits = write(tmp_path / "logits.onnx", matrix, [0] * 4)
    teacher = load_teacher("onnx", {"file": logits, **settings, "output": {"field": "semantics"}}, "cpu")
    said = teacher(rgb, cameras(2, 32, 32), {})
    expected = softmax(normalised(rgb) @ matrix.T)
    assert teacher.classes == ("wall", "floor", "sky", "tree")
    assert teacher.fields == tuple(said) == ("semantics", "sky")
    assert_semantics(said["semantics"], expected)
    np.testing.assert_allclose(said["sky"].values, expected[..., 2], atol=1e-4)

    positive = np.abs(matrix)
    shares = write(tmp_path / "shares.onnx", positive, [0.1] * 4)
    plain = {"size": 32, "classes": list("abcd"), "output": {"field": "semantics", "scores": "probabilities"}}
    scores = (rgb / 255) @ positive.T + 0.1
    said = load_teacher("onnx", {"file": shares, **plain}, "cpu")(rgb, cameras(2, 32, 32), {})
    assert_semantics(said["semantics"], scores / scores.sum(axis=-1, keepdims=True))


def test_normals_come_in_the_cameras_axes(tmp_path):
    file = write(tmp_path / "normals.onnx", np.zeros((3, 3)), [1.2, 1.28, 0.96])
    settings = {"file": file, "size": 32, "normals_axes": "+x-y-z", "output": {"field": "normals"}}
    normals = load_teacher("onnx", settings, "cpu")(patches(1, 32, 32), cameras(1, 32, 32), {})["normals"]
    np.testing.assert_allclose(normals.values, np.broadcast_to([0.6, -0.64, -0.48], (1, 32, 32, 3)), atol=1e-6)


def test_an_input_of_bytes_takes_the_pixels_as_they_are(tmp_path):
    file = write(tmp_path / "bytes.onnx", ROW, [3], dtype=TensorProto.UINT8)
    rgb = patches(1, 32, 32)
    depth = load_teacher("onnx", {"file": file, **DEPTH}, "cpu")(rgb, cameras(1, 32, 32), {})["depth"]
    np.testing.assert_allclose(depth.values, rgb @ ROW[0] + 3, rtol=1e-4)


def test_derived_normals(tmp_path):
    file = write(tmp_path / "flat.onnx", np.zeros((1, 3)), [2.0])
    teacher = load_teacher("onnx", {"file": file, **DEPTH, "derive_normals": True}, "cpu")
    normals = teacher(patches(1, 32, 32), cameras(1, 32, 32), {})["normals"]
    assert teacher.fields == ("depth", "normals")
    np.testing.assert_allclose(normals.values[normals.valid], np.broadcast_to([0, 0, -1], (normals.valid.sum(), 3)), atol=1e-3)
    assert normals.valid.mean() > 0.85


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"size": None}, "size: .* leaves its input size open"),
        ({"output": {"field": "depth", "unit": "metre", "index": 2}}, "output.index: .* has 2 outputs, so the last index is 1"),
        ({"output": {"field": "semantics"}}, "classes: is required for semantics"),
        ({"output": {"field": "depth", "unit": "metre", "units": "metre"}}, "output.units: unknown key; did you mean 'unit'"),
        ({"output": {"field": "normals"}}, "output: normals needs 3 channels, but output 0 has"),
    ],
)
def test_errors_name_the_key_and_the_fix(change, message, tmp_path):
    file = write(tmp_path / "depth.onnx", ROW, [3])
    with pytest.raises(ValueError, match=message):
        load_teacher("onnx", {"file": file, **DEPTH, **change}, "cpu")(patches(1, 32, 32), cameras(1, 32, 32), {})


def test_a_size_that_the_file_contradicts_is_an_error(tmp_path):
    file = write(tmp_path / "fixed.onnx", ROW, [3], (1, 3, 24, 24))
    with pytest.raises(ValueError, match=r"size: .* takes \(24, 24\) in layout nchw, not \(32, 32\)"):
        load_teacher("onnx", {"file": file, **DEPTH}, "cpu")


def test_a_file_that_is_not_there_and_the_digest_of_one_that_is(tmp_path):
    with pytest.raises(FileNotFoundError, match=f"file: there is no file {tmp_path / 'gone.onnx'}; download it"):
        weights_digest("onnx", {"file": str(tmp_path / "gone.onnx"), **DEPTH})
    one = weights_digest("onnx", {"file": write(tmp_path / "a.onnx", ROW, [3]), **DEPTH})
    assert weights_digest("onnx", {"file": str(tmp_path / "a.onnx"), **DEPTH, "batch_size": 4}) == one
    write(tmp_path / "a.onnx", ROW, [3.5])
    assert weights_digest("onnx", {"file": str(tmp_path / "a.onnx"), **DEPTH}) != one
