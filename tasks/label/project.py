"""project: manifest -> views. Chooses the views of each panorama, and stores their pixels if asked."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from geometry import layouts
from geometry.cameras import Camera
from geometry.resampling.patches import extract_patches
from geometry.spheres import Sphere, View
from storage.items import Item
from storage.receipts import Receipt
from tasks.ingest.panorama import DECODED, load_panorama
from tasks.label.layouts import Cubemap, Icosahedron, Random, Rings, WholeSphere
from tasks.label.settings import Project as Settings
from tasks.stage.block import run_block
from tasks.stage.job import Job, Output
from tasks.stage.kind import Edge, Facts, Inputs, Kind

VERSION = "2"


def _facts(settings: Settings, _inputs: Inputs) -> Facts:
    return DECODED if settings.keep_pixels else ()


def _opens(settings: Settings, _inputs: Inputs) -> bool:
    return settings.keep_pixels


KIND = Kind(
    "project",
    VERSION,
    Settings,
    {"panoramas": Edge("panoramas")},
    "views",
    make="tasks.label.project:project_block",
    facts=_facts,
    opens=_opens,
)


def choose_views(settings: Settings, item_digest: str) -> tuple[View, ...]:
    """The views of one panorama. Random layouts are seeded by the config's seed and the item's digest."""
    layout, size = settings.layout, settings.patch_size
    if isinstance(layout, Cubemap):
        return layouts.cubemap(size, np.radians(layout.fov_degrees))
    if isinstance(layout, Icosahedron):
        return layouts.icosahedron(size, np.radians(layout.fov_degrees))
    if isinstance(layout, Rings):
        yaws = np.arange(layout.views_per_ring) * (2 * np.pi / layout.views_per_ring)
        return layouts.rings(size, np.radians(layout.fov_degrees), yaws, np.radians(layout.pitches_degrees), poles=layout.poles)
    if isinstance(layout, Random):
        generator = np.random.default_rng([layout.seed, int(item_digest[:16] or "0", 16)])
        fov, pitch = np.radians(layout.fov_degrees), np.radians(layout.pitch_degrees)
        return layouts.random(size, layout.count, generator, (fov[0], fov[1]), (pitch[0], pitch[1]))
    if isinstance(layout, WholeSphere):
        return (Sphere(2 * size, size),)
    views = [np.radians([v.yaw_degrees, v.pitch_degrees, v.fov_degrees, v.roll_degrees]) for v in layout.views]
    return layouts.explicit(size, [tuple(view) for view in views])


def project_block(job: Job) -> Receipt:
    """Store the cameras of every item of a block, and its patches with ``project.keep_pixels``."""
    settings: Settings = job.settings

    def read(_slot: int, item: Item) -> NDArray | None:
        return load_panorama(item, job.panoramas).pixels if settings.keep_pixels else None

    def project_item(item: Item, panorama: NDArray | None) -> Output:
        cameras = choose_views(settings, item.digest)
        arrays = encode_cameras(cameras)
        if panorama is not None:
            arrays["pixels"] = extract_patches(panorama, cameras, antialias=settings.antialias)
        return Output(arrays)

    return run_block(job, project_item, {"patch_size": settings.patch_size, "layout": settings.layout.kind}, read=read)


def encode_cameras(cameras: tuple[View, ...]) -> dict[str, NDArray]:
    """Views as arrays: fov (views,) float64 in radians, rotation (views, 9) float64, size (views, 2) int32 as width, height.

    The field of view of the whole sphere is 2 pi, which no camera has.
    """
    return {
        "fov": np.array([camera.fov for camera in cameras]),
        "rotation": np.array([camera.rotation for camera in cameras]),
        "size": np.array([(camera.width, camera.height) for camera in cameras], np.int32),
    }


def decode_cameras(arrays: Mapping[str, NDArray]) -> tuple[View, ...]:
    """The views that :func:`encode_cameras` stored: ``fov`` (N,) and ``rotation`` (N, 9) float64, ``size`` (N, 2) int32."""
    rows = zip(arrays["size"], arrays["fov"], arrays["rotation"], strict=True)
    return tuple(_view(size[0], size[1], fov, rotation) for size, fov, rotation in rows)


def _view(width: int, height: int, fov: float, rotation: NDArray) -> View:
    return Camera.from_matrix(width, height, fov, rotation) if fov < np.pi else Sphere.from_matrix(height, rotation)
