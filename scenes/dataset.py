"""A data set of procedural panoramas with exact ground truth, in a layout that is documented beside it."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from geometry.cameras import rotation_from_angles
from geometry.directions import erp_directions
from scenes.amodal import amodal_masks, run_lengths
from scenes.build import build_scene
from scenes.dusk import at_dusk, noisy
from scenes.processes import in_processes
from scenes.render import Frame, render_erp
from scenes.vocabulary import CLASSES, THINGS

VERSION = "1"
KINDS = {"room": ("room",), "street": ("street",), "mixed": ("room", "street")}
SPLITS = ("train", "train", "train", "train", "train", "train", "train", "train", "val", "test")
"""Split of a scene by its seed modulo 10."""

LAYOUT = """# A data set of procedural panoramas

    dataset.json               classes, things, kind, seed, size; written last, so its presence means that all is there
    images/<item>.png          equirectangular RGB, 2:1
    images/<item>.json         capture: scene kind and seed, position (x, y, z in metres), heading (radians), split
    truth/<item>.npz           depth      float32 (H, W)     radial distance in metres, 0 at the sky
                               normals    float32 (H, W, 3)  unit, x right, y down, z forward, facing the camera; 0 at the sky
                               semantics  uint8 (H, W)       index into the classes of dataset.json
                               instances  uint16 (H, W)      0 for stuff
                               sky        bool (H, W)
    truth/<item>_amodal.json   for every thing in view: class, visible and amodal area in pixels, box (x, y, width, height),
                               and the whole mask as COCO's uncompressed run lengths (column by column)

The same kind and seed give the same bytes. Scenes are split by seed, so no scene is in two splits. A data set at dusk says so in
dataset.json (`light`).
"""


def write_dataset(
    root: Path,
    kind: str,
    count: int,
    seed: int,
    height: int,
    width: int,
    supersample: int = 2,
    amodal: bool = True,
    processes: int | None = None,
    dusk: bool = False,
) -> None:
    """Render ``count`` panoramas of scenes with seeds from ``seed`` on; ``mixed`` takes rooms and streets in turn.

    ``dusk`` shows them from the same places in another light, with the same truth: :mod:`scenes.dusk`.

    An interrupted run is resumed: items whose image is there are complete and are not made again.

    Raises
    ------
    ValueError
        Unknown kind, or the size is not 2:1.
    """
    if kind not in KINDS:
        raise ValueError(f"kind {kind!r} is not known; use one of {', '.join(KINDS)}")
    if width != 2 * height:
        raise ValueError(f"a panorama is twice as wide as high, got {width}x{height}")
    root = Path(root)
    for folder in ("images", "truth"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    kinds = [KINDS[kind][index % len(KINDS[kind])] for index in range(count)]
    jobs = [(root, kind, seed + index, height, supersample, amodal, dusk) for index, kind in enumerate(kinds)]
    in_processes(_write_item, jobs, processes)
    about = {
        "classes": list(CLASSES),
        "things": sorted(CLASSES[label] for label in THINGS),
        "kind": kind,
        "count": count,
        "seed": seed,
        "height": height,
        "width": width,
        "version": VERSION,
        **({"light": "dusk"} if dusk else {}),
    }
    _write(root / "README.md", LAYOUT.encode())
    _write(root / "dataset.json", _json(about))


def _write_item(root: Path, kind: str, seed: int, height: int, supersample: int, amodal: bool, dusk: bool) -> None:
    item = f"{kind}_{seed:05d}"
    image = root / "images" / f"{item}.png"
    if image.exists():
        return
    generator = np.random.default_rng([4, seed])
    scene = build_scene(kind, seed)
    position, heading = scene.free_position(generator), float(generator.uniform(0, 2 * np.pi))
    evening = np.random.default_rng([5, seed])  # of its own, so that the camera stands where it stands by day
    if dusk:
        scene = at_dusk(scene, evening)
    frame = render_erp(scene, position, height, 2 * height, supersample, heading)
    if amodal:
        directions = erp_directions(height, 2 * height) @ rotation_from_angles(heading, 0.0).T
        masks = amodal_masks(scene, position, directions)
        labels = {int(number): int(label) for number, label in zip(scene.instances, scene.classes, strict=True)}
        objects = [_describe(number, labels[number], mask, frame) for number, mask in masks.items()]
        _write(root / "truth" / f"{item}_amodal.json", _json(objects))
    arrays = {name: getattr(frame, name) for name in ("depth", "normals", "semantics", "instances", "sky")}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    _write(root / "truth" / f"{item}.npz", buffer.getvalue())
    split = SPLITS[seed % len(SPLITS)]
    capture = {"scene": kind, "seed": seed, "position": position.tolist(), "heading": heading, "split": split}
    _write(root / "images" / f"{item}.json", _json(capture))
    seen = noisy(frame.image, evening) if dusk else frame.image
    _write(image, cv2.imencode(".png", seen[..., ::-1])[1].tobytes())


def _describe(number: int, label: int, mask: np.ndarray, frame: Frame) -> dict[str, Any]:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return {
        "instance": number,
        "class": label,
        "name": CLASSES[label],
        "visible_area": int((frame.instances == number).sum()),
        "amodal_area": int(mask.sum()),
        "box": [int(columns[0]), int(rows[0]), int(np.ptp(columns)) + 1, int(np.ptp(rows)) + 1],
        "mask": run_lengths(mask),
    }


def _json(value: Any) -> bytes:
    return (json.dumps(value, sort_keys=True) + "\n").encode()


def _write(path: Path, data: bytes) -> None:
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_bytes(data)
    temporary.replace(path)
