"""Figures of whole panoramas, and of many together."""

import json

import numpy as np
import pytest

from metrics.depth import depth_figures
from metrics.normals import normal_figures
from metrics.panorama import evaluate_item
from metrics.protocols import protocol_named
from metrics.summary import pooled_figures, summarise

CLASSES = ["sky", "floor", "wall"]
HEIGHT, WIDTH = 32, 64


def truth_of(seed: int = 0):
    generator = np.random.default_rng(seed)
    sky = np.zeros((HEIGHT, WIDTH), bool)
    sky[:6] = True
    normals = generator.normal(size=(HEIGHT, WIDTH, 3))
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    depth = generator.uniform(1, 8, sky.shape)
    return {
        "depth": np.where(sky, 0, depth).astype(np.float32),
        "normals": np.where(sky[..., None], 0, normals).astype(np.float32),
        "semantics": np.where(sky, 0, generator.integers(1, 3, sky.shape)).astype(np.uint8),
        "sky": sky,
    }


def labels_of(truth, factor: float = 1.0):
    full = np.full(truth["sky"].shape, 255, np.uint8)
    return {
        "depth": truth["depth"] * np.float32(factor),
        "depth_valid": ~truth["sky"],
        "depth_consistency": full,
        "normals": truth["normals"],
        "normals_valid": ~truth["sky"],
        "normals_agreement": full,
        "semantics": truth["semantics"],
        "semantics_valid": np.ones_like(truth["sky"]),
        "semantics_confidence": full,
        "sky": truth["sky"],
        "views": full,
    }


def evaluate(labels, truth, protocol="panolabel", classes=CLASSES):
    return evaluate_item(labels, truth, classes, CLASSES, protocol_named(protocol))


def test_perfect_labels():
    truth = truth_of()
    figures = evaluate(labels_of(truth), truth)
    assert figures["depth"]["abs_rel"] == 0
    assert figures["depth"]["delta1"] == pytest.approx(1)
    assert figures["normals"]["mean"] == pytest.approx(0, abs=1e-4)
    assert figures["semantics"]["miou"] == pytest.approx(1)
    assert figures["coverage"]["depth_consistency"] == pytest.approx(1)
    assert figures["depth"]["bands"].keys() == {"0-30", "30-60", "60-75", "75-90"}
    json.dumps(figures, allow_nan=False)


def test_coverage_is_a_share_of_the_sphere():
    truth = truth_of()
    # The upper six of 32 rows are sky: the cap above latitude 90 - 6 * 180 / 32 degrees.
    cap = (1 - np.sin(np.radians(90 - 6 * 180 / 32))) / 2
    coverage = evaluate(labels_of(truth), truth)["coverage"]
    assert coverage["sky"] == pytest.approx(cap, rel=1e-2)
    assert coverage["depth"] == pytest.approx(1 - cap, rel=1e-3)
    assert evaluate(labels_of(truth), truth, "unweighted")["coverage"]["sky"] == pytest.approx(6 / 32)


