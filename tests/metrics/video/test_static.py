"""Static masks are judged as torchmetrics judges classes, and "cannot tell" is neither free nor hidden."""

import numpy as np
import pytest
import torch
from torchmetrics.functional.classification import binary_f1_score, binary_precision, binary_recall

from metrics.video.static import CANNOT_TELL, MOVING, STATIC, static_figures


@pytest.mark.parametrize("seed", range(4))
def test_they_are_those_of_torchmetrics(seed: int) -> None:
    generator = np.random.default_rng(seed)
    said, moving = generator.integers(0, 3, 400), generator.random(400) < 0.3
    found = static_figures(said, moving)
    static, told = torch.from_numpy(~moving), torch.from_numpy(said != CANNOT_TELL)
    as_static, as_moving = torch.from_numpy(said == STATIC), torch.from_numpy(said == MOVING)
    assert found["static_f1"] == pytest.approx(float(binary_f1_score(as_static.int(), static.int())), abs=1e-6)
    assert found["static_f1_told"] == pytest.approx(float(binary_f1_score(as_static[told].int(), static[told].int())), abs=1e-6)
    assert found["moving_recall"] == pytest.approx(float(binary_recall(as_moving.int(), (~static).int())), abs=1e-6)
    assert found["moving_precision"] == pytest.approx(float(binary_precision(as_moving.int(), (~static).int())), abs=1e-6)
    assert found["cannot_tell"] == (said == CANNOT_TELL).mean()


def test_who_tells_nothing_gains_nothing() -> None:
    moving = np.array([True, False, False, False])
    nothing = static_figures(np.full(4, CANNOT_TELL), moving)
    assert (nothing["static_f1"], nothing["moving_recall"], nothing["cannot_tell"]) == (0, 0, 1)
    assert np.isnan(nothing["static_f1_told"])
    careful = static_figures(np.array([CANNOT_TELL, STATIC, STATIC, CANNOT_TELL]), moving)
    assert (careful["static_f1"], careful["static_f1_told"], careful["cannot_tell"]) == (pytest.approx(0.8), 1, 0.5)


def test_the_truth_is_without_fault_and_weights_are_shares() -> None:
    moving = np.array([[True, False], [False, False]])
    perfect = static_figures(np.where(moving, MOVING, STATIC), moving)
    assert list(perfect.values()) == [1, 1, 1, 1, 0]
    said = np.array([[STATIC, STATIC], [STATIC, MOVING]])
    weighted = static_figures(said, moving, np.array([[2.0], [1.0]]))
    repeated = static_figures(np.concatenate([said[:1], said]), np.concatenate([moving[:1], moving]))
    assert weighted == pytest.approx(repeated, nan_ok=True)
