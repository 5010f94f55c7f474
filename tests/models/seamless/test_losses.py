"""The uncertainty-guided loss against its closed form in float64, values and gradients."""

import numpy as np
import pytest
import torch

from models.seamless.losses import anchor_distance, uncertainty_guided_bce


def closed_form(logits: np.ndarray, certain: np.ndarray, uncertain: np.ndarray) -> tuple[float, np.ndarray]:
    """Loss and its gradient, -t log s(x) - (1 - t) log s(-x) with log s(x) = -log(1 + exp(-x))."""
    bce = certain * np.logaddexp(0, -logits) + (1 - certain) * np.logaddexp(0, logits)
    gradient = (1 - uncertain) * (1 / (1 + np.exp(-logits)) - certain) / logits.size
    return float(((1 - uncertain) * bce).mean()), gradient


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-6)])
def test_value_and_gradient_are_those_of_the_closed_form(dtype: torch.dtype, tolerance: float) -> None:
    generator = np.random.default_rng(0)
    logits = generator.normal(0, 5, (3, 28, 28))
    logits[0, 0, :2] = -300, 300
    certain = (generator.random(logits.shape) < 0.4).astype(np.float64)
    uncertain = np.where(certain > 0, 0, generator.integers(0, 3, logits.shape) / 2)
    given = torch.tensor(logits, dtype=dtype, requires_grad=True)
    loss = uncertainty_guided_bce(given, torch.tensor(certain), torch.tensor(uncertain))
    loss.backward()
    value, gradient = closed_form(logits, certain, uncertain)
    assert loss.item() == pytest.approx(value, rel=tolerance)
    np.testing.assert_allclose(given.grad.numpy(), gradient, atol=tolerance)


def test_nothing_is_learned_of_uncertain_pixels_or_of_no_masks() -> None:
    logits = torch.randn(2, 4, 4, generator=torch.Generator().manual_seed(0), requires_grad=True)
    uncertain = torch.zeros(2, 4, 4, dtype=torch.bool)
    uncertain[:, 1:3] = True
    uncertainty_guided_bce(logits, torch.zeros(2, 4, 4, dtype=torch.bool), uncertain).backward()
    assert (logits.grad[uncertain] == 0).all()
    assert (logits.grad[~uncertain] > 0).all()
    nobody = torch.zeros(0, 4, 4, requires_grad=True)
    loss = uncertainty_guided_bce(nobody, nobody.detach(), torch.zeros(0, 4, 4))
    loss.backward()
    assert loss.item() == 0


def test_the_anchor_adds_up_a_mean_square_for_each_tensor() -> None:
    weights = [torch.tensor([1.0, 3.0], requires_grad=True), torch.tensor([[2.0]], requires_grad=True)]
    loss = anchor_distance(weights, [torch.tensor([1.0, 1.0]), torch.tensor([[-1.0]])])
    assert loss.item() == pytest.approx(2**2 / 2 + 3**2)
    loss.backward()
    assert weights[0].grad.tolist() == [0, 2]
    assert weights[1].grad.tolist() == [[6]]
