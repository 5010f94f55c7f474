"""Sizes that networks divide: what is planted at an edge is found there, and what would be stretched is refused."""

import json

import numpy as np
import pytest
import torch
import transformers as t

from models.teachers import load_teacher
from models.teachers.postprocess import depth_field
from models.teachers.preprocess import ImageSpec, prepare, read_spec
from models.teachers.sizes import check_answer, check_whole, size_rule
from tests.models.teachers.files.test_onnx import ROW, write
from tests.models.tiny import MODELS, SIZE, cameras, patches, save

DIVIDES = {
    "depth_anything_relative": 14, "depth_anything_metric": 14, "dpt_depth": 28, "tipsv2": 28, "zoedepth": 32, "glpn": 32,
    "segformer": 32, "upernet": 32, "mask2former": 32, "oneformer": 32, "dpt_semantic": 32,
}  # fmt: skip
ONLY = {"beit": 64, "eomt": 64, "depth_pro": 64}


@pytest.mark.parametrize("name", DIVIDES)
def test_the_rule_of_each_class_and_its_refusal(name, tmp_path):
    config, step = MODELS[name]().config, DIVIDES[name]
    assert (size_rule(config).multiple, size_rule(config).only) == (step, None)
    below = 3 * step
    with pytest.raises(ValueError, match=rf"input_size: {below + 5} is no multiple of {step}.*use {below} or {below + step}"):
        read_spec(tmp_path, config, below + 5)
    assert read_spec(tmp_path, config, (below, step)).target(50, 70) == (below, step)


@pytest.mark.parametrize("name", ONLY)
def test_networks_of_one_size(name, tmp_path):
    config, side = MODELS[name]().config, ONLY[name]
    with pytest.raises(ValueError, match=f"input_size: this network takes {side} alone, not {2 * side}; drop the key"):
        read_spec(tmp_path, config, 2 * side)
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({"size": {"height": 100, "width": 90}}))
    assert read_spec(tmp_path, config, None).target(50, 50) == (side, side)


@pytest.mark.parametrize(
    ("config", "multiple"),
    [
        (t.DepthAnythingConfig(), 14),
        (t.SegformerConfig(), 32),
        (t.GLPNConfig(), 32),
        (t.Mask2FormerConfig(), 32),
        (t.MaskFormerConfig(), 32),
        (t.UperNetConfig(backbone_config=t.ConvNextConfig(out_features=["stage1", "stage2", "stage3", "stage4"])), 32),
        (t.UperNetConfig(backbone_config=t.Swinv2Config(out_features=["stage1", "stage2", "stage3", "stage4"])), 32),
        (t.UperNetConfig(backbone_config=t.ResNetConfig(out_features=["stage1", "stage2", "stage3", "stage4"])), 32),
        (t.MobileViTConfig(), 32),
        (t.MobileNetV2Config(), 32),
        (t.PromptDepthAnythingConfig(), 14),
        (t.ZoeDepthConfig(), 32),
    ],
)
def test_published_configs(config, multiple):
    assert size_rule(config).multiple == multiple


def test_depthpro_takes_the_size_that_its_tiles_fill():
    assert size_rule(t.DepthProConfig()).only == (1536, 1536)


def test_a_size_in_the_folder_is_rounded(tmp_path):
    (tmp_path / "preprocessor_config.json").write_text(
        json.dumps({"size": {"height": 500, "width": 10}, "keep_aspect_ratio": False})
    )
    assert read_spec(tmp_path, t.DepthAnythingConfig(), None).target(80, 80) == (504, 14)
    said = {"size": {"height": 518, "width": 518}, "keep_aspect_ratio": True, "ensure_multiple_of": 10}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(said))
    assert all(side % 70 == 0 for side in read_spec(tmp_path, t.DepthAnythingConfig(), None).target(80, 100))
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({"do_resize": False}))
    assert read_spec(tmp_path, t.SegformerConfig(), None).target(80, 100) == (64, 96)


@pytest.mark.parametrize("name", sorted(set(DIVIDES) - {"oneformer"}))
def test_a_mark_in_the_last_columns_is_seen_at_any_size_of_the_patch(name, tmp_path):
    save(name, tmp_path)
    more = {"depth_unit": "inverse"} if name == "dpt_depth" else {}
    teacher = load_teacher("transformers", {"model": str(tmp_path), **more}, "cpu")
    field = teacher.fields[0]
    side = SIZE.get(name, 64) + 9
    plain = patches(1, side, side)
    marked = plain.copy()
    marked[:, :, -3:] = 255 - marked[:, :, -3:]
    before, after = (teacher(one, cameras(1, side, side), {})[field] for one in (plain, marked))
    parts = ("values",) if field != "semantics" else ("confidence",)
    changes = [np.abs(getattr(before, part) - getattr(after, part)) for part in parts]
    assert max(float(change.max()) for change in changes) > 0


