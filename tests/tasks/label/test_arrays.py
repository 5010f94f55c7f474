"""Fields as stored arrays: the bytes of the plain definition, whatever a teacher says."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from geometry.fields import Field
from tasks.label.arrays import STORED, encode_fields

SHAPE = (3, 12, 17)
BAD = np.array([np.nan, np.inf, -np.inf, -0.0, 1e6, 1e-9], np.float32)


def plain_values(field: Field) -> tuple[NDArray, NDArray]:
    """Values and validity as ``encode_fields`` first wrote them, whole arrays at once."""
    values = field.values.astype(np.float32 if field.unit == "inverse" else STORED[field.name])
    finite = np.isfinite(values) if values.ndim == 3 else np.isfinite(values).all(axis=-1)
    zeroed = np.where(finite if values.ndim == 3 else finite[..., None], values, 0).astype(values.dtype)
    return zeroed, field.valid & finite


def plain_confidence(confidence: NDArray) -> NDArray:
    steps = np.round(np.clip(np.nan_to_num(confidence), 0, 1) * 255).astype(np.uint8)
    first = (..., 0) if confidence.ndim == 4 else ...
    steps[first] = np.maximum(steps[first], confidence[first] > 0)
    return steps


def said(name: str, spoiled: bool) -> Field:
    """What a teacher may say, with or without numbers that cannot be stored."""
    generator = np.random.default_rng(0)
    unit, channels = {
        "depth": ("inverse", ()), "normals": ("unit", (3,)), "sky": ("probability", ()), "semantics": ("class", (3,)),
    }[name]  # fmt: skip
    values = generator.normal(size=(*SHAPE, *channels)).astype(np.float32)
    confidence = generator.uniform(-0.1, 1.1, (*SHAPE, *channels)).astype(np.float32)
    if spoiled:
        values.ravel()[: 4 * len(BAD) : 4] = confidence.ravel()[: 4 * len(BAD) : 4] = BAD
    if name == "semantics":
        values = generator.integers(0, 150, values.shape).astype(np.uint16)
    frame = {"depth": "ray", "normals": "world"}.get(name, "-")
    return Field(name, values, generator.random(SHAPE) > 0.1, unit, frame, confidence)


@pytest.mark.filterwarnings("ignore:overflow encountered in cast")
@pytest.mark.parametrize("spoiled", [False, True])
@pytest.mark.parametrize("name", ["depth", "normals", "sky", "semantics"])
def test_every_byte_is_that_of_the_plain_definition(name: str, spoiled: bool) -> None:
    field = said(name, spoiled)
    found = encode_fields({name: field})
    values, valid = plain_values(field)
    for array, expected in ((found[name], values), (found[f"{name}_valid"], valid)):
        assert array.dtype == expected.dtype
        np.testing.assert_array_equal(array.view(np.uint8), expected.view(np.uint8))
    assert field.confidence is not None
    np.testing.assert_array_equal(found[f"{name}_confidence"], plain_confidence(field.confidence))
    assert np.array_equal(valid, field.valid) == (not spoiled or name == "semantics")
