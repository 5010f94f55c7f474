"""Metrics of overlapping masks against their definitions, spelled out with booleans and all assignments tried."""

from itertools import permutations

import numpy as np
import pytest

from metrics.seamless.amodal_panoptic import thing_counts
from metrics.seamless.matching import by_score, one_to_one
from metrics.seamless.mohan_valada import AmodalScene, mohan_valada_counts
from metrics.seamless.objects import Objects
from tests.metrics.seamless.test_panoptic import table

HEIGHT, WIDTH, CLASSES, STUFF = 6, 12, 4, 2
Pairs = list[tuple[int, int]]


def rectangles(generator: np.random.Generator, count: int) -> np.ndarray:
    masks = np.zeros((count, HEIGHT, WIDTH), bool)
    for mask in masks:
        top, left, height, width = (int(v) for v in generator.integers((0, 0, 2, 3), (4, WIDTH, 5, 8)))
        mask[top : top + height, np.arange(left, left + width) % WIDTH] = True
    return masks


def scene(generator: np.random.Generator, void: np.ndarray) -> AmodalScene:
    whole = rectangles(generator, int(generator.integers(0, 5)))
    visible, seen = whole.copy(), np.zeros((HEIGHT, WIDTH), bool)
    for index in reversed(range(len(whole))):
        visible[index] &= ~seen & ~void
        seen |= whole[index]
    stuff = np.where(seen | void, -1, generator.integers(0, STUFF, (HEIGHT, 1)).repeat(WIDTH, axis=1))
    return AmodalScene(stuff, Objects(whole, generator.integers(STUFF, CLASSES, len(whole))), visible, void)


def iou(one: np.ndarray, other: np.ndarray, leave_out: np.ndarray | None = None) -> float:
    """Intersection over union; of ``other`` alone what lies on ``leave_out`` is forgotten."""
    false = other & ~one if leave_out is None else other & ~one & ~leave_out
    union = np.count_nonzero(one) + np.count_nonzero(false)
    return np.count_nonzero(one & other) / union if union else 0.0


def best_pairs(worth: np.ndarray) -> Pairs:
    """Of all one-to-one assignments those with most pairs, of those the one with the largest sum."""
    rows, columns = worth.shape
    best: tuple[int, float, Pairs] = (0, 0.0, [])
    for order in permutations(list(range(columns)) + [-1] * rows, rows):
        pairs = [(row, column) for row, column in enumerate(order) if column >= 0]
        found = (len(pairs), sum(float(worth[pair]) for pair in pairs), pairs)
        if found[:2] > best[:2]:
            best = found
    return best[2]


def expected_things(said: AmodalScene, true: AmodalScene, void: np.ndarray, label: int) -> list[float]:
    """Visible IoU and segments, hidden IoU and segments, visible cover and area, hidden cover and area of one class of Things."""
    given, real = (
        [
            (one.things.masks[index], one.visible[index], one.things.masks[index] & ~one.visible[index])
            for index in np.flatnonzero(one.things.classes == label)
        ]
        for one in (said, true)
    )
    worth = np.array([[iou(t[0], p[0]) for p in given] for t in real]).reshape(len(real), len(given))
    pairs = best_pairs(worth)
    free = [p for index, p in enumerate(given) if index not in {column for _, column in pairs}]
    free = [p for p in free if 2 * np.count_nonzero(p[1] & void) <= np.count_nonzero(p[1])]
    partner = dict(pairs)
    hidden = sum(bool(t[2].any()) or (index in partner and bool(given[partner[index]][2].any())) for index, t in enumerate(real))
    sums = [
        sum(iou(real[t][1], given[p][1]) for t, p in pairs),
        len(real) + len(free),
        sum(iou(real[t][2], given[p][2]) for t, p in pairs),
        hidden + sum(bool(p[2].any()) for p in free),
    ]
    cover = np.zeros(4)
    for _, seen, unseen in real:
        fits = [iou(seen, p[1], void) for p in given]
        best = int(np.argmax(fits)) if fits and max(fits) > 0 else None
        area, behind = np.count_nonzero(seen), np.count_nonzero(unseen)
        cover += (
            (0 if best is None else fits[best] * area),
            area,
            0 if best is None else iou(unseen, given[best][2]) * behind,
            behind,
        )
    return [*sums, *cover]


@pytest.mark.parametrize("seed", range(15))
def test_mohan_and_valada(seed: int) -> None:
    generator = np.random.default_rng(seed)
    void = np.zeros((HEIGHT, WIDTH), bool)
    void[:, : generator.integers(0, 5)] = True
    said, true = scene(generator, np.zeros_like(void)), scene(generator, void)
    found = mohan_valada_counts(said, true, CLASSES)
    columns = np.stack([np.asarray(getattr(found, name)) for name in found.__dataclass_fields__], axis=1)
    for label in range(STUFF, CLASSES):
        np.testing.assert_allclose(columns[label], expected_things(said, true, void, label), atol=1e-9)
    for label in range(STUFF):
        real, given = true.stuff == label, said.stuff == label
        there = float(real.any())
        fits = iou(real, given, void) if there else 0.0
        np.testing.assert_allclose(columns[label], [fits, there, 0, 0, fits * real.sum(), real.sum(), 0, 0], atol=1e-9)


@pytest.mark.parametrize("seed", range(30))
def test_amodal_panoptic_counts(seed: int) -> None:
    generator = np.random.default_rng(seed)
    real, given = rectangles(generator, 4), rectangles(generator, 4)
    given[:3] = np.roll(real[:3], generator.integers(-1, 2), axis=2)
    void = np.zeros((HEIGHT, WIDTH), bool)
    void[:, : generator.integers(0, 5)] = True
    found = thing_counts(Objects(given, np.zeros(4, int)), Objects(real, np.zeros(4, int)), void, 1)
    worth = np.array([[iou(t, p, void) for p in given] for t in real])
    allowed = np.where(worth > 0.5, worth, 0)
    best = max(permutations(range(4)), key=lambda order: sum(allowed[row, column] for row, column in enumerate(order)))
    pairs = [(row, column) for row, column in enumerate(best) if allowed[row, column]]
    free = [p for index, p in enumerate(given) if index not in {column for _, column in pairs}]
    invented = sum(2 * np.count_nonzero(p & void) <= np.count_nonzero(p) for p in free)
    np.testing.assert_allclose(table(found)[0], [sum(worth[pair] for pair in pairs), len(pairs), invented, 4 - len(pairs)])


@pytest.mark.parametrize("seed", range(20))
def test_matching(seed: int) -> None:
    generator = np.random.default_rng(seed)
    table_of_ious, scores = generator.random((3, 4)), generator.integers(0, 4, 4) / 4
    rows, columns = one_to_one(table_of_ious, 0.5)
    allowed = np.where(table_of_ious > 0.5, table_of_ious, 0)
    every = [sum(allowed[row, column] for row, column in enumerate(order)) for order in permutations(range(4), 3)]
    assert table_of_ious[rows, columns].sum() == pytest.approx(max(every))
    thresholds = np.array([0.3, 0.5, 0.7])
    found = by_score(table_of_ious, scores, thresholds)
    for level, threshold in enumerate(thresholds):
        free, pairs = set(range(3)), set()
        for column in sorted(range(4), key=lambda column: (-scores[column], column)):
            fitting = [row for row in free if table_of_ious[row, column] > threshold]
            if fitting:
                row = max(fitting, key=lambda row: table_of_ious[row, column])
                free.remove(row)
                pairs.add((row, column))
        assert set(zip(*(part.tolist() for part in np.nonzero(found[..., level])))) == pairs