def test_consistency_is_of_pixels_that_two_views_see():
    truth = truth_of()
    labels = labels_of(truth)
    single = np.zeros_like(truth["sky"])
    single[:, : WIDTH // 2] = True
    labels["views"] = np.where(single, 1, 3).astype(np.uint8)
    labels["depth_consistency"] = np.where(single, 0, 102).astype(np.uint8)
    assert evaluate(labels, truth)["coverage"]["depth_consistency"] == pytest.approx(0.4)


@pytest.mark.parametrize("protocol", ["pager_scale", "pager_scale_and_shift", "da2", "panolabel_scale"])
def test_alignment_forgives_scale_and_metric_does_not(protocol):
    truth = truth_of()
    labels = labels_of(truth, 1.5)
    assert evaluate(labels, truth)["depth"]["abs_rel"] == pytest.approx(0.5, rel=1e-5)
    assert evaluate(labels, truth, protocol)["depth"]["abs_rel"] == pytest.approx(0, abs=1e-5)


def test_band_figures_are_of_their_rows_only():
    truth = truth_of()
    labels = labels_of(truth)
    latitude = np.abs(90 - (np.arange(HEIGHT) + 0.5) * 180 / HEIGHT)
    labels["depth"] = np.where(latitude[:, None] < 30, truth["depth"] * 1.2, truth["depth"]).astype(np.float32)
    bands = evaluate(labels, truth)["depth"]["bands"]
    assert list(bands.values()) == pytest.approx([0.2, 0, 0, 0], abs=1e-6)


def test_pole_crop_and_range_leave_pixels_out():
    truth = truth_of()
    labels = labels_of(truth)
    labels["depth"] = labels["depth"].copy()
    labels["depth"][-4:] *= 3
    truth["depth"][20], labels["depth"][20] = 100, 10
    assert evaluate(labels, truth, "pager_metric")["depth"]["abs_rel"] == pytest.approx(2 * 4 / 25, rel=1e-4)
    assert evaluate(labels, truth, "pager_metric_matterport3d360")["depth"]["abs_rel"] == 0


def test_a_band_without_truth_is_none():
    truth = truth_of()
    truth["sky"] = np.abs(90 - (np.arange(HEIGHT) + 0.5) * 180 / HEIGHT)[:, None] * np.ones(WIDTH) >= 75
    figures = evaluate(labels_of(truth), truth)
    assert figures["depth"]["bands"]["75-90"] is None
    assert figures["normals"]["bands"]["75-90"] is None


def test_labels_of_another_size_are_brought_to_the_truths():
    truth = truth_of()
    small = labels_of({name: array[::2, ::2] for name, array in truth.items()})
    small["depth"] = np.where(small["depth_valid"], np.float32(3), 0).astype(np.float32)
    truth["depth"] = np.where(truth["sky"], 0, np.float32(3)).astype(np.float32)
    truth["semantics"] = np.kron(truth["semantics"][::2, ::2], np.ones((2, 2), np.uint8))
    figures = evaluate(small, truth)
    # Zeros of invalid pixels must not bleed into the rows next to them.
    assert figures["depth"]["abs_rel"] == pytest.approx(0, abs=1e-6)
    assert figures["semantics"]["pixel_accuracy"] == pytest.approx(1)


def test_vocabularies_meet_by_name():
    truth = truth_of()
    labels = labels_of(truth)
    labels["semantics"] = 2 - truth["semantics"]
    assert evaluate(labels, truth, classes=["Wall", "Floor", "Sky"])["semantics"]["miou"] == pytest.approx(1)
    assert evaluate(labels, truth, classes=["a", "b", "c"])["semantics"]["pixel_accuracy"] == 0


def test_without_truth_there_is_what_labels_say_of_themselves():
    assert evaluate(labels_of(truth_of()), {}).keys() == {"coverage", "seams"}


def test_truth_of_depth_alone():
    truth = truth_of()
    assert evaluate(labels_of(truth), {"depth": truth["depth"]}).keys() == {"coverage", "seams", "truth_seams", "depth"}


def headline(summary):
    return {row["key"]: row for row in summary["headline"]}


def test_summary_means_and_interval():
    items = [evaluate(labels_of(truth, factor), truth) for factor in (1.1, 1.2, 1.3, 1.4) for truth in [truth_of()]]
    summary = summarise(items, CLASSES)
    row = headline(summary)["depth.abs_rel"]
    assert summary["items"] == 4
    assert row["value"] == pytest.approx(0.25, rel=1e-4)
    reach = 3.182446 * np.sqrt(0.05 / 12)  # t(3), standard error of 0.1, 0.2, 0.3, 0.4
    assert (row["low"], row["high"]) == pytest.approx((0.25 - reach, 0.25 + reach), rel=1e-3)
    assert summary["bands"]["depth AbsRel"]["0-30"] == pytest.approx(0.25, rel=1e-4)
    assert {one["class"]: one["iou"] for one in summary["per_class"]} == pytest.approx(dict.fromkeys(CLASSES, 1.0))
    assert summary == summarise(items, CLASSES)
    json.dumps(summary, allow_nan=False)


def test_miou_pools_the_confusion():
    matrices = [[[4, 0, 0], [0, 1, 0]], [[0, 0, 0], [3, 1, 0]]]
    items = [
        {"coverage": {}, "semantics": {"miou": miou, "pixel_accuracy": 0.5, "bands": {}, "confusion": one}}
        for one, miou in zip(matrices, (1, 0.25))
    ]
    row = headline(summarise(items, ["floor", "wall"]))["semantics.miou"]
    assert row["over"] == "pixels"
    assert row["over_images"] == pytest.approx(0.625)
    assert row["value"] == pytest.approx((4 / 7 + 2 / 5) / 2)
    assert row["low"] <= row["value"] <= row["high"]


def test_interval_of_many_matches_the_normal_approximation():
    values = np.random.default_rng(0).normal(0.6, 0.2, 200)
    row = headline(summarise([{"coverage": {"depth": value}} for value in values], []))["coverage.depth"]
    spread = 1.96 * values.std() / np.sqrt(len(values))
    assert [row["low"], row["high"]] == pytest.approx([values.mean() - spread, values.mean() + spread], abs=0.05 * spread)


def test_intervals_end_where_their_figure_does():
    items = [{"coverage": {"depth": value}, "depth": {"abs_rel": 1 - value, "bands": {}}} for value in (1.0, 1.0, 0.7)]
    rows = {row["key"]: row for row in summarise(items, [])["figures"]}
    assert rows["coverage.depth"]["low"] == pytest.approx(0.9 - 0.1 * 4.302653)  # t(2)
    assert rows["coverage.depth"]["high"] == 1
    assert rows["depth.abs_rel"]["low"] == 0


def test_items_without_a_figure_are_left_out_of_its_mean():
    items = [{"coverage": {}, "depth": {"abs_rel": value, "bands": {"0-30": value}}} for value in (0.2, None, 0.4)]
    summary = summarise(items, [])
    assert headline(summary)["depth.abs_rel"]["value"] == pytest.approx(0.3)
    assert summary["bands"]["depth AbsRel"] == pytest.approx({"0-30": 0.3})


def test_one_item_has_no_interval_and_none_has_no_figures():
    row = headline(summarise([{"coverage": {"depth": 0.5}}], []))["coverage.depth"]
    assert (row["value"], row["low"], row["high"]) == (0.5, None, None)
    assert summarise([], CLASSES) == {"items": 0, "figures": [], "headline": [], "bands": {}, "per_class": []}


def test_pooled_figures_are_those_of_one_big_panorama():
    truths = [truth_of(seed) for seed in (0, 1)]
    spoilt = [labels_of(truth, factor) for truth, factor in zip(truths, (1.1, 1.6))]
    noise = np.random.default_rng(5)
    for labels in spoilt:
        labels["normals"] = labels["normals"] + noise.normal(scale=0.2, size=labels["normals"].shape)
        labels["depth_valid"] = labels["depth_valid"] & (noise.random(labels["depth_valid"].shape) < noise.random())
    pooled = pooled_figures([evaluate(labels, truth, "unweighted") for labels, truth in zip(spoilt, truths)])

    def both(rows, name):
        return np.concatenate([row[name] for row in rows])

    ones, sky = np.ones((2 * HEIGHT, WIDTH)), both(truths, "sky")
    depth = depth_figures(both(spoilt, "depth"), both(truths, "depth"), both(spoilt, "depth_valid"), ones)
    assert pooled["depth"] == pytest.approx(depth)
    normals = normal_figures(both(spoilt, "normals"), both(truths, "normals"), ~sky, ones)
    assert pooled["normals"].pop("median") == pytest.approx(normals.pop("median"), abs=0.25)
    assert pooled["normals"] == pytest.approx(normals)


def test_a_summary_offers_both_averages_and_names_its_own():
    truths = [truth_of(seed) for seed in (0, 1)]
    spoilt = [labels_of(truth, factor) for truth, factor in zip(truths, (1.1, 1.5))]
    spoilt[1]["depth_valid"] = np.zeros_like(truths[1]["sky"])
    spoilt[1]["depth_valid"][HEIGHT // 2, 0] = True
    items = [evaluate(labels, truth, "unweighted") for labels, truth in zip(spoilt, truths)]
    row = headline(summarise(items, CLASSES))["depth.abs_rel"]
    assert row["over"] == "images"
    assert row["value"] == row["over_images"] == pytest.approx(0.3, rel=1e-4)
    count = (HEIGHT - 6) * WIDTH
    assert row["over_pixels"] == pytest.approx((0.1 * count + 0.5) / (count + 1), rel=1e-4)
    assert {one["key"] for one in summarise(items, CLASSES)["figures"]} > {"depth.log10", "normals.rmse", "semantics.miou_union"}


def test_nothing_valid_gives_none_and_not_zero():
    truth = truth_of()
    labels = labels_of(truth)
    for name in ("depth", "normals", "semantics"):
        labels[f"{name}_valid"] = np.zeros_like(truth["sky"])
    figures = evaluate(labels, truth)
    for group, name in (("depth", "abs_rel"), ("normals", "mean"), ("semantics", "miou"), ("coverage", "depth_consistency")):
        assert figures[group][name] is None
    assert figures["coverage"]["depth"] == 0
    summary = summarise([figures, figures], CLASSES)
    assert "depth.abs_rel" not in headline(summary)
    assert "semantics.miou" not in headline(summary)
    json.dumps([figures, summary], allow_nan=False)
