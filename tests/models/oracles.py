"""What fields must look like, by PIL and NumPy: no code is shared with the adapters."""

import numpy as np
from PIL import Image


def resized(values: np.ndarray, height: int, width: int) -> np.ndarray:
    """(H, W[, C]) resized by PIL in floating point: bilinear with half-pixel centres, averaging where it shrinks."""
    channels = np.atleast_3d(values).astype(np.float32)
    planes = [Image.fromarray(channels[..., index]) for index in range(channels.shape[2])]
    stacked = np.stack([np.asarray(plane.resize((width, height), Image.Resampling.BILINEAR)) for plane in planes], axis=-1)
    return stacked if values.ndim == 3 else stacked[..., 0]


def softmax(logits: np.ndarray) -> np.ndarray:
    """Over the last axis, in float64."""
    powers = np.exp(logits.astype(np.float64) - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def best_classes(probabilities: np.ndarray, count: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Indices and probabilities (h, w, count) of the best classes of (h, w, C), best first."""
    order = np.argsort(-probabilities, axis=-1, kind="stable")[..., :count]
    return order, np.take_along_axis(probabilities, order, axis=-1)


def assert_semantics(field, probabilities: np.ndarray, share: float = 1.0) -> None:
    """The field says the best classes of (N, h, w, C) in at least a ``share`` of the pixels; ties may go either way."""
    classes, shares = best_classes(probabilities)
    assert field.values.dtype == np.uint16
    assert field.confidence.dtype == np.float32
    said = np.take_along_axis(probabilities, field.values.astype(np.int64), axis=-1)
    for values in (field.confidence, said):
        assert np.isclose(values, shares, atol=1e-3).mean() >= share
    assert (field.values[..., 0] == classes[..., 0]).mean() > 0.98 * share
    assert field.valid.all()
