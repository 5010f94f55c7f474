"""Depth figures against hand-worked numbers and closed forms; alignments against NumPy's least squares."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchmetrics import MeanAbsoluteError, MeanAbsolutePercentageError, MeanSquaredError

from metrics.depth import ALIGNMENTS, NAMES, NEAREST, align, depth_figures, depth_from_sums, depth_sums


def scene(seed: int, shape: tuple[int, int] = (8, 16)):
    generator = np.random.default_rng(seed)
    truth = generator.uniform(0.5, 10, shape)
    prediction = truth * generator.uniform(0.6, 1.5, shape)
    return prediction, truth, generator.random(shape) < 0.8, generator.uniform(0.1, 1, shape)


def test_hand_worked_figures():
    truth = np.array([1.0, 2.0, 4.0, 5.0])
    prediction = np.array([1.25, 1.0, 4.0, 99.0])  # the ratio 1.25 exactly is not below 1.25; the last pixel is not valid
    figures = depth_figures(prediction, truth, np.array([True, True, True, False]), np.array([1.0, 1.0, 2.0, 1.0]))
    assert figures["abs_rel"] == pytest.approx((0.25 + 0.5) / 4)
    assert figures["rmse"] == pytest.approx(np.sqrt((0.0625 + 1) / 4))
    assert figures["log10"] == pytest.approx((np.log10(1.25) + np.log10(2)) / 4)
    assert figures["delta1"] == pytest.approx(2 / 4)
    assert figures["delta2"] == figures["delta3"] == pytest.approx(3 / 4)  # 1.25^3 = 1.953 < 2


def test_perfect_prediction():
    _, truth, valid, weights = scene(0)
    figures = depth_figures(truth, truth, valid, weights)
    assert list(figures.values()) == pytest.approx([0, 0, 0, 1, 1, 1])


def test_uniform_weights_give_the_plain_mean():
    prediction, truth, valid, _ = scene(1)
    figures = depth_figures(prediction, truth, valid, np.full(truth.shape, 0.37))
    assert figures["abs_rel"] == pytest.approx((np.abs(prediction - truth) / truth)[valid].mean())
    assert figures["rmse"] == pytest.approx(np.sqrt(((prediction - truth) ** 2)[valid].mean()))


@pytest.mark.parametrize("bad", [np.nan, np.inf, 0.0, -1.0])
def test_unusable_pixels_do_not_count(bad):
    prediction, truth, valid, weights = scene(2)
    spoilt = np.where(valid, prediction, bad)
    assert depth_figures(spoilt, truth, np.ones_like(valid), weights) == depth_figures(prediction, truth, valid, weights)
    assert depth_figures(np.full_like(truth, bad), truth, valid, weights) == dict.fromkeys(NAMES)


def test_empty_mask_gives_none():
    prediction, truth, valid, weights = scene(3)
    nothing = np.zeros_like(valid)
    assert depth_figures(prediction, truth, nothing, weights) == dict.fromkeys(NAMES)
    np.testing.assert_array_equal(align(prediction, truth, nothing, weights, "scale"), prediction)


@pytest.mark.parametrize("alignment", ["scale", "scale_and_shift"])
def test_alignments_are_weighted_least_squares(alignment):
    prediction, truth, valid, weights = scene(4)
    columns = [prediction[valid]] + ([np.ones(valid.sum())] if alignment == "scale_and_shift" else [])
    root = np.sqrt(weights[valid])
    solution = np.linalg.lstsq(np.stack(columns, 1) * root[:, None], truth[valid] * root, rcond=None)[0]
    expected = prediction * solution[0] + (solution[1] if len(solution) == 2 else 0)
    np.testing.assert_allclose(align(prediction, truth, valid, weights, alignment), expected, rtol=1e-9)


def test_median_alignment_matches_the_medians():
    prediction, truth, valid, weights = scene(5)
    aligned = align(prediction, truth, valid, weights, "median")
    assert np.median(aligned[valid]) == pytest.approx(np.median(truth[valid]))


@given(factor=st.floats(1e-2, 1e2), alignment=st.sampled_from(["scale", "scale_and_shift", "median"]))
@settings(max_examples=40, deadline=None)
def test_aligned_figures_do_not_depend_on_scale(factor, alignment):
    prediction, truth, valid, weights = scene(6)
    one, other = (
        depth_figures(align(said, truth, valid, weights, alignment), truth, valid, weights)
        for said in (prediction, prediction * factor)
    )
    assert one["abs_rel"] == pytest.approx(other["abs_rel"], rel=1e-6)
    assert one["rmse"] == pytest.approx(other["rmse"], rel=1e-6)


def test_a_fit_below_zero_still_counts():
    prediction = np.array([1.0, 9.0, 10.0, 10.0])
    truth = np.array([0.1, 0.2, 10.0, 20.0])
    everything, weights = np.ones(4, bool), np.ones(4)
    slope, intercept = np.polyfit(prediction, truth, 1)
    assert slope + intercept < 0  # the case is what it claims to be
    aligned = align(prediction, truth, everything, weights, "scale_and_shift")
    assert aligned[0] == NEAREST
    counted = depth_figures(aligned, truth, everything, weights)["abs_rel"]
    assert counted == pytest.approx(np.mean(np.abs(np.maximum(slope * prediction + intercept, NEAREST) - truth) / truth))


def test_constant_prediction_shifts_to_the_mean():
    truth = np.array([1.0, 2.0, 6.0])
    aligned = align(np.full(3, 5.0), truth, np.ones(3, bool), np.ones(3), "scale_and_shift")
    np.testing.assert_allclose(aligned, 3.0)


def test_figures_match_torchmetrics():
    prediction, truth, valid, weights = scene(7)
    figures = depth_figures(prediction, truth, valid, np.ones_like(weights))
    said, true = torch.from_numpy(prediction[valid]), torch.from_numpy(truth[valid])
    assert figures["abs_rel"] == pytest.approx(float(MeanAbsolutePercentageError()(said, true)))
    assert figures["rmse"] == pytest.approx(float(MeanSquaredError(squared=False)(said, true)))
    assert figures["log10"] == pytest.approx(float(MeanAbsoluteError()(said.log10(), true.log10())))


def test_added_sums_pool_the_pixels():
    one, other = scene(8), scene(9, (4, 8))
    sums = [depth_sums(*arrays) for arrays in (one, other)]
    pooled = depth_from_sums({name: sums[0][name] + sums[1][name] for name in sums[0]})
    together = [np.concatenate([a.ravel(), b.ravel()]) for a, b in zip(one, other)]
    assert pooled == pytest.approx(depth_figures(*together))


def test_pixels_of_no_weight_are_no_pixels():
    prediction, truth, valid, weights = scene(10)
    nothing = np.zeros_like(weights)
    assert depth_figures(prediction, truth, valid, nothing) == dict.fromkeys(NAMES)
    for alignment in ALIGNMENTS:
        np.testing.assert_array_equal(align(prediction, truth, valid, nothing, alignment), prediction)
