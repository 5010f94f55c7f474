"""The teacher of kind ``scenes``: the truth of a procedural panorama with stated and seeded errors, for experiments."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from geometry.cameras import Camera
from geometry.fields import CannotLabel, Field
from scenes.build import build_scene
from scenes.render import Frame, render_camera
from scenes.vocabulary import CLASSES, THINGS
from scenes.world import Scene

SURE = 0.9
"""Probability that the teacher gives to its first class; the second gets the rest."""

SEGMENTS = 256
"""Width of the tables of segments. It is the same in every call, so that batches and panoramas can stand side by side."""

PROBABILITIES = ("class_confusion", "miss_rate", "false_rate")
CAPTURE = ("scene", "seed", "position", "heading")
"""What a panorama's metadata must say, so that its scene can be built again."""

Generator = np.random.Generator


@dataclass(frozen=True)
class Corruptions:
    """What is wrong with the labels; nothing by default.

    ``depth_noise``: standard deviation of log depth, pixel by pixel; ``view_scale``: of one log factor per view; ``view_shift``:
    of one offset per view, metres; ``normal_noise_degrees``: of the normals' tilt; ``class_confusion``: probability that a class
    is taken for another in a view; ``miss_rate``: that an object is not seen, and takes the class around it; ``false_rate``: that
    a view shows an object that is not there.
    """

    seed: int = 0
    depth_noise: float = 0.0
    view_scale: float = 0.0
    view_shift: float = 0.0
    normal_noise_degrees: float = 0.0
    class_confusion: float = 0.0
    miss_rate: float = 0.0
    false_rate: float = 0.0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if isinstance(value, bool) or not isinstance(value, int if name == "seed" else (int, float)):
                raise ValueError(f"{name}: must be a {'whole ' * (name == 'seed')}number, got {value!r}")
            most = 1 if name in PROBABILITIES else 89 if name.endswith("degrees") else np.inf
            if not 0 <= value <= most:
                raise ValueError(f"{name}: must lie between 0 and {most:g}, got {value:g}")


@dataclass(frozen=True)
class ScenesTeacher:
    """Says what is there, up to its corruptions. A view's errors depend on the seed, the item and the camera alone."""

    corruptions: Corruptions
    classes: tuple[str, ...] = CLASSES
    fields: tuple[str, ...] = ("depth", "normals", "semantics", "sky", "instances")
    thing_classes: tuple[str, ...] = tuple(CLASSES[label] for label in sorted(THINGS))

    def __call__(self, patches: NDArray[np.uint8], cameras: Sequence[Camera], item: Mapping[str, object]) -> dict[str, Field]:
        """Truth seen by each camera, corrupted; the pixels of ``patches`` are not looked at."""
        scene, position, heading = _scene_of(item)
        views = [self._view(scene, position, heading, camera, str(item["item"])) for camera in cameras]
        depth, normals, semantics, sky, instances = (np.stack(column) for column in zip(*views, strict=True))
        everywhere, visible = np.ones(sky.shape, bool), ~sky
        confidence = np.broadcast_to(np.array([SURE, 1 - SURE], np.float32), semantics.shape).copy()
        segment_class, segment_score, numbers = _segments(instances, semantics[..., 0])
        tables = {"segment_class": segment_class, "segment_score": segment_score}
        return {
            "depth": Field("depth", depth.astype(np.float32), visible, "metre", "ray"),
            "normals": Field("normals", normals.astype(np.float32), visible, "unit", "world"),
            "semantics": Field("semantics", semantics, everywhere, "class", confidence=confidence),
            "sky": Field("sky", sky.astype(np.float32), everywhere, "probability"),
            "instances": Field("instances", numbers, everywhere, "segment", tables=tables),
        }

    def _view(self, scene: Scene, position: NDArray, heading: float, camera: Camera, item: str) -> tuple[NDArray, ...]:
        wrong = self.corruptions
        seed = hashlib.sha256(repr((wrong.seed, item, camera)).encode()).digest()
        generator = np.random.default_rng(int.from_bytes(seed[:8], "little"))
        frame = render_camera(scene, position, camera, heading=heading)
        scale = np.exp(wrong.view_scale * generator.normal() + wrong.depth_noise * generator.normal(size=frame.depth.shape))
        depth = np.maximum(frame.depth * scale + wrong.view_shift * generator.normal(), 1e-3)
        tilt = np.tan(np.radians(wrong.normal_noise_degrees)) * generator.normal(size=frame.normals.shape)
        normals = frame.normals + tilt
        normals /= np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), 1e-9)
        semantics, instances = _corrupt_classes(frame, wrong, generator)
        return depth, normals, semantics, frame.sky, instances


