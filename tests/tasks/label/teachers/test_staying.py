"""What a teacher says of a panorama is the same whether it stays on the device or comes back as arrays."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from geometry.device.fields import DeviceField
from geometry.fields import Field, canonical
from geometry.layouts import icosahedron
from models.teachers import load_teacher
from tasks.ingest.observed import share
from tasks.label.teachers.looking import Patches, look_at_observed
from tasks.label.teachers.staying import look_on_device, said_validly, valid_share
from tasks.stage.job import BadItem

WANTED = ("depth", "normals", "semantics", "sky")
CAMERAS = icosahedron(32)


@pytest.fixture(scope="module")
def teacher() -> Any:
    return load_teacher("transformers", {"model": "demo"}, "cpu")


def patches(observed: np.ndarray | None = None) -> Patches:
    pixels = np.random.default_rng(0).integers(0, 256, (len(CAMERAS), 32, 32, 3), np.uint8)
    return Patches(pixels, CAMERAS, observed)


def partly() -> np.ndarray:
    """Half of the views show nothing that was photographed, and the others half of it."""
    observed = np.zeros((len(CAMERAS), 32, 32), bool)
    observed[::2, :, :16] = True
    return observed


def as_array(field: DeviceField) -> Field:
    trust = None if field.confidence is None else field.confidence.numpy()
    return Field(field.name, field.values.float().numpy(), field.valid.numpy().view(bool), field.unit, field.frame, trust)


@pytest.mark.parametrize("observed", [None, partly()], ids=["whole", "partly"])
def test_fields_and_shares_are_those_of_arrays(teacher: Any, observed: np.ndarray | None) -> None:
    looked = patches(observed)
    wanted = look_at_observed(teacher, looked, {"item": "x"}, WANTED, 6)
    found = look_on_device(teacher, looked, WANTED, 6)
    assert found.keys() == wanted.keys()
    for name, field in wanted.items():
        np.testing.assert_array_equal(said_validly(found[name]).numpy(), field.valid)
        assert valid_share(found[name], observed) == pytest.approx(share(field.valid, observed), abs=1e-9)
        own = canonical(as_array(found[name]), CAMERAS) if name in ("depth", "normals") else as_array(found[name])
        shape = (..., None) if field.values.ndim == 4 else ...
        tolerance = 2e-3 if name == "sky" else 0  # probabilities are in float16 already
        np.testing.assert_allclose(own.values * field.valid[shape], field.values * field.valid[shape], atol=tolerance)
        if field.confidence is not None:
            assert own.confidence is not None
            np.testing.assert_array_equal(own.confidence * field.valid[shape], field.confidence * field.valid[shape])


def test_what_shows_nothing_is_given_up(teacher: Any) -> None:
    with pytest.raises(BadItem, match="no view shows a pixel that was photographed"):
        look_on_device(teacher, patches(np.zeros((len(CAMERAS), 32, 32), bool)), WANTED, 6)


class Wrong:
    """Says what no teacher may say."""

    classes = ("a", "b")

    def __init__(self, said: dict[str, Any]) -> None:
        self.said = said

    def on_device(self, pixels: np.ndarray, cameras: Any) -> list[dict[str, Any]]:
        return [
            {
                name: replace(one, values=one.values[: len(cameras)], valid=one.valid[: len(cameras)])
                for name, one in self.said.items()
            }
        ]


def depth(values: torch.Tensor, valid: bool = True) -> Any:
    return Field("depth", values, torch.full(values.shape, valid), "metre", "axis")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("said", "error", "message"),
    [
        ({}, ValueError, r"does not give \['depth'\]"),
        ({"depth": depth(torch.ones(20, 32, 30))}, ValueError, "has the shape"),
        ({"depth": depth(torch.ones(20, 32, 32), valid=False)}, BadItem, "has no valid pixel in any view"),
    ],
)
def test_what_no_teacher_may_say_is_refused(said: dict, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        look_on_device(Wrong(said), patches(), ("depth",), 6)


def test_classes_without_a_name_are_refused() -> None:
    numbers: Any = torch.full((20, 32, 32, 1), 2, dtype=torch.uint16)
    there: Any = torch.ones(20, 32, 32, dtype=torch.bool)
    said = Field("semantics", numbers, there, "class", confidence=None)
    with pytest.raises(ValueError, match="says class 2, but its vocabulary names 2"):
        look_on_device(Wrong({"semantics": said}), patches(), ("semantics",), 6)
