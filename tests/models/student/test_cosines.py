"""Cosines between tasks' gradients: known cases, and what truncation does to them."""

import pytest
import torch

from models.student.cosines import gradient_cosines, task_losses
from tests.models.student.support import images, student


def test_terms_are_summed_by_task():
    terms = {"depth": 1.0, "depth.edge": 2.0, "preliminary.depth": 4.0, "semantics.dice": 8.0, "preliminary.image_gradient": 16.0}
    assert task_losses({k: torch.tensor(v) for k, v in terms.items()}) == {"depth": 7, "semantics": 8, "image_gradient": 16}


def losses(model):
    output = model(images())
    return {"depth": output.depth.mean(), "normals": output.normals[:, 1].mean(), "semantics": output.semantics[:, 0].mean()}


def test_cosines_are_those_of_whole_gradients():
    model = student("convnext")
    found = gradient_cosines(model, losses(model))
    flat = {}
    for task in ("depth", "semantics"):
        model.zero_grad(set_to_none=True)
        losses(model)[task].backward()
        group = [p for name, p in model.named_parameters() if name.startswith("streams.invariant.")]
        flat[task] = torch.cat([p.grad.flatten() for p in group])
    expected = flat["depth"] @ flat["semantics"] / flat["depth"].norm() / flat["semantics"].norm()
    assert found["streams.invariant/depth~semantics"] == pytest.approx(float(expected), abs=1e-4)


def test_the_same_loss_agrees_with_itself_and_opposes_its_negative():
    model = student("convnext")
    depth = model(images()).depth.mean()
    found = gradient_cosines(model, {"a": depth, "b": 3 * depth, "c": -depth})
    assert found["backbone/a~b"] == pytest.approx(1, abs=1e-5)
    assert found["backbone/a~c"] == pytest.approx(-1, abs=1e-5)
    depth.backward()  # the graph is still there


@pytest.mark.parametrize("truncation", ["none", "both"])
def test_with_truncation_streams_have_nothing_in_common_to_compare(truncation):
    model = student("convnext", truncation=truncation)
    found = gradient_cosines(model, losses(model))
    crossed = {name for name in found if name.startswith("streams") and "normals" in name}
    assert bool(crossed) == (truncation == "none")
    assert "backbone/depth~normals" in found
