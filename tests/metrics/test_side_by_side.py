"""Figures of peers' protocols are those of their equations, written down anew in plain NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from metrics.panorama import evaluate_item, other_figures
from metrics.protocols import PROTOCOLS
from metrics.side_by_side import protocol_rows

HEIGHT, WIDTH = 32, 64
Array = NDArray[np.float64]


def panorama(seed: int) -> tuple[dict[str, NDArray], dict[str, NDArray]]:
    """Labels and truth: distances from 0.2 to 90 m, predicted with a bend, a factor and noise; not all of it is known."""
    generator = np.random.default_rng(seed)
    true = np.exp(generator.uniform(np.log(0.2), np.log(90), (HEIGHT, WIDTH)))
    said = 0.6 * true**0.9 * np.exp(generator.normal(0, 0.2, true.shape)) + 0.3
    normals = generator.normal(size=(HEIGHT, WIDTH, 3))
    turned = normals + generator.normal(0, 0.4, normals.shape)
    unit = [vectors / np.linalg.norm(vectors, axis=-1, keepdims=True) for vectors in (turned, normals)]
    full = np.full(true.shape, 255, np.uint8)
    valid, known = generator.random((2, HEIGHT, WIDTH)) > 0.1
    labels = {"depth": said, "depth_valid": valid, "depth_consistency": full}
    labels |= {"normals": unit[0], "normals_valid": valid, "normals_agreement": full}
    truth = {"depth": true, "depth_valid": known, "normals": unit[1], "normals_valid": known}
    return labels, truth


def told(said: Array, true: Array) -> dict[str, float]:
    ratio = np.maximum(said / true, true / said)
    relative, squared = np.abs(said - true) / true, (said - true) ** 2
    return {"depth.abs_rel": relative.mean(), "depth.rmse": squared.mean() ** 0.5, "depth.delta1": (ratio < 1.25).mean()}


def pager(said: Array, true: Array) -> dict[str, float]:
    inside = (true > 0.0101) & (true < 74.25)
    return told(said[inside], true[inside])


def pager_scale(said: Array, true: Array) -> dict[str, float]:
    inside = (true > 0.0101) & (true < 74.25)
    said, true = said[inside], true[inside]
    return told(said * (said @ true) / (said @ said), true)


def da2(said: Array, true: Array) -> dict[str, float]:
    return told(said * np.median(true) / np.median(said), true)


def da2_5m(said: Array, true: Array) -> dict[str, float]:
    inside = (true > 0.001) & (true < 5)
    said, true = said[inside], true[inside]
    return told(np.clip(said * np.median(true) / np.median(said), 0.001, 5), true)


def moge_scale(said: Array, true: Array) -> dict[str, float]:
    # A piecewise linear function is least at one of its corners: all are tried.
    corners = true / said
    loss = [(np.abs(corner * said - true) / true).sum() for corner in corners]
    return told(said * corners[np.argmin(loss)], true)


def moge_disparity(said: Array, true: Array) -> dict[str, float]:
    (scale, shift), *_ = np.linalg.lstsq(np.stack([1 / said, np.ones_like(said)], axis=1), 1 / true, rcond=None)
    return told(1 / np.maximum(scale / said + shift, 1 / true.max()), true)


ORACLES = {
    "pager_metric": pager,
    "pager_scale": pager_scale,
    "da2": da2,
    "da2_5m": da2_5m,
    "moge_metric": told,
    "moge_scale": moge_scale,
    "moge_disparity": moge_disparity,
}


@pytest.mark.parametrize("name", ORACLES)
def test_depth_is_that_of_the_peers_equations(name: str) -> None:
    labels, truth = panorama(3)
    both = labels["depth_valid"] & truth["depth_valid"]
    expected = ORACLES[name](labels["depth"][both], truth["depth"][both])
    found = other_figures(labels, truth, {name: PROTOCOLS[name]})[name]
    shown = {key: value for key, value in expected.items() if key in PROTOCOLS[name].figures}
    assert {key: value for key, value in found.items() if key.startswith("depth.")} == pytest.approx(shown, rel=1e-9)


def test_normals_are_those_of_pixels_alike() -> None:
    labels, truth = panorama(5)
    both = labels["normals_valid"] & truth["normals_valid"]
    angles = np.degrees(np.arccos((labels["normals"][both] * truth["normals"][both]).sum(axis=-1)))
    found = other_figures(labels, truth, {"pager_metric": PROTOCOLS["pager_metric"]})["pager_metric"]
    assert found["normals.mean"] == pytest.approx(angles.mean(), rel=1e-6)
    assert found["normals.within_5"] == pytest.approx((angles < 5).mean())
    assert found["normals.within_22_5"] == pytest.approx((angles < 22.5).mean())


def test_a_row_of_each_protocol_over_the_panoramas() -> None:
    names = ["panolabel", "pager_metric", "moge_scale", "seams"]
    items = []
    for seed in (1, 2):
        labels, truth = panorama(seed)
        own = evaluate_item(labels, truth, [], [], PROTOCOLS["panolabel"])
        others = {name: PROTOCOLS[name] for name in names[1:]}
        items.append({**own, "protocols": other_figures(labels, truth, others)})
    ours, theirs, moge, seams = protocol_rows(items, names)
    assert [row["protocol"] for row in (ours, theirs, moge, seams)] == names
    assert ours["figures"]["depth.abs_rel"] == pytest.approx(np.mean([item["depth"]["abs_rel"] for item in items]))
    assert ours["figures"]["depth.abs_rel"] != pytest.approx(theirs["figures"]["depth.abs_rel"], rel=1e-3)
    severity = np.mean([item["seams"]["seam_severity"] for item in items])
    assert theirs["figures"]["seams.seam_severity"] == seams["figures"]["seams.seam_severity"] == pytest.approx(severity)
    assert not {"depth.rmse", "normals.mean", "seams.seam_severity"} & moge["figures"].keys(), "MoGe reports none of them"
    assert not any(key.startswith(("depth.", "normals.")) for key in seams["figures"])


def test_without_truth_there_are_only_seams() -> None:
    labels, _ = panorama(1)
    own = evaluate_item(labels, {}, [], [], PROTOCOLS["panolabel"])
    rows = protocol_rows(
        [{**own, "protocols": other_figures(labels, {}, {"da2": PROTOCOLS["da2"]})}], ["panolabel", "da2", "seams"]
    )
    assert [row["panoramas"] for row in rows] == [1, 0, 1]
    assert set(rows[1]["figures"].values()) == {None}


def test_a_panorama_fails_for_want_of_labels_and_not_of_truth() -> None:
    labels, truth = panorama(1)
    nowhere = np.zeros((HEIGHT, WIDTH), bool)
    rows = {}
    for name, said, known in (
        ("good", labels["depth_valid"], ~nowhere),
        ("blind", nowhere, ~nowhere),
        ("void", ~nowhere, nowhere),
    ):
        item = evaluate_item(labels | {"depth_valid": said}, truth | {"depth_valid": known}, [], [], PROTOCOLS["moge_metric"])
        rows[name] = protocol_rows([item], ["moge_metric"])[0]
    assert {name: (row["panoramas"], row["failures"]) for name, row in rows.items()} == {
        "good": (1, 0),
        "blind": (0, 1),
        "void": (0, 0),
    }
    item = evaluate_item(labels | {"depth_valid": nowhere}, {}, [], [], PROTOCOLS["panolabel"])
    assert protocol_rows([item], ["moge_metric"], given_up=2)[0]["failures"] == 2, "without truth there is nothing to fail"
