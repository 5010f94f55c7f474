"""A cubemap network made for labels, and saved as a folder that the teacher kind ``cubemap`` and ``predict`` read."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import torch

from configs.settings import ConfigError
from models.cubemap.configuration import SCENES, CubemapConfig, Modality, Scene, small_config, tiny_config
from models.cubemap.network import CubemapNetwork, initialise
from models.cubemap.router import SKY_OUTDOORS
from models.cubemap.saved import save_network
from storage.entries import Entries
from tasks.stage.job import Job
from tasks.train.cubemap.pretrained import beginning, pretrained_config, refuse_other_sizes, start_from
from tasks.train.cubemap.settings import TrainCubemap
from tasks.train.labels.data import LabelStore
from tasks.train.student.folder import stored_folder
from tasks.train.student.model_card import FACES

TASKS: tuple[Modality, ...] = ("depth", "normals", "sky")


def network_config(settings: TrainCubemap, tasks: Sequence[str], scenes: Sequence[Scene]) -> CubemapConfig:
    """Sizes of the network that a config describes, with heads for these tasks, and for the metres of these scenes.

    Raises
    ------
    ConfigError
        Unknown or contradictory settings.
    """
    chosen: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in settings.settings.items()
    }
    if unknown := sorted(chosen.keys() - {one.name for one in fields(CubemapConfig)}):
        raise ConfigError(f"settings: unknown {', '.join(unknown)}; docs/panoramic-models.md has the table of sizes")
    scales = {f"scale_{scene}" for scene in scenes} if "depth" in tasks else set()
    heads = tuple(name for name in (*TASKS, *(f"scale_{scene}" for scene in SCENES)) if name in {*tasks, *scales})
    base = {"tiny": tiny_config, "small": small_config, "full": _full}[settings.size]()
    if settings.pretrained is not None:
        base = pretrained_config(settings)
    elif "position_grid" not in chosen:  # weights that were learned keep their grid: it is resized as faces are
        chosen["position_grid"] = int(chosen.get("face_size", base.face_size)) // int(chosen.get("patch", base.patch))
    try:
        return replace(base, **{**chosen, "modalities": heads})
    except (ValueError, TypeError, ZeroDivisionError) as error:
        raise ConfigError(f"settings: {error}") from error


def make_network(config: CubemapConfig, seed: int) -> CubemapNetwork:
    """A network with the fresh weights that follow from the seed. ConfigError if there can be none of such sizes."""
    network = _built(config)
    initialise(network, torch.Generator().manual_seed(seed))
    return network


def first_network(settings: TrainCubemap, config: CubemapConfig) -> CubemapNetwork:
    """What a training begins with: fresh weights, or those that it names. ConfigError and ValueError if they do not fit."""
    network = make_network(config, settings.seed)
    if settings.pretrained is not None:
        start_from(network, settings)
    return network


def refuse_impossible(settings: TrainCubemap) -> None:
    """Raise ConfigError if there can be no network of such settings, whatever the labels have. Makes no weights."""
    config = network_config(settings, settings.tasks or TASKS, SCENES)
    with torch.device("meta"):  # sizes without weights
        _built(config)
        if settings.pretrained is not None:
            refuse_other_sizes(config, pretrained_config(settings))


def taught(settings: TrainCubemap, stores: Sequence[LabelStore]) -> tuple[str, ...]:
    """The tasks of a training: those that it names, or those that the labels have.

    Raises
    ------
    ConfigError
        The labels have none.
    """
    if settings.tasks is not None:
        return settings.tasks
    stored = {
        file.split("/")[1] for store in stores for _, _, receipt in store.blocks for file in receipt.files if file.count("/")
    }
    found = tuple(task for task in TASKS if task in stored)
    found = found if "depth" in found else tuple(task for task in found if task != "sky")  # sky reads depth's features
    if not found:
        raise ConfigError("tasks: the labels have neither depth nor normals; give a teacher of them the field")
    return found


def scenes_of(settings: TrainCubemap, tasks: Sequence[str], unit: str, stores: Sequence[LabelStore]) -> tuple[Scene, ...]:
    """The scenes that get a scale head: none of labels without a scale, and none that no panorama is of.

    Raises
    ------
    ConfigError
        Nothing tells which scenes there are.
    """
    if unit != "metre" or "depth" not in tasks:
        return ()
    if settings.scene != "auto":
        return (settings.scene,)
    if "sky" not in tasks:
        raise ConfigError(
            "scene: the labels are in metres and without sky, so nothing tells which scale head learns them; write scene: indoor "
            "or scene: outdoor, or give a teacher the field sky"
        )
    rows = [row for store in stores for _, _, receipt in store.blocks for row in receipt.items if row.state == "done"]
    found = {"outdoor" if row.figures["sky"] > SKY_OUTDOORS else "indoor" for row in rows if "sky" in row.figures}
    return tuple(scene for scene in SCENES if scene in found) or SCENES


def rows_of(config: CubemapConfig) -> int:
    """Rows of a panorama whose equator has the pixels of four faces."""
    return 2 * config.face_size


def save_cubemap(network: CubemapNetwork, job: Job, about: dict[str, Any]) -> tuple[str, Entries]:
    """Write the network's folder with its model card; returns the weights' digest, and the entries of its files."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        save_network(network, folder)
        return stored_folder(folder, job, about, FACES, beginning(job.settings))


def _built(config: CubemapConfig) -> CubemapNetwork:
    try:
        return CubemapNetwork(config)
    except (ValueError, TypeError, RuntimeError) as error:
        raise ConfigError(f"settings: {error}") from error


def _full() -> CubemapConfig:
    """PaGeR's sizes with this project's conventions, which fresh weights learn as well as any."""
    return replace(CubemapConfig(), conventions=small_config().conventions)
