"""Do omni pseudo-labels and the zeroed pool do what they promise? Truth of procedural panoramas, corrupted; nothing is trained.

``python -m benchmarks.adaptation.omni_labels > benchmarks/results/adaptation/omni_labels.md``. A made-up source model misses
objects and parts of them, shifts masks, sees Things on stuff, and is less sure of some classes than of others, right or wrong.
What each way of making pseudo-labels then teaches is held against the truth. The pool is cut by true whole masks: its figures
are the mixings' own.
"""

from __future__ import annotations

import argparse
import platform
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date

import numpy as np

from geometry.directions import erp_directions
from metrics.intervals import jackknife_intervals
from metrics.seamless.matching import ious, one_to_one
from metrics.seamless.objects import Objects, areas, intersections, same_class
from models.adaptation.object_pool import cut_objects
from models.adaptation.pseudo_labels import OmniLabels, omni_labels
from models.adaptation.pseudo_labels import thing_area as area_of
from models.adaptation.thresholds import AMODAL, BINS, INSTANCE, Rule, ScoreHistogram, class_thresholds, score_histogram
from models.seamless.fusion import Detections
from scenes.amodal import amodal_masks
from scenes.build import build_scene
from scenes.render import render_erp
from scenes.vocabulary import CLASSES, THINGS

HEIGHT, WIDTH, SCENES, SMALLEST, LEAST = 128, 256, 40, 30, 0.05
COUNT = len(CLASSES)
SURENESS = {label: 0.2 + 0.55 * rank / (len(THINGS) - 1) for rank, label in enumerate(sorted(THINGS))}
"""The made-up model's middle score of each class."""
EVERYWHERE = np.ones((HEIGHT, WIDTH), bool)


@dataclass(frozen=True, eq=False)
class Panorama:
    """Truth and the made-up model's predictions of one panorama; ``owner`` (H, W) is the true object that is seen, or -1."""

    image: np.ndarray
    owner: np.ndarray
    visible: Objects
    whole: Objects
    area: np.ndarray
    instances: Detections
    amodals: Detections


def panorama(seed: int) -> Panorama:
    generator = np.random.default_rng([17, seed])
    scene = build_scene(("room", "street")[seed % 2], seed)
    position = scene.free_position(generator)
    frame = render_erp(scene, position, HEIGHT, WIDTH)
    wholes = amodal_masks(scene, position, erp_directions(HEIGHT, WIDTH))
    names = [name for name in wholes if np.count_nonzero(frame.instances == name) >= SMALLEST]
    labels = np.array([int(scene.classes[scene.instances == name][0]) for name in names])
    visible = np.array([frame.instances == name for name in names], bool).reshape(-1, HEIGHT, WIDTH)
    whole = np.array([wholes[name] for name in names], bool).reshape(-1, HEIGHT, WIDTH)
    owner = np.where(visible.any(axis=0), visible.argmax(axis=0), -1)
    false, false_labels = false_things(generator, frame.instances == 0)
    # Semantics take one false Thing in five for real, and miss a tenth of the true ones.
    seen = area_of(frame.semantics, sorted(THINGS)) & ~blobs(generator, 8)
    seen |= false[generator.random(len(false)) < 0.2].any(axis=0)
    branches = [detections(generator, true, labels, false, false_labels) for true in (visible, whole)]
    return Panorama(frame.image, owner, Objects(visible, labels), Objects(whole, labels), seen, *branches)


def ellipse(generator: np.random.Generator, low: float, high: float) -> np.ndarray:
    row, column = np.mgrid[:HEIGHT, :WIDTH]
    y, x, tall, wide = generator.uniform((20, 0, low, low), (110, WIDTH, high, high))
    return ((row - y) / tall) ** 2 + (((column - x + WIDTH / 2) % WIDTH - WIDTH / 2) / wide) ** 2 < 1


def blobs(generator: np.random.Generator, count: int) -> np.ndarray:
    return np.array([ellipse(generator, 3, 10) for _ in range(count)]).any(axis=0)


