"""Panoramas as teachers of all kinds label them: what a device must fuse as numpy does."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from geometry.cameras import Camera
from geometry.device.fields import DeviceField, as_said, upload, upload_stored
from geometry.device.fuse import fuse_on_device
from geometry.fields import Field, canonical
from geometry.fusion.fuse import FusionSettings, fuse
from geometry.layouts import cubemap, icosahedron
from geometry.spheres import Sphere, View
from tasks.label.arrays import decode_fields, encode_fields
from tests.geometry.fusion.test_fuse import around, label_field, room

HEIGHT = 64
SETTINGS = FusionSettings(off_axis_power=2, classes=16, depth="blend")


@dataclass(frozen=True)
class Panorama:
    """What teachers say of it, not canonical; ``cameras`` by the name of each field."""

    name: str
    fields: Mapping[str, Field]
    cameras: Mapping[str, Sequence[View]]
    settings: FusionSettings
    observed: np.ndarray | None = None


def said(
    cameras: Sequence[View], seed: int, unit: str = "metre", torn: float = 0.08, confident: bool = False
) -> dict[str, Field]:
    """Fields of a room, in the frames of the cameras, with views that disagree by ``torn`` and pixels that are not valid."""
    rng = np.random.default_rng(seed)
    depth, normals, labels = (np.stack(one) for one in zip(*(room(camera.directions()) for camera in cameras)))
    depth *= np.exp(rng.normal(0, torn, (len(cameras), 1, 1)) + rng.normal(0, 0.01, depth.shape))
    flat = all(isinstance(camera, Camera) for camera in cameras)
    along = np.stack([camera.cos_off_axis() for camera in cameras]) if flat else 1
    values = depth * along if unit != "inverse" else rng.uniform(0.5, 2, (len(cameras), 1, 1)) / (depth * along) + 0.05
    valid = rng.random(depth.shape) > 0.03
    values[rng.random(depth.shape) < 0.01] = np.nan
    local = np.stack([one @ camera.matrix for one, camera in zip(normals, cameras)]) + rng.normal(0, 0.1, normals.shape)
    trust = rng.uniform(-0.1, 1, depth.shape).astype(np.float32) if confident else None
    classes = label_field(labels)
    sure = rng.dirichlet([4, 2, 1, 1], depth.shape)[..., :3].astype(np.float32)
    swapped = rng.random(depth.shape) < 0.2
    classes.values[swapped] = classes.values[swapped][..., ::-1]
    return {
        "depth": Field("depth", values.astype(np.float32), valid, unit, "axis" if flat else "ray", trust),
        "normals": Field("normals", (local * 1.7).astype(np.float32), valid, "unit", "camera", trust),
        "semantics": replace(classes, valid=rng.random(depth.shape) > 0.03, confidence=np.sort(sure)[..., ::-1].copy()),
        "sky": Field("sky", rng.random(depth.shape).astype(np.float32) ** 2, valid, "probability"),
    }


def panoramas() -> list[Panorama]:
    """Several teachers, layouts, units and settings, at a size that the interpreter fuses in a blink."""
    sphere, ring, faces = (Sphere.from_matrix(40, around(8)[3].matrix),), around(40), cubemap(40, np.radians(96))
    twenty, partly = icosahedron(32), np.ones((HEIGHT, 2 * HEIGHT), bool)
    partly[:20] = False
    partly[:, 100:] = False
    without_sky = {name: field for name, field in said(ring, 1, confident=True).items() if name != "sky"}
    geometry = {name: field for name, field in said(faces, 2, "inverse").items() if name in ("depth", "normals")}
    many = said(twenty, 3, "scale", torn=0.3)
    apart = geometry | {"semantics": said(twenty, 4)["semantics"]}
    return [
        Panorama("blend", without_sky, dict.fromkeys(without_sky, ring), replace(SETTINGS, min_confidence=0.4)),
        Panorama("scale", many, dict.fromkeys(many, twenty), replace(SETTINGS, depth="align", classes=300), partly),
        Panorama("apart", apart, {"depth": faces, "normals": faces, "semantics": twenty}, replace(SETTINGS, sky_class=5)),
        Panorama("single", said(ring, 5), dict.fromkeys(many, ring), replace(SETTINGS, depth="single", edge_feather=0)),
        Panorama("align", said(twenty, 6), dict.fromkeys(many, twenty), replace(SETTINGS, depth="align", sky_class=3)),
        Panorama("sphere", said(sphere, 7), dict.fromkeys(many, sphere), replace(SETTINGS, depth="align")),
    ]


def by_numpy(panorama: Panorama, stored: bool = True) -> dict[str, np.ndarray]:
    fields = canonical_fields(panorama)
    if stored:
        fields = decode_fields(encode_fields(fields), about(fields))
    return fuse(fields, panorama.cameras, HEIGHT, 2 * HEIGHT, panorama.settings, panorama.observed)


def canonical_fields(panorama: Panorama) -> dict[str, Field]:
    return {name: canonical(field, panorama.cameras[name]) for name, field in panorama.fields.items()}


def about(fields: Mapping[str, Field]) -> dict[str, Any]:
    return {"fields": {name: {"unit": field.unit, "frame": field.frame} for name, field in fields.items()}}


def on_device(panorama: Panorama, form: str) -> dict[str, DeviceField]:
    """The panorama's fields as their teacher ``said`` them, as they are ``stored``, or ``canonical``."""
    fields = canonical_fields(panorama)
    if form == "canonical":
        return {name: upload(field, "cpu") for name, field in fields.items()}
    if form == "stored":
        tags, arrays = about(fields)["fields"], encode_fields(fields)
        return {name: upload_stored(name, arrays, tags[name], "cpu") for name in fields}
    return {name: as_said(_tensors(field)) for name, field in panorama.fields.items()}


def _tensors(field: Any) -> Field:
    trust = None if field.confidence is None else torch.from_numpy(field.confidence)
    return replace(field, values=torch.from_numpy(field.values), valid=torch.from_numpy(field.valid), confidence=trust)


def fused_on_device(panorama: Panorama, form: str = "said") -> dict[str, np.ndarray]:
    size = HEIGHT, 2 * HEIGHT
    fused = fuse_on_device(on_device(panorama, form), panorama.cameras, *size, panorama.settings, panorama.observed)
    return {name: tensor.numpy() for name, tensor in fused.items()}
