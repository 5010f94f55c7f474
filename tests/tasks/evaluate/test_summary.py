"""Audits of many panoramas together, against sums by hand."""

from typing import Any

import numpy as np
import pytest

from metrics.audit.agreement import agreement_rows
from metrics.audit.attribution import COLUMNS, LEVELS
from metrics.audit.measure import rows_of
from storage.rows import ItemRow
from tasks.evaluate.summary import gather, summarise, worst_items

CLASSES = ("floor", "wall")


def row(item: str, total: float, agreement: float) -> ItemRow:
    parts = {"floor": 0.01, "teacher": total - 0.03, "way_back": 0.0, "fusion": 0.02, "total": total}
    figures = {"consistency": agreement, "tasks": {"depth": agreement}, "parts": {"abs_rel": parts}, "judged": {"depth": 0.5}}
    return ItemRow(item, "done", "", figures)


@pytest.fixture
def many() -> list[tuple[ItemRow, dict[str, Any]]]:
    generator = np.random.default_rng(0)
    sizes = {"sums": (len(rows_of(CLASSES)), len(COLUMNS)), "agreement": (len(agreement_rows(CLASSES)), 2)}
    sizes |= {"overlap": (len(LEVELS), 3, len(CLASSES))}
    return [
        (row(f"p{number}", 0.1, 0.5), {name: 1 + generator.random(size) for name, size in sizes.items()}) for number in range(6)
    ]


def test_pixels_of_all_panoramas_are_pooled(many: list[tuple[ItemRow, dict[str, Any]]]) -> None:
    found = summarise(gather(many, {"classes": CLASSES, "truth_classes": CLASSES}), 3)
    sums = np.sum([arrays["sums"] for _, arrays in many], axis=0)
    at = rows_of(CLASSES).index(("depth", "abs_rel", "latitude", "30-60"))
    told = found["bands"]["abs_rel"]["latitude"][1]
    assert told["band"] == "30-60"
    assert told["fused"] == pytest.approx(sums[at, 6] / sums[at, 2])
    assert told["patch"] == pytest.approx(sums[at, 1] / sums[at, 0])
    assert told["floor"] + told["teacher"] + told["way_back"] + told["fusion"] == pytest.approx(told["fused"])
    assert told["low"] < told["fused"] < told["high"]
    assert told["share"] == pytest.approx(sums[at, 2] / sums[at - 1 : at + 3, 2].sum())
    overlap = np.sum([arrays["overlap"] for _, arrays in many], axis=0)[LEVELS.index("fused")]
    miou = np.mean([hit / (true + said - hit) for hit, true, said in overlap.T])
    assert found["attribution"]["missing_iou"]["total"]["value"] == pytest.approx(1 - miou)
    agreement = np.sum([arrays["agreement"] for _, arrays in many], axis=0)[0]
    assert found["agreement"]["depth"]["all"][0]["value"] == pytest.approx(agreement[1] / agreement[0])
    assert (found["items"], found["with_truth"], found["judged"]) == (6, 6, {"depth": 0.5})


def test_one_panorama_has_no_interval(many: list[tuple[ItemRow, dict[str, Any]]]) -> None:
    found = summarise(gather(many[:1], {"classes": CLASSES, "truth_classes": CLASSES}), 3)
    assert found["attribution"]["abs_rel"]["total"]["low"] is None
    assert found["agreement"]["depth"]["all"][0]["high"] is None


def test_the_worst_stand_out_from_the_median_and_say_why() -> None:
    rows = [row("good", 0.1, 0.8), row("wrong", 0.3, 0.8), row("torn", 0.1, 0.2), row("usual", 0.1, 0.75)]
    found = worst_items(rows, 5)
    assert [one["item"] for one in found] == ["torn", "wrong"]
    assert found[0]["reasons"] == ["depth: views disagree by 0.800, 3.6 times the median of 0.225"]
    assert found[1]["reasons"] == ["depth AbsRel 0.300, 3.0 times the median of 0.100; most of it: teacher (0.270)"]
    assert worst_items(rows, 1) == found[:1]
    assert worst_items([row("alone", 0.5, 0.1)], 5) == []