def false_things(generator: np.random.Generator, stuff: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    count = int(generator.poisson(4))
    masks = np.array([ellipse(generator, 4, 14) & stuff for _ in range(count)], bool).reshape(-1, HEIGHT, WIDTH)
    drawn = masks.sum(axis=(1, 2)) >= SMALLEST
    return masks[drawn], generator.choice(sorted(THINGS), count)[drawn]


def detections(
    generator: np.random.Generator, true: np.ndarray, labels: np.ndarray, false: np.ndarray, false_labels: np.ndarray
) -> Detections:
    """A tenth of the true objects is missed, a third of the others lose a part; right ones are surer than false ones."""
    found = generator.random(len(true)) < 0.9
    masks = np.array([damaged(generator, mask) for mask in true[found]], bool).reshape(-1, HEIGHT, WIDTH)
    masks, every = np.concatenate([masks, false]), np.concatenate([labels[found], false_labels])
    right = np.arange(len(masks)) < found.sum()
    middle = np.array([SURENESS[int(label)] for label in every])
    logit = np.log(middle / (1 - middle)) + np.where(right, 0.7, -0.7) + generator.normal(0, 0.8, len(masks))
    return Detections(masks, every.astype(np.int64), 1 / (1 + np.exp(-logit)))


def damaged(generator: np.random.Generator, mask: np.ndarray) -> np.ndarray:
    moved = np.roll(mask, generator.integers(-1, 2, 2), axis=(0, 1))
    if generator.random() < 0.33:
        row = np.flatnonzero(moved.any(axis=1))
        moved[row[0] : row[0] + int(len(row) * generator.uniform(0.2, 0.6))] = False
    return moved


Labeller = Callable[[Detections, np.ndarray, Rule, np.ndarray], OmniLabels]


def plain(found: Detections, area: np.ndarray, rule: Rule, tuned: np.ndarray) -> OmniLabels:
    """What reaches a fixed threshold; the rest is background."""
    labels = omni_labels(found.masks, found.classes, found.scores, EVERYWHERE, np.full(COUNT, rule.fixed), LEAST)
    return replace(labels, uncertain=~EVERYWHERE)


def everything(found: Detections, area: np.ndarray, rule: Rule, tuned: np.ndarray) -> OmniLabels:
    return omni_labels(found.masks, found.classes, found.scores, EVERYWHERE, np.zeros(COUNT), LEAST)


def omni(found: Detections, area: np.ndarray, rule: Rule, tuned: np.ndarray) -> OmniLabels:
    return omni_labels(found.masks, found.classes, found.scores, area, tuned, LEAST)


def whole_objects(found: Detections, area: np.ndarray, rule: Rule, tuned: np.ndarray) -> OmniLabels:
    """The veto of semantics takes whole objects, or leaves them whole."""
    return omni_labels(found.masks, found.classes, found.scores, area, tuned, LEAST, veto="objects")


def without_veto(found: Detections, area: np.ndarray, rule: Rule, tuned: np.ndarray) -> OmniLabels:
    return omni_labels(found.masks, found.classes, found.scores, EVERYWHERE, tuned, LEAST)


def without_tuning(found: Detections, area: np.ndarray, rule: Rule, tuned: np.ndarray) -> OmniLabels:
    return omni_labels(found.masks, found.classes, found.scores, area, np.full(COUNT, rule.fixed), LEAST)


def without_uncertain(found: Detections, area: np.ndarray, rule: Rule, tuned: np.ndarray) -> OmniLabels:
    return replace(omni(found, area, rule, tuned), uncertain=~EVERYWHERE)


ARMS: dict[str, Labeller] = {
    "pseudo-labels, fixed threshold": plain,
    "all predictions": everything,
    "omni (OPLL)": omni,
    "omni, whole objects": whole_objects,
    "omni without the veto of semantics": without_veto,
    "omni with fixed thresholds": without_tuning,
    "omni, uncertain as background": without_uncertain,
}


def label_sums(labels: OmniLabels, truth: Objects) -> np.ndarray:
    """Sums (5 + 4 C,): Thing pixels, those taught as background, pixels taught as a Thing, those that are none, uncertain ones,
    and by class true objects, found ones, labels, right ones."""
    true, said = truth.masks.any(axis=0), labels.masks.any(axis=0)
    pixels = [true.sum(), (true & ~said & ~labels.uncertain).sum(), said.sum(), (said & ~true).sum(), labels.uncertain.sum()]
    given = Objects(labels.masks, labels.classes)
    shared = intersections(truth.packed, given.packed, same_class(truth.classes, given.classes))
    iou = ious(shared, areas(truth.packed)[:, None] + areas(given.packed) - shared)
    found, right = one_to_one(iou)
    counts = [truth.classes, truth.classes[found], given.classes, given.classes[right]]
    return np.concatenate([pixels, *(np.bincount(one, minlength=COUNT) for one in counts)]).astype(np.float64)


def label_figures(sums: np.ndarray) -> np.ndarray:
    """False background, false Things (shares of pixels), recall, precision (means over classes)."""
    true, lost, said, false = sums[:4]
    objects, found, labels, right = sums[5:].reshape(4, COUNT)
    things = sorted(THINGS)
    with np.errstate(invalid="ignore"):
        recall, precision = np.nanmean((found / objects)[things]), np.nanmean((right / labels)[things])
    return np.array([lost / max(true, 1), false / max(said, 1), recall, precision])


def difference(sums: np.ndarray) -> np.ndarray:
    """The figures of one way minus those of another, on the same panoramas."""
    one, other = np.split(sums, 2)
    return label_figures(one) - label_figures(other)


def pool_sums(one: Panorama) -> np.ndarray:
    """Over objects of which others claim a part (4,): whole pixels, those claimed, pixels that are not the object's among the
    whole and among the unclaimed ones."""
    count = len(one.whole)
    # The score carries the object's number.
    pool = cut_objects("", one.image, one.whole.masks, one.whole.classes, np.arange(count), np.ones(count, bool))
    sums = np.zeros(4)
    for entry in pool:
        if entry.overlap.any():
            rows = np.arange(entry.box[0], entry.box[0] + entry.box[2])
            columns = np.arange(entry.box[1], entry.box[1] + entry.box[3]) % WIDTH
            foreign = one.owner[np.ix_(rows, columns)] != int(entry.score)
            sums += entry.whole.sum(), entry.overlap.sum(), (entry.whole & foreign).sum(), (entry.visible & foreign).sum()
    return sums


def pool_figures(sums: np.ndarray) -> np.ndarray:
    """Foreign share of what zero and what amodal mixing show, and the share of the shape that instance mixing's label lacks."""
    whole, claimed, foreign, foreign_unclaimed = sums
    return np.array([foreign_unclaimed / max(whole - claimed, 1), foreign / max(whole, 1), claimed / max(whole, 1)])


def tuned(panoramas: list[Panorama], branch: str, rule: Rule) -> np.ndarray:
    total = ScoreHistogram(np.zeros((COUNT, BINS), np.int64))
    for one in panoramas:
        found: Detections = getattr(one, branch)
        total = total + score_histogram(found.scores, found.classes, COUNT, rule.least)
    return class_thresholds(total, rule)


def cells(items: np.ndarray, figures: Callable[[np.ndarray], np.ndarray]) -> list[str]:
    low, high = jackknife_intervals(items, figures)
    return [f"{100 * a:.1f} ({100 * b:.1f} to {100 * c:.1f})" for a, b, c in zip(figures(items.sum(axis=0)), low, high)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", type=int, default=SCENES)
    given = parser.parse_args()
    panoramas = [panorama(seed) for seed in range(given.scenes)]
    print(f"# What pseudo-labels teach: {given.scenes} procedural panoramas of {WIDTH}x{HEIGHT}, half rooms, half streets\n")
    print("Per cent, with 95 % intervals over panoramas (t, jackknife). Nothing is trained.\n")
    for branch, truth, rule in (("instances", "visible", INSTANCE), ("amodals", "whole", AMODAL)):
        thresholds = tuned(panoramas, branch, rule)
        print(f"## {branch.capitalize()}\n")
        print("| labels | Thing pixels taught as background | taught Thing pixels that are none | recall | precision |")
        print("|---|---|---|---|---|")
        items = {}
        for name, labeller in ARMS.items():
            made = [labeller(getattr(one, branch), one.area, rule, thresholds) for one in panoramas]
            items[name] = np.array([label_sums(labels, getattr(one, truth)) for labels, one in zip(made, panoramas)])
            print(f"| {name} | {' | '.join(cells(items[name], label_figures))} |")
        paired = np.concatenate([items[name] for name in ("omni (OPLL)", "pseudo-labels, fixed threshold")], axis=1)
        print(f"| omni minus pseudo-labels, points | {' | '.join(cells(paired, difference))} |")
        print("\nRecall and precision: objects of one class with IoU above 0.5, mean over classes.\n")
    items = np.array([pool_sums(one) for one in panoramas])
    zero, amodal, missing = cells(items, pool_figures)
    print("## The pool: objects of which others claim a part\n")
    print("| mixing | shown pixels that are not the object's | the object's pixels that its label lacks |\n|---|---|---|")
    print(f"| zero | {zero} | 0 |\n| amodal | {amodal} | 0 |\n| instance | {zero} | {missing} |\n")
    print("What zero mixing still shows of others lies in front unknown to the pool: stuff, and Things too small to list.\n")
    print(f"{date.today()}, Python {platform.python_version()}, numpy {np.__version__}.")


if __name__ == "__main__":
    main()
