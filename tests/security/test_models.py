"""Model folders and files of strangers: their code is never run, and they read nothing outside their folder."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from models.teachers import load_teacher, weights_digest
from models.teachers.weights import DEMO

EVIL = """
from pathlib import Path

from transformers import PretrainedConfig

Path({mark!r}).touch()


class EvilConfig(PretrainedConfig):
    model_type = "evil"
"""


@pytest.mark.parametrize("model_type", [None, "evil"])
def test_code_that_a_model_brings_along_is_not_run(
    model_type: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import transformers
    from transformers import dynamic_module_utils

    folder, mark = tmp_path / "network", tmp_path / "ran"
    shutil.copytree(DEMO, folder)
    config = json.loads((folder / "config.json").read_text())
    names = ("AutoModel", "AutoModelForDepthEstimation", "AutoModelForSemanticSegmentation", "AutoConfig", "AutoImageProcessor")
    config |= {"auto_map": dict.fromkeys(names, "evil.EvilConfig")} | ({"model_type": model_type} if model_type else {})
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "evil.py").write_text(EVIL.format(mark=str(mark)))
    if model_type is None:
        assert load_teacher("transformers", {"model": str(folder)}, "cpu").fields
    else:
        with pytest.raises(ValueError):  # noqa: PT011  the message is transformers' own
            load_teacher("transformers", {"model": str(folder)}, "cpu")
    assert not mark.exists()
    monkeypatch.setattr(dynamic_module_utils, "HF_MODULES_CACHE", str(tmp_path / "modules"))
    transformers.AutoConfig.from_pretrained(folder, trust_remote_code=True)
    assert mark.exists(), "the code would run where it is let"


def write_onnx(path: Path, location: str) -> None:
    """A network that adds 48 numbers, kept in another file, to its input of 4 x 4 pixels."""
    onnx = pytest.importorskip("onnx")
    weights = onnx.TensorProto(name="w", data_type=1, dims=[1, 3, 4, 4], data_location=onnx.TensorProto.EXTERNAL)
    for key, value in (("location", location), ("offset", "0"), ("length", "192")):
        weights.external_data.add(key=key, value=value)
    ends = [onnx.helper.make_tensor_value_info(name, 1, [1, 3, 4, 4]) for name in "xy"]
    graph = onnx.helper.make_graph([onnx.helper.make_node("Add", ["x", "w"], ["y"])], "g", ends[:1], ends[1:], [weights])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=9)
    path.write_bytes(model.SerializeToString())


@pytest.fixture
def network(tmp_path: Path) -> Path:
    pytest.importorskip("onnxruntime")
    (tmp_path / "model" / "parts").mkdir(parents=True)
    for name in ("secret.bin", "model/weights.bin", "model/parts/weights.bin"):
        (tmp_path / name).write_bytes(np.ones(48, np.float32).tobytes())
    os.symlink(tmp_path / "secret.bin", tmp_path / "model" / "link.bin")
    return tmp_path / "model" / "network.onnx"


def settings(network: Path) -> dict[str, object]:
    return {"file": str(network), "output": {"field": "normals"}}


@pytest.mark.parametrize("location", ["weights.bin", "parts/weights.bin"])
def test_weights_beside_an_onnx_file_are_read_and_digested(location: str, network: Path) -> None:
    write_onnx(network, location)
    assert load_teacher("onnx", settings(network), "cpu").fields == ("normals",)
    before = weights_digest("onnx", settings(network))
    (network.parent / "unrelated.txt").write_text("x")
    assert weights_digest("onnx", settings(network)) == before
    (network.parent / location).write_bytes(np.zeros(48, np.float32).tobytes())
    assert weights_digest("onnx", settings(network)) != before


@pytest.mark.parametrize("location", ["../secret.bin", "parts/../../secret.bin", "link.bin", "ABSOLUTE"])
def test_an_onnx_file_reads_nothing_outside_its_folder(location: str, network: Path) -> None:
    write_onnx(network, str(network.parents[1] / "secret.bin") if location == "ABSOLUTE" else location)
    with pytest.raises(Exception, match=r"(?i)external data"):
        load_teacher("onnx", settings(network), "cpu")