@pytest.mark.parametrize(
    ("answer", "given", "right"),
    [
        ((490, 490), (500, 500), False),
        ((500, 500), (500, 500), True),
        ((125, 125), (500, 500), True),
        ((256, 256), (448, 448), True),  # 8 answers for each patch of 14
        ((576, 576), (504, 504), True),  # 16 for each patch of 14
        ((65, 65), (513, 513), False),
        ((480, 480), (490, 490), False),
        ((28, 28), (32, 32), False),
        ((1000, 1000), (500, 500), True),
        ((126, 126), (500, 500), False),
        ((500, 250), (500, 500), False),
        ((1, 1), (500, 500), False),
    ],
)
def test_only_a_fixed_multiple_or_fraction_is_an_answer(answer, given, right):
    if right:
        check_answer(answer, given)
    else:
        with pytest.raises(ValueError, match="no fixed multiple or fraction"):
            check_answer(answer, given)


def test_a_network_whose_answer_is_cut_is_refused(tmp_path):
    save("depth_anything_metric", tmp_path)
    teacher = load_teacher("transformers", {"model": str(tmp_path)}, "cpu")
    network, forward = teacher.network.model, teacher.network.model.forward

    def cut(*arguments, **more):
        said = forward(*arguments, **more)
        said.predicted_depth = said.predicted_depth[:, :-3]
        return said

    network.forward = cut
    with pytest.raises(ValueError, match="answers 53 x 56 to an input of 56 x 56"):
        teacher(patches(1, 56, 56), cameras(1, 56, 56), {})


def dropping(step):
    """A network that divides its input by ``step`` and drops the rest, and blows its answer up to the input's size."""

    def run(patch):
        rows, columns = (side // step * step for side in patch.shape[:2])
        blocks = patch[:rows, :columns].reshape(rows // step, step, columns // step, step, 3).mean(axis=(1, 3, 4))
        rows, columns = (np.arange(side) * many // side for side, many in zip(patch.shape[:2], blocks.shape))
        return blocks[rows][:, columns]

    return run


@pytest.mark.parametrize(("step", "size", "advice"), [(14, 500, "490 or 504"), (32, 100, "96 or 128"), (16, 250, "240 or 256")])
def test_dropped_rows_are_found_without_a_config(step, size, advice):
    fits = size // step * step
    check_whole(dropping(step), (fits, fits), "size")
    with pytest.raises(ValueError, match=f"size: the network drops the last {size - fits} of {size} rows.*use {advice}"):
        check_whole(dropping(step), (size, size), "size")
    with pytest.raises(ValueError, match="columns"):
        check_whole(dropping(step), (fits, size), "size")


def strided(path, step, blow_up):
    """An ONNX file with open axes that averages squares of ``step`` pixels, dropping the rest."""
    onnx = pytest.importorskip("onnx")
    from onnx import TensorProto, helper, numpy_helper

    taken = helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ("n", 3, "h", "w"))
    given = helper.make_tensor_value_info("depth", TensorProto.FLOAT, ("n", 1, "a", "b"))
    kernel = np.full((1, 3, step, step), 1 / (3 * step * step), np.float32)
    nodes = [helper.make_node("Conv", ["pixels", "kernel"], ["small"], strides=[step, step])]
    if blow_up:  # to the size of the input, as exported networks do
        nodes += [
            helper.make_node("Shape", ["pixels"], ["shape"]),
            helper.make_node("Slice", ["shape", "two", "four"], ["sides"]),
            helper.make_node("Concat", ["ones", "sides"], ["sizes"], axis=0),
            helper.make_node("Resize", ["small", "", "", "sizes"], ["depth"], mode="linear"),
        ]
    else:
        nodes += [helper.make_node("Identity", ["small"], ["depth"])]
    constants = {"kernel": kernel, "two": np.array([2]), "four": np.array([4]), "ones": np.array([1, 1])}
    used = {name for node in nodes for name in node.input}
    stored = [numpy_helper.from_array(value, name) for name, value in constants.items() if name in used]
    graph = helper.make_graph(nodes, "strided", [taken], [given], stored)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    return str(path)


@pytest.mark.parametrize("blow_up", [False, True])
def test_an_onnx_file_with_open_axes_is_asked_what_it_divides(blow_up, tmp_path):
    pytest.importorskip("onnxruntime")
    settings = {"file": strided(tmp_path / "a.onnx", 14, blow_up), "output": {"field": "depth", "unit": "metre"}}
    with pytest.raises(ValueError, match="490 or 504" if blow_up else "35 x 35 to an input of 500 x 500"):
        load_teacher("onnx", {**settings, "size": 500}, "cpu")
    teacher = load_teacher("onnx", {**settings, "size": [490, 504]}, "cpu")
    assert teacher(patches(1, 60, 60), cameras(1, 60, 60), {})["depth"].values.shape == (1, 60, 60)


def test_a_size_that_a_file_cannot_take_at_all_says_so(tmp_path):
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from onnx import TensorProto, helper

    taken = helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ("n", 3, "h", "w"))
    given = helper.make_tensor_value_info("depth", TensorProto.FLOAT, ("n", 1, "a", "b"))
    shape = onnx.numpy_helper.from_array(np.array([1, 1, 96, -1]), "shape")
    nodes = [
        helper.make_node("ReduceMean", ["pixels"], ["grey"], axes=[1], keepdims=1),
        helper.make_node("Reshape", ["grey", "shape"], ["depth"]),
    ]
    graph = helper.make_graph(nodes, "picky", [taken], [given], [shape])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), tmp_path / "picky.onnx")
    settings = {"file": str(tmp_path / "picky.onnx"), "output": {"field": "depth", "unit": "metre"}, "size": 49}
    with pytest.raises(ValueError, match=r"file: .* cannot take an input of 49 x 49"):
        load_teacher("onnx", settings, "cpu")


