"""Views of procedural panoramas with a teacher's errors: ragged masks, and missed, split, joined, confused and false objects."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from geometry.cameras import Camera
from geometry.fields import Field
from scenes.build import build_scene
from scenes.render import cast
from scenes.vocabulary import CLASSES, THINGS
from scenes.world import Scene

Array = NDArray[np.floating]
Labels = NDArray[np.int64]
SURE = 0.9
WIDEST = 3.0


@dataclass(frozen=True)
class Errors:
    """What is wrong with a view, object by object.

    ``margin``: standard deviation by which a mask grows or shrinks, ``ragged``: of slow waves of its outline, both as a share of
    the square root of its area, and of :data:`WIDEST` pixels at most; probabilities that an object is ``missed``, ``split`` in
    two, ``joined`` with one of its class that it touches, ``confused`` with another class of things; and that a view shows a
    ``false`` one.
    """

    margin: float = 0.05
    ragged: float = 0.05
    missed: float = 0.1
    split: float = 0.1
    joined: float = 0.2
    confused: float = 0.1
    false: float = 0.1


@dataclass(frozen=True)
class Capture:
    """A scene, the place of the camera, and its rotation (3, 3) from the panorama's frame to the world's."""

    scene: Scene
    position: Array
    turn: Array

    def look(self, directions: Array) -> tuple[Labels, Labels]:
        """True class and instance (...) along unit directions (..., 3) of the panorama's frame; 0 and 0 in the sky."""
        hits = cast(self.scene, self.position, directions.reshape(-1, 3) @ self.turn.T)
        shape, sky = directions.shape[:-1], hits.triangle < 0
        found = np.where(sky, 0, hits.triangle)
        classes = np.where(sky, 0, self.scene.classes[found]).astype(np.int64)
        return classes.reshape(shape), np.where(sky, 0, self.scene.instances[found]).astype(np.int64).reshape(shape)


def capture(kind: str, seed: int, tilted: bool) -> Capture:
    """A ``room`` or a ``street``; ``tilted`` turns the camera at random, so that objects lie on the seam and on the poles too."""
    scene, generator = build_scene(kind, seed), np.random.default_rng([9, seed])
    position = scene.free_position(generator)
    turn, triangular = np.linalg.qr(generator.normal(size=(3, 3)))
    turn = turn * np.sign(np.diag(triangular))
    turn[:, 0] *= np.sign(np.linalg.det(turn))
    return Capture(scene, position, turn if tilted else np.eye(3))


def wrong_views(place: Capture, cameras: Sequence[Camera], errors: Errors, seed: int) -> dict[str, Field]:
    """The fields ``instances`` and ``semantics`` that a teacher with these errors says of the views."""
    generator = np.random.default_rng(seed)
    views = [_wrong(*place.look(camera.directions()), errors, generator) for camera in cameras]
    ids, classes = np.stack([view[0] for view in views]), np.stack([view[1] for view in views])
    most = max(1, max(len(view[2]) for view in views))
    tables = {
        "segment_class": np.full((len(views), most), -1, np.int32),
        "segment_score": np.zeros((len(views), most), np.float32),
    }
    for number, (_, _, labels, scores) in enumerate(views):
        tables["segment_class"][number, : len(labels)] = labels
        tables["segment_score"][number, : len(scores)] = scores
    top = np.stack([classes, (classes + 1) % len(CLASSES)], axis=-1).astype(np.uint16)
    confidence = np.broadcast_to(np.array([SURE, 1 - SURE], np.float32), top.shape).copy()
    everywhere = np.ones(ids.shape, bool)
    return {
        "instances": Field("instances", ids.astype(np.uint16), everywhere, "segment", tables=tables),
        "semantics": Field("semantics", top, everywhere, "class", confidence=confidence),
    }


Segment = tuple[NDArray[np.bool_], int, float]


