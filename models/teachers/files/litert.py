"""Kind ``litert``: a network in a ``.tflite`` file, run by LiteRT on the CPU; quantised files too."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.teachers.base import Teacher
from models.teachers.files.network import Tensor, build, choose_output, input_size
from models.teachers.settings import LitertSettings, parse
from models.teachers.weights import model_file


def load(settings: Mapping[str, Any], device: str) -> Teacher:
    """A teacher from a ``.tflite`` file; see :class:`~models.teachers.settings.LitertSettings`.

    Raises
    ------
    ValueError
        A setting is wrong or does not fit the file.
    FileNotFoundError
        There is no such file.
    ImportError
        ai-edge-litert is not installed.
    """
    parsed = parse(LitertSettings, settings, "litert")
    path = model_file(parsed.file)
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError as error:
        raise ImportError("a teacher of kind 'litert' needs ai-edge-litert; pip install 'panolabel[litert]'") from error
    interpreter = Interpreter(str(path), num_threads=min(os.cpu_count() or 1, 4))
    taken = interpreter.get_input_details()[0]
    shape = _shape(taken, parsed.size is not None)
    if None in shape:
        sides = input_size(parsed, shape)
        sized = (shape[0], 3, *sides) if parsed.layout == "nchw" else (shape[0], *sides, 3)
        interpreter.resize_tensor_input(taken["index"], sized, strict=True)
    try:
        interpreter.allocate_tensors()
    except RuntimeError as error:
        raise ValueError(f"size: {path} cannot take an input of {parsed.size} ({error}); give another size") from error
    given = interpreter.get_output_details()[choose_output(interpreter.get_output_details(), parsed)]
    lock = threading.Lock()

    def run(values: NDArray) -> NDArray:
        # An interpreter holds the tensors of one run, and several blocks may share it.
        with lock:
            if values.shape != tuple(interpreter.get_input_details()[0]["shape"]):  # its sides are open
                interpreter.resize_tensor_input(taken["index"], values.shape, strict=True)
                interpreter.allocate_tensors()
            interpreter.set_tensor(taken["index"], values)
            interpreter.invoke()
            return _dequantise(interpreter.get_tensor(given["index"]), *given["quantization"])

    scale, zero = taken["quantization"]
    return build(parsed, run, Tensor(shape, np.dtype(taken["dtype"]), float(scale), int(zero)))


def _shape(taken: Mapping[str, Any], sized: bool) -> tuple[int | None, ...]:
    """Sizes of the input's axes; None for a side that the file leaves open, if the settings size it or the file has just a 1."""
    signature = taken["shape_signature"]
    axes = zip(taken["shape"], taken["shape"] if signature is None or not len(signature) else signature, strict=True)
    return tuple(
        None if index > 0 and said < 0 and (sized or side <= 1) else int(side) for index, (side, said) in enumerate(axes)
    )


def _dequantise(values: NDArray, scale: float, zero: int) -> NDArray:
    """Real numbers of quantised ones; a scale of 0 says that they are not quantised."""
    return (values.astype(np.float32) - zero) * np.float32(scale) if scale else values.copy()
