"""Small random scenes with all that makes these metrics differ: void, crowds, small objects, doubles, ties, seam objects."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from metrics.seamless.objects import Objects
from metrics.seamless.panoptic import PanopticMap

HEIGHT, WIDTH, STUFF, THINGS = 48, 96, 3, 4
CLASSES = STUFF + THINGS


@dataclass(frozen=True)
class Sample:
    truth: PanopticMap
    prediction: PanopticMap
    true_objects: Objects
    detections: Objects
    void: np.ndarray

    def digest(self) -> str:
        parts = (self.truth.segments, self.prediction.segments, self.detections.masks, self.detections.scores, self.void)
        return hashlib.sha256(b"".join(np.ascontiguousarray(part).tobytes() for part in parts)).hexdigest()[:16]


def rectangle(top: int, left: int, height: int, width: int) -> np.ndarray:
    """A mask that goes on at column 0 where it leaves the last."""
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[max(top, 0) : max(top + height, 0), np.arange(left, left + width) % WIDTH] = True
    return mask


def sample(seed: int) -> Sample:
    generator = np.random.default_rng(seed)
    boxes = [
        (int(t), int(c), int(h), int(w))
        for t, c, h, w in zip(*(generator.integers(low, high, 9) for low, high in ((0, 40), (0, 96), (4, 20), (4, 30))))
    ]
    classes = generator.integers(STUFF, CLASSES, len(boxes))
    truth, crowd = stuff_bands(generator), np.zeros(STUFF + len(boxes), bool)
    for index, box in enumerate(boxes):
        truth[rectangle(*box)] = STUFF + index
    void = rectangle(*(int(v) for v in generator.integers((0, 0, 10, 10), (30, 96, 18, 30))))
    truth[void] = -1
    # The official script counts pixels of a crowd that is also small twice when it forgives, so no crowd here is small.
    large = np.flatnonzero(np.bincount(truth[truth >= STUFF], minlength=STUFF + len(boxes)) >= 100)
    crowd[generator.permutation(large)[:1]] = True
    said_boxes, said_classes = [], []
    for box, label in zip(boxes, classes):
        for _ in range(int(generator.integers(0, 3))):
            shift = generator.integers(-2, 3, 4)
            said_boxes.append(tuple(int(b + s) for b, s in zip(box, shift)))
            said_classes.append(int(label) if generator.random() < 0.85 else int(generator.integers(STUFF, CLASSES)))
    masks = np.array([rectangle(*box) for box in said_boxes]).reshape(-1, HEIGHT, WIDTH)
    scores = generator.integers(1, 8, len(masks)) / 8.0
    painted = stuff_bands(generator)
    for index in np.argsort(scores, kind="stable"):
        painted[masks[index]] = STUFF + index
    true_masks = np.array([truth == STUFF + index for index in range(len(boxes))])
    return Sample(
        PanopticMap(truth, np.concatenate([np.arange(STUFF), classes]), crowd),
        PanopticMap(painted, np.concatenate([np.arange(STUFF), np.array(said_classes, np.int64)])),
        Objects(true_masks, classes, None, crowd[STUFF:]),
        Objects(masks, np.array(said_classes, np.int64), scores),
        void,
    )


def stuff_bands(generator: np.random.Generator) -> np.ndarray:
    edges = np.sort(generator.integers(5, HEIGHT - 5, STUFF - 1))
    return np.repeat(np.digitize(np.arange(HEIGHT), edges)[:, None], WIDTH, axis=1).astype(np.int64)
