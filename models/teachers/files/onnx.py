"""Kind ``onnx``: a network in an ``.onnx`` file, run by onnxruntime."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.teachers.base import Teacher
from models.teachers.files.network import Tensor, build, choose_output
from models.teachers.settings import OnnxSettings, parse
from models.teachers.weights import model_file

DTYPES = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(uint8)": np.uint8,
}


def load(settings: Mapping[str, Any], device: str) -> Teacher:
    """A teacher from an ``.onnx`` file; see :class:`~models.teachers.settings.OnnxSettings`.

    Raises
    ------
    ValueError
        A setting is wrong or does not fit the file.
    FileNotFoundError
        There is no such file.
    ImportError
        onnxruntime is not installed.
    """
    parsed = parse(OnnxSettings, settings, "onnx")
    path = model_file(parsed.file)
    try:
        import onnxruntime
    except ImportError as error:
        raise ImportError("a teacher of kind 'onnx' needs onnxruntime; pip install 'panolabel[onnx]'") from error
    session = onnxruntime.InferenceSession(path, providers=_providers(device, onnxruntime.get_available_providers()))
    taken = session.get_inputs()[0]
    if taken.type not in DTYPES:
        raise ValueError(f"file: {path} takes {taken.type}, which is no image; known: {', '.join(DTYPES)}")
    output = session.get_outputs()[choose_output(session.get_outputs(), parsed)].name

    def run(values: NDArray) -> NDArray:
        return np.asarray(session.run([output], {taken.name: values})[0])

    # A free axis has a name instead of a number.
    shape = tuple(side if isinstance(side, int) and side > 0 else None for side in taken.shape)
    return build(parsed, run, Tensor(shape, np.dtype(DTYPES[taken.type])))


def _providers(device: str, available: list[str]) -> list[Any]:
    if not device.startswith("cuda") or "CUDAExecutionProvider" not in available:
        return ["CPUExecutionProvider"]
    index = int(device.partition(":")[2] or 0)
    return [("CUDAExecutionProvider", {"device_id": index}), "CPUExecutionProvider"]
