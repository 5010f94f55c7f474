"""RoIAlign and suppression against ONNX Runtime's operators, whose code shares nothing with ours."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from models.seamless.boxes import suppress
from models.seamless.roi_align import roi_align

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")


def run_operator(name: str, inputs: dict[str, np.ndarray], kind: int, **attributes: Any) -> np.ndarray:
    """The output of one ONNX operator."""
    of = {np.dtype(np.float32): onnx.TensorProto.FLOAT, np.dtype(np.int64): onnx.TensorProto.INT64}
    declared = [onnx.helper.make_tensor_value_info(key, of[value.dtype], value.shape) for key, value in inputs.items()]
    node = onnx.helper.make_node(name, list(inputs), ["found"], **attributes)
    graph = onnx.helper.make_graph([node], name, declared, [onnx.helper.make_tensor_value_info("found", kind, None)])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 16)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, inputs)[0]


def random_boxes(generator: np.random.Generator, count: int, width: float, height: float) -> np.ndarray:
    """Boxes (N, 4), left, top, right, bottom, inside an image."""
    corners = generator.uniform(0, 1, (2, count, 2)) * [width, height]
    return (
        np.concatenate([corners.min(axis=0), corners.max(axis=0) + 0.5], axis=1).clip(0, [width, height] * 2).astype(np.float32)
    )


@pytest.mark.parametrize(("size", "scale", "samples"), [((7, 7), 0.25, 2), ((14, 14), 0.125, 2), ((3, 5), 1.0, 4)])
def test_roi_align_is_that_of_onnx_runtime(size: tuple[int, int], scale: float, samples: int) -> None:
    generator = np.random.default_rng([*size, samples])
    features = generator.normal(size=(2, 6, 16, 32)).astype(np.float32)
    boxes, image = random_boxes(generator, 40, 32 / scale, 16 / scale), generator.integers(0, 2, 40)
    theirs = run_operator(
        "RoiAlign", {"X": features, "rois": boxes, "batch_indices": image}, onnx.TensorProto.FLOAT,
        coordinate_transformation_mode="half_pixel", mode="avg", output_height=size[0], output_width=size[1],
        sampling_ratio=samples, spatial_scale=scale,
    )  # fmt: skip
    ours = roi_align(*map(torch.from_numpy, (features, boxes, image)), size, scale, wrap=False, samples=samples)
    np.testing.assert_allclose(ours.numpy(), theirs, atol=2e-5)


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.7])
def test_suppression_is_that_of_onnx_runtime(threshold: float) -> None:
    generator = np.random.default_rng(int(10 * threshold))
    boxes, scores = random_boxes(generator, 200, 64, 48), generator.permutation(200).astype(np.float32) / 200
    theirs = run_operator(
        "NonMaxSuppression",
        {
            "boxes": boxes[None, :, [1, 0, 3, 2]],
            "scores": scores[None, None],
            "most": np.array(200),
            "overlap": np.float32(threshold).reshape(1),
        },
        onnx.TensorProto.INT64,
    )[:, 2]
    ours = suppress(torch.from_numpy(boxes), torch.from_numpy(scores), threshold).numpy()
    assert 10 < len(ours) < 200
    np.testing.assert_array_equal(ours, theirs)
