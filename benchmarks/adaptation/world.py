"""The worlds of the experiment: labelled pinhole images of streets, and panoramas of other streets in another light.

A panorama shows 360 x 67.5 degrees, as those of BlendPASS do: the middle rows of an equirectangular image. Its streets are
built as the source's are, but at dusk, of greyer and rougher surfaces, and seen by a noisy sensor; objects are smaller in it.
Some experiments have a fuller world, see ``World``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.adaptation.streets import in_company, with_posters
from geometry.directions import erp_directions
from scenes.amodal import amodal_masks
from scenes.build import build_scene
from scenes.dusk import at_dusk, noisy
from scenes.pinholes import CATEGORIES, VAN, write_pinholes
from scenes.render import render
from scenes.streets import vans
from scenes.vocabulary import CLASSES, ID
from scenes.world import Scene
from tasks.seamless.labels import SeamlessTruth, Segment, truth_of_segments
from tasks.seamless.vocabularies import IGNORED
from tasks.train.seamless.settings import PinholeData

HEIGHT, WIDTH = 96, 512
PINHOLE = 96, 192
FIRST_SEED = {"adapt": 200_000, "validation": 210_000, "test": 220_000}
"""Of each split's scenes. Nothing is learned or tuned on ``test``."""
COUNTS = {"adapt": 64, "validation": 24, "test": 40}
"""Panoramas of each split."""
VALIDATION_PINHOLES = 40
SMALLEST = 16
"""Pixels. What shows less of an object is void: nobody would label it."""
OBJECTS = (ID["person"], ID["car"])
CATEGORY = np.array([CATEGORIES[name][1] if name in CATEGORIES else IGNORED for name in CLASSES], np.uint8)
FIRST_OBJECT = 1000
"""Number of a scene's object 0 in the map of segments, above all classes."""


@dataclass(frozen=True)
class World:
    """What there is to learn and to adapt to, and the ``folder`` that keeps it.

    ``full``: vans are a class of their own, a rare one; the target's people stand in company, and walls carry posters of Things.
    ``learned``: pinhole images that source models learn from.
    """

    folder: str = ""
    full: bool = False
    learned: int = 160


PLAIN = World()


@dataclass(frozen=True, eq=False)
class Panorama:
    """``image`` (HEIGHT, WIDTH, 3) uint8 and what is true of it."""

    image: NDArray[np.uint8]
    truth: SeamlessTruth


def pinholes(folder: Path, split: str, world: World = PLAIN) -> PinholeData:
    """The source's images of a split, ``train`` or ``val``, rendered if they are not there."""
    root = folder / world.folder / "pinholes"
    if not (root / "Panoptic" / f"{split}.json").exists():
        count = {"train": world.learned, "val": VALIDATION_PINHOLES}[split]
        write_pinholes(root, split, count, *PINHOLE, processes=1, with_vans=world.full)
    return PinholeData(kind="kitti360_aps", root=str(root), split=split)


def panoramas(folder: Path, split: str, world: World = PLAIN) -> list[Panorama]:
    """The target's panoramas of a split, rendered if they are not there."""
    files = [folder / world.folder / "panoramas" / f"{FIRST_SEED[split] + index}.npz" for index in range(COUNTS[split])]
    for file in files:
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            _save(panorama(int(file.stem), world), file)
    return [_load(file) for file in files]


def panorama(seed: int, world: World = PLAIN) -> Panorama:
    """The panorama of a street, its light, its place and its noise, all from one seed."""
    generator = np.random.default_rng([19, seed])
    scene = at_dusk(build_scene("street", seed), generator)
    position = scene.free_position(generator)
    if world.full:
        scene = with_posters(in_company(scene, position, generator), position, generator)
    fine, directions = (_band(scale) for scale in (2, 1))
    colours = cv2.resize(render(scene, position, fine).image, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
    frame = render(scene, position, directions)
    wholes = amodal_masks(scene, position, directions)
    is_object = (frame.instances > 0) & np.isin(frame.semantics, OBJECTS)
    numbers = np.where(is_object, FIRST_OBJECT + frame.instances.astype(np.int64), CATEGORY[frame.semantics])
    return Panorama(
        noisy(np.asarray(colours, np.uint8), generator), _truth(numbers, scene, wholes, vans(scene) if world.full else ())
    )


def _band(scale: int) -> NDArray[np.floating]:
    """Directions (scale * HEIGHT, scale * WIDTH, 3) of the middle rows."""
    rows, columns = scale * HEIGHT, scale * WIDTH
    first = (columns // 2 - rows) // 2
    return erp_directions(columns // 2, columns)[first : first + rows]


def _truth(numbers: NDArray[np.int64], scene: Scene, wholes: dict[int, NDArray[np.bool_]], rare: Sequence[int]) -> SeamlessTruth:
    segments = []
    for number, pixels in zip(*np.unique(numbers, return_counts=True)):
        if number < FIRST_OBJECT:
            segments.append(Segment(int(number), int(number)))
        elif pixels >= SMALLEST:
            instance = int(number) - FIRST_OBJECT
            label = VAN[1] if instance in rare else int(CATEGORY[scene.classes[scene.instances == instance][0]])
            # Rays that graze an edge may hit an object in the street and miss it alone.
            whole = (numbers == number) | wholes.get(instance, False)
            segments.append(Segment(int(number), label, whole=whole))
    return truth_of_segments(numbers, segments, amodal=True)


def _save(one: Panorama, file: Path) -> None:
    truth = one.truth
    assert truth.wholes is not None
    temporary = file.with_suffix(".tmp.npz")
    np.savez_compressed(
        temporary, image=one.image, semantics=truth.semantics, classes=truth.classes, visible=truth.visible, wholes=truth.wholes
    )
    temporary.replace(file)


def _load(file: Path) -> Panorama:
    with np.load(file, allow_pickle=False) as arrays:
        nobody = np.zeros(len(arrays["classes"]), bool)
        truth = SeamlessTruth(arrays["semantics"], arrays["visible"], arrays["classes"], nobody, arrays["wholes"])
        return Panorama(arrays["image"], truth)