EDGE = 0.37
SPECS = {
    "plain": ImageSpec(size={"height": 70, "width": 70}),
    "enlarged": ImageSpec(size={"height": 448, "width": 448}, mode="bicubic"),
    "keep_aspect and multiple": ImageSpec(size={"height": 98, "width": 140}, keep_aspect=True, multiple=14),
    "shortest_edge and divisor": ImageSpec(size={"shortest_edge": 100, "longest_edge": 140}, divisor=32),
    "divisor alone": ImageSpec(divisor=32),
    "reflected border": ImageSpec(size={"height": 96, "width": 128}, keep_aspect=True, multiple=32, reflect_border=True),
}


@pytest.mark.parametrize("axis", [1, 2])
@pytest.mark.parametrize("side", [90, 250, 1024])
@pytest.mark.parametrize("name", SPECS)
def test_an_edge_lands_where_it_was(name, side, axis):
    """Pixels go in as a network wants them and come back as its depth: half-way up an edge is where it was, to half a pixel."""
    spec, place = SPECS[name], round(EDGE * side)
    # As soft as the coarsest of the inputs can still show it.
    ramp = np.round(130 + 70 * np.tanh((np.arange(side) - place + 0.5) / (side / 20)))
    rgb = np.broadcast_to(ramp[:, None, None] if axis == 1 else ramp[:, None], (1, side, side, 3)).astype(np.uint8)
    plain = ImageSpec((0,) * 3, (1,) * 3, 1.0, spec.mode, spec.size, spec.keep_aspect, spec.multiple, spec.divisor)
    spec = plain if not spec.reflect_border else ImageSpec(**{**vars(plain), "reflect_border": True})
    given = prepare(rgb, spec, "cpu")[:, 0]
    border = spec.border(side, side)
    depth = depth_field(given, (side, side), "inverse", "axis", None, border, corners=spec.reflect_border).values[0]
    profile = depth.mean(axis=2 - axis)
    around = slice(place - side // 10, place + side // 10)
    crossing = np.interp(130, profile[around], np.arange(side)[around])
    assert abs(crossing - (place - 0.5)) < 0.5


def test_an_edge_goes_through_an_onnx_file_in_its_place(tmp_path):
    pytest.importorskip("onnxruntime")
    file = write(tmp_path / "through.onnx", ROW / ROW.sum(), [0])
    for size, side in ((96, 250), (448, 250), ([64, 256], 130)):
        settings = {"file": file, "size": size, "output": {"field": "depth", "unit": "inverse"}}
        rgb = np.full((1, side, side, 3), 60, np.uint8)
        rgb[:, :, 100:] = 200
        depth = load_teacher("onnx", settings, "cpu")(rgb, cameras(1, side, side), {})["depth"].values[0]
        crossing = np.interp(130 / 255, depth.mean(axis=0)[40:120], np.arange(40, 120))
        assert abs(crossing - 99.5) < 0.5


def test_torch_and_the_oracle_agree_on_corners():
    values = torch.arange(12.0).reshape(1, 1, 3, 4)
    got = depth_field(values[:, 0] + 1, (5, 7), "inverse", corners=True).values[0]
    rows, columns = np.linspace(0, 2, 5), np.linspace(0, 3, 7)
    np.testing.assert_allclose(got, 1 + 4 * rows[:, None] + columns, rtol=1e-5)
