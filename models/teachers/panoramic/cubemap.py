"""Kind ``cubemap``: a network that sees all six faces of a panorama at once, and says depth, normals and sky of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from geometry.cameras import Camera
from geometry.fields import Field
from models.cubemap.checkpoint import load_network, read_config
from models.cubemap.configuration import CubemapConfig, Scene, face_cameras
from models.cubemap.network import CubemapNetwork, Said, normalised
from models.cubemap.outputs import compose, fields
from models.cubemap.router import Router, load_router, scene_by_sky, scene_of
from models.cubemap.skies import SkySettings
from models.teachers.base import Teacher, WantedViews
from models.teachers.panoramic.settings import CubemapSettings, checkpoint_folder, router_folder
from models.teachers.settings import parse

GEOMETRY = ("depth", "normals", "sky")


@dataclass(frozen=True, eq=False)
class CubemapTeacher:
    """Says what its checkpoint has heads of: depth in metres where there is a scale head, else up to one factor."""

    network: CubemapNetwork
    settings: CubemapSettings
    sky: SkySettings
    router: Router | None
    device: str
    classes: tuple[str, ...] = ()

    @property
    def fields(self) -> tuple[str, ...]:
        return _given(self.network.config)

    def __call__(self, patches: NDArray[np.uint8], cameras: Sequence[Camera], item: Mapping[str, object]) -> dict[str, Field]:
        config, notes = self.network.config, dict[str, float]()
        scene = self._told(patches, notes)
        with torch.inference_mode(), torch.backends.cudnn.flags(benchmark=False, deterministic=True):
            images = normalised(torch.from_numpy(np.array(patches)).to(self.device), config)
            dtype = next(self.network.parameters()).dtype
            said = self.network(images[None].to(dtype), cameras, [scene] if scene else config.scenes)
            scene = scene or self._by_sky(said, cameras, notes)
            found = compose(said, cameras, config.conventions, scene, self.sky)
        return fields(replace(found, notes={**notes, **found.notes}))

    def _told(self, faces: NDArray[np.uint8], notes: dict[str, float]) -> Scene | None:
        """The scene, where it is known before the network is asked."""
        scenes = self.network.config.scenes
        if len(scenes) < 2:
            return scenes[0] if scenes else None
        if self.settings.scene != "auto":
            return self.settings.scene
        if self.router is None:
            return None
        notes["p_outdoor"] = self.router(faces)
        return scene_of(notes["p_outdoor"])

    def _by_sky(self, said: Said, cameras: Sequence[Camera], notes: dict[str, float]) -> Scene | None:
        """The scene by how much sky there is; ``p_outdoor`` is then 1 or 0."""
        if not self.network.config.scenes or said.sky is None:
            return None
        scene = scene_by_sky(said.sky[0].float().sigmoid().cpu().numpy(), cameras)
        notes["p_outdoor"] = float(scene == "outdoor")
        return scene


def load(settings: Mapping[str, Any], device: str) -> Teacher:
    """A teacher from the folder, or the repository of the hub, of a cubemap network; see :class:`CubemapSettings`.

    Raises
    ------
    ValueError
        A setting is wrong, the weights do not fit, or nothing tells which of two scale heads to believe.
    FileNotFoundError
        The weights are not there.
    """
    parsed = parse(CubemapSettings, settings, "cubemap")
    config = _config(parsed)
    if parsed.scene == "auto" and len(config.scenes) > 1 and parsed.router is None and "sky" not in config.modalities:
        raise ValueError(
            "scene: the checkpoint has scale heads for indoor and for outdoor scenes and no sky to tell them by; write indoor or "
            "outdoor, or name a `router`"
        )
    if parsed.scene != "auto" and config.scenes and parsed.scene not in config.scenes:
        raise ValueError(f"scene: the checkpoint has a scale head only for {', '.join(config.scenes)} scenes, not {parsed.scene}")
    network = load_network(checkpoint_folder(parsed), config, getattr(torch, parsed.dtype), device)
    needs_router = parsed.router is not None and parsed.scene == "auto" and len(config.scenes) > 1
    router = load_router(router_folder(parsed), device) if needs_router else None
    return CubemapTeacher(network.requires_grad_(False), parsed, SkySettings(**parsed.sky.model_dump()), router, device)


def wanted_views(settings: Mapping[str, Any]) -> WantedViews:
    """The six faces that the checkpoint knows; reads the head of its weights."""
    config = _config(parse(CubemapSettings, settings, "cubemap"))
    cameras = face_cameras(config)
    fov = round(float(np.degrees(cameras[0].fov)), 4)
    # PaGeR's faces are cut as they are; this project's networks learn from panoramas that have few more pixels than the faces.
    as_learned = ", antialias: false" if config.conventions.edge_centres else ""
    words = f"layout: {{kind: cubemap, fov_degrees: {fov:g}}}, patch_size: {config.face_size}{as_learned}"
    return WantedViews(cameras, words)


def given_fields(settings: Mapping[str, Any]) -> tuple[str, ...]:
    """The fields that a checkpoint has heads of; reads the head of its weights."""
    return _given(_config(parse(CubemapSettings, settings, "cubemap")))


def _given(config: CubemapConfig) -> tuple[str, ...]:
    return tuple(name for name in GEOMETRY if name in config.modalities)


def _config(settings: CubemapSettings) -> CubemapConfig:
    """The checkpoint's config, with the conventions that the settings state otherwise."""
    config = read_config(checkpoint_folder(settings))
    stated = settings.conventions.model_dump(exclude_none=True)
    return replace(config, conventions=replace(config.conventions, **stated))
