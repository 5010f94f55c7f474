"""A cubemap network's labels of a panorama: its teacher's say of six faces, fused as that of any teacher."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from configs.settings import ConfigError
from geometry.fields import canonical
from geometry.fusion.fuse import FusionSettings, fuse
from geometry.resampling.patches import extract_patches
from models.cubemap.configuration import face_cameras
from models.cubemap.network import CubemapNetwork
from models.cubemap.skies import SkySettings
from models.teachers.panoramic.cubemap import CubemapTeacher, load
from models.teachers.panoramic.settings import CubemapSettings
from tasks.ingest.observed import Observed
from tasks.stage.devices import OutOfMemory, is_out_of_memory
from tasks.stage.job import BadItem


def teacher_of(network: CubemapNetwork, device: str) -> CubemapTeacher:
    """A network as a teacher, with the settings that the kind ``cubemap`` has by default."""
    settings = CubemapSettings(model="trained here")
    return CubemapTeacher(network, settings, SkySettings(**settings.sky.model_dump()), None, device)


@lru_cache(maxsize=2)
def load_faces(folder: Path, weights: str, device: str) -> CubemapTeacher:
    """A network for prediction, loaded once for its weights and device. ConfigError says what is wrong with the folder."""
    try:
        teacher = load({"model": str(folder)}, device)
    except (ValueError, FileNotFoundError) as error:
        raise ConfigError(f"model: {error}") from error
    assert isinstance(teacher, CubemapTeacher)
    return teacher


def said_of_faces(
    teacher: CubemapTeacher, image: NDArray[np.uint8], observed: Observed = None
) -> tuple[dict[str, NDArray[Any]], Mapping[str, float]]:
    """ERP labels (H, W[, 3]) in the size of the image (H, W, 3), and what the network says of the panorama as a whole.

    Raises
    ------
    BadItem
        The network says what is no number.
    OutOfMemory
        The device is too small for one panorama.
    """
    cameras = face_cameras(teacher.network.config)
    try:
        said = teacher(extract_patches(image, cameras, antialias=False), cameras, {})
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        raise OutOfMemory("the device ran out of memory with six faces of a panorama; free memory on it") from error
    if bad := [name for name, one in said.items() if not np.isfinite(one.values).all()]:
        raise BadItem(f"the network's {', '.join(bad)} of this panorama is NaN or infinite")
    world = {name: canonical(one, cameras) for name, one in said.items()}
    labels = fuse(world, cameras, len(image), image.shape[1], FusionSettings(), observed)
    return labels, next(iter(said.values())).notes