def load(settings: Mapping[str, Any], device: str = "cpu") -> ScenesTeacher:
    """The teacher with the corruptions that the settings name; ValueError for an unknown one names the nearest match."""
    known = [field.name for field in fields(Corruptions)]
    for name in settings:
        if name not in known:
            nearest = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {nearest[0]!r}?" if nearest else f"known: {', '.join(known)}"
            raise ValueError(f"{name}: unknown setting of the scenes teacher; {hint}")
    return ScenesTeacher(Corruptions(**settings))


def _scene_of(item: Mapping[str, Any]) -> tuple[Scene, NDArray, float]:
    if missing := [name for name in CAPTURE if name not in item]:
        raise CannotLabel(
            f"item {item.get('item')!r} does not say its {', '.join(missing)}: "
            "the scenes teacher needs a data set of `panolabel scenes`"
        )
    try:
        position, heading = np.array(item["position"], np.float64).reshape(3), float(item["heading"])
        return _cached_scene(str(item["scene"]), int(item["seed"])), position, heading
    except (ValueError, TypeError) as error:
        raise CannotLabel(f"item {item.get('item')!r} says of its {', '.join(CAPTURE)} what is none: {error}") from error


@lru_cache(maxsize=4)
def _cached_scene(kind: str, seed: int) -> Scene:
    return build_scene(kind, seed)


def _corrupt_classes(frame: Frame, wrong: Corruptions, generator: Generator) -> tuple[NDArray[np.uint16], NDArray[np.uint16]]:
    """First and second class (h, w, 2) and instances (h, w) of a view, with confused, missed and false objects."""
    true = frame.semantics.astype(np.uint16)
    first, second, instances = true.copy(), np.zeros_like(true), frame.instances.copy()
    for instance in np.unique(instances[instances > 0]):
        if generator.random() < wrong.miss_rate:
            mask = frame.instances == instance
            first[mask] = _class_around(true, mask)
            instances[mask] = 0
    before = first.copy()  # a class is confused once, whatever others are confused with
    for label in np.unique(before):
        if generator.random() < wrong.class_confusion:
            mask = before == label
            first[mask] = (label + generator.integers(1, len(CLASSES))) % len(CLASSES)
            second[mask] = true[mask]
    if generator.random() < wrong.false_rate:
        height, width = first.shape
        row, column = generator.uniform(0.2, 0.8, 2) * (height, width)
        tall, wide = generator.uniform(0.05, 0.2, 2) * (height, width)
        rows, columns = np.ogrid[:height, :width]
        blob = ((rows - row) / tall) ** 2 + ((columns - column) / wide) ** 2 < 1
        second[blob] = true[blob]
        first[blob] = generator.choice(sorted(THINGS))
        instances[blob] = instances.max() + 1
    # The second class must differ from the first, or the vote would count one class twice.
    second = np.where(second == first, (first + 1) % len(CLASSES), second).astype(np.uint16)
    return np.stack([first, second], axis=-1), instances.astype(np.uint16)


def _class_around(classes: NDArray[np.uint16], mask: NDArray[np.bool_]) -> int:
    """The stuff class that is most frequent along a mask's border; of the whole view if only things touch it, or 0."""
    ring = (cv2.dilate(mask.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0) & ~mask
    stuff = ~np.isin(classes, list(THINGS))
    around = classes[ring & stuff] if (ring & stuff).any() else classes[stuff]
    return int(np.bincount(around).argmax()) if around.size else 0


def _segments(instances: NDArray[np.uint16], classes: NDArray[np.uint16]) -> tuple[NDArray, NDArray, NDArray[np.uint16]]:
    """Class and score (N, S) of each patch's segments, and the segments numbered from 1 in each patch."""
    per_patch = [np.unique(patch[patch > 0]) for patch in instances]
    most = max(SEGMENTS, max(len(numbers) for numbers in per_patch))
    segment_class = np.full((len(instances), most), -1, np.int32)
    segment_score = np.zeros((len(instances), most), np.float32)
    renumbered = np.zeros_like(instances)
    for patch, numbers in enumerate(per_patch):
        for index, number in enumerate(numbers):
            mask = instances[patch] == number
            renumbered[patch][mask] = index + 1
            segment_class[patch, index] = np.bincount(classes[patch][mask]).argmax()
            segment_score[patch, index] = SURE
    return segment_class, segment_score, renumbered
