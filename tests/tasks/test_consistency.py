"""Consistency of a panorama against a sum over its pixels, and the threshold."""

import math

import numpy as np
import pytest

from tasks.block import BadItem
from tasks.consistency import item_consistency, require_consistency, task_consistencies


def some_labels(seed: int = 0, height: int = 6) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(seed)
    shape = (height, 2 * height)
    labels = {"views": generator.integers(0, 4, shape).astype(np.uint8)}
    for task, measure in (
        ("depth", "depth_consistency"),
        ("normals", "normals_agreement"),
        ("semantics", "semantics_confidence"),
    ):
        labels[f"{task}_valid"] = generator.random(shape) < 0.7
        labels[measure] = generator.integers(0, 256, shape).astype(np.uint8)
    return labels


def by_hand(labels: dict[str, np.ndarray], task: str, measure: str) -> float:
    total = weights = 0.0
    height = len(labels["views"])
    for (row, column), value in np.ndenumerate(labels[measure]):
        if labels[f"{task}_valid"][row, column] and labels["views"][row, column] > 1:
            weight = math.cos(math.pi * (0.5 - (row + 0.5) / height))
            total, weights = total + weight * int(value) / 255, weights + weight
    return total / weights


def test_it_is_the_mean_over_tasks_of_the_mean_over_the_sphere_where_views_meet() -> None:
    labels = some_labels()
    found = task_consistencies(labels)
    assert found == pytest.approx(
        {
            "depth": by_hand(labels, "depth", "depth_consistency"),
            "normals": by_hand(labels, "normals", "normals_agreement"),
            "semantics": by_hand(labels, "semantics", "semantics_confidence"),
        }
    )
    assert item_consistency(labels) == pytest.approx(sum(found.values()) / 3)


def test_nothing_to_compare_is_no_disagreement() -> None:
    labels = {**some_labels(), "views": np.ones((6, 12), np.uint8)}
    assert item_consistency(labels) is None
    require_consistency(labels, {}, 1.0)


def test_too_little_agreement_gives_the_item_up_with_the_number() -> None:
    labels = some_labels(1)
    found = item_consistency(labels)
    assert found is not None
    require_consistency(labels, {}, found)
    require_consistency(labels, {"consistency": 0.95}, 0.9)
    with pytest.raises(BadItem, match=rf"^views disagree: consistency {found:.4f} is below fuse.min_consistency 0.9 \(depth 0"):
        require_consistency(labels, {}, 0.9)