def _wrong(
    classes: Labels, instances: Labels, errors: Errors, generator: np.random.Generator
) -> tuple[Labels, Labels, list, list]:
    """One view: segments (h, w), classes (h, w), and the class and score of each segment."""
    segments = [(instances == number, int(classes[instances == number][0])) for number in np.unique(instances[instances > 0])]
    said: list[Segment] = []
    for mask, label in _joined(segments, errors.joined, generator):
        if generator.random() < errors.missed:
            continue
        shape = _ragged(mask, errors, generator)
        if generator.random() < errors.confused:
            label = int(generator.choice(sorted(THINGS - {label})))
        parts = _split(shape, generator) if generator.random() < errors.split else [shape]
        said += [(part, label, float(generator.uniform(0.6, 1))) for part in parts]
    if generator.random() < errors.false:
        said.append((_blob(classes.shape, generator), int(generator.choice(sorted(THINGS))), float(generator.uniform(0.5, 0.8))))
    ids, labels = np.zeros_like(classes), _nearest_stuff(classes)
    kept: list[Segment] = []
    for mask, label, score in sorted(said, key=lambda segment: segment[2]):  # the surest comes last, on top
        if mask.any():
            kept.append((mask, label, score))
            ids[mask], labels[mask] = len(kept), label
    return ids, labels, [label for _, label, _ in kept], [score for _, _, score in kept]


def _joined(
    segments: list[tuple[NDArray[np.bool_], int]], probability: float, generator: np.random.Generator
) -> list[tuple[NDArray[np.bool_], int]]:
    """Segments, of which touching ones of a class may have become one."""
    out: list[tuple[NDArray[np.bool_], int]] = []
    for mask, label in segments:
        near = cv2.dilate(mask.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
        touching = [k for k, (other, its) in enumerate(out) if its == label and (near & other).any()]
        if touching and generator.random() < probability:
            out[touching[0]] = (out[touching[0]][0] | mask, label)
        else:
            out.append((mask, label))
    return out


def _ragged(mask: NDArray[np.bool_], errors: Errors, generator: np.random.Generator) -> NDArray[np.bool_]:
    """The mask with its outline moved by a margin and by slow waves."""
    inside = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 5)
    outside = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 5)
    size = np.sqrt(mask.sum())
    coarse = generator.normal(0, min(errors.ragged * size, WIDEST), (8, 8)).astype(np.float32)
    waves = cv2.resize(coarse, mask.shape[::-1], interpolation=cv2.INTER_CUBIC)
    return np.asarray(inside - outside + waves + generator.normal(0, min(errors.margin * size, WIDEST)) > 0)


def _split(mask: NDArray[np.bool_], generator: np.random.Generator) -> list[NDArray[np.bool_]]:
    """Two halves along a random line through the mask's centre."""
    rows, columns = np.nonzero(mask)
    if not len(rows):
        return [mask]
    angle = generator.uniform(0, np.pi)
    y, x = np.mgrid[: mask.shape[0], : mask.shape[1]]
    side = (x - columns.mean()) * np.cos(angle) + (y - rows.mean()) * np.sin(angle) > 0
    return [mask & side, mask & ~side]


def _blob(shape: tuple[int, ...], generator: np.random.Generator) -> NDArray[np.bool_]:
    y, x = np.mgrid[: shape[0], : shape[1]]
    (row, column), (tall, wide) = generator.uniform(0.2, 0.8, 2) * shape, generator.uniform(0.05, 0.2, 2) * shape
    return np.asarray(((y - row) / tall) ** 2 + ((x - column) / wide) ** 2 < 1)


def _nearest_stuff(classes: Labels) -> Labels:
    """Classes (h, w) with things replaced by the nearest stuff; as they are where there is none."""
    thing = np.isin(classes, list(THINGS))
    if thing.all() or not thing.any():
        return classes.copy()
    _, nearest = cv2.distanceTransformWithLabels(thing.astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    lookup = np.zeros(nearest.max() + 1, np.int64)
    lookup[nearest[~thing]] = classes[~thing]
    return lookup[nearest]
