"""The trainings that are compared: each side in full, and at a third of the steps with seeds of their own."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Literal

import torch

from benchmarks.cubemap.recipe import Recipe, trained
from models.cubemap.saved import save_network
from models.teachers.weights import CUBEMAP, DEMO, digest_folder, digest_settings
from scenes import train_demo_teacher as demo
from scenes.training_faces import Faces, load_faces
from scenes.training_views import Views, load_views

log = logging.getLogger("cubemap")
FOLDER = Path("work/cubemap")
SHARE = 3
"""How many times fewer steps than in full the arms are trained for."""
SEEDS = 3


@dataclass(frozen=True)
class Arm:
    """A network and how long it was trained; ``shipped`` ones are in the repository."""

    name: str
    sees: Literal["faces", "views"]
    shipped: Path | None = None
    cross_view: bool = True


FULL = (Arm("cubemap", "faces", CUBEMAP), Arm("demo", "views", DEMO))
THIRDS = (
    Arm("cubemap, a third", "faces"),
    Arm("no cross-face, a third", "faces", cross_view=False),
    Arm("demo, a third", "views"),
)


def planned(seeds: int) -> Iterator[tuple[Arm, int]]:
    """All trainings, seeds outside, so that tables are useful early."""
    yield from ((arm, 0) for arm in FULL)
    yield from ((arm, seed) for seed in range(seeds) for arm in THIRDS)


def model_of(arm: Arm, seed: int, folder: Path = FOLDER) -> Path:
    """Where a network lies, or will lie."""
    return arm.shipped or folder / "arms" / f"{arm.name.replace(', ', '-').replace(' ', '-')}-{seed}"


def recipe_of(arm: Arm, seed: int) -> Recipe | demo.Recipe:
    """How an arm is trained."""
    if arm.sees == "views":
        return replace(demo.Recipe(), seed=seed, steps=round(demo.Recipe().steps / SHARE))
    full = Recipe()
    steps, warmup = round(full.steps / SHARE), round(full.warmup_steps / SHARE)
    return replace(full, seed=seed, steps=steps, warmup_steps=warmup, cross_view=arm.cross_view)


def identity(arm: Arm, seed: int) -> str:
    """What the figures of a training stand for: the weights of one that ships, the recipe of another."""
    if arm.shipped is not None:
        return digest_folder(arm.shipped)[:12]
    return digest_settings(vars(recipe_of(arm, seed)))[:12]


def make(arm: Arm, seed: int, folder: Path = FOLDER) -> None:
    """Train an arm, unless it is there; a cubemap network goes on from its newest checkpoint."""
    out = model_of(arm, seed, folder)
    if arm.shipped is None and not out.exists():
        log.info("%s, seed %d", arm.name, seed)
        part, recipe = out.with_name(f"{out.name}.part"), recipe_of(arm, seed)
        if isinstance(recipe, Recipe):
            checkpoints = folder / "checkpoints" / part.name
            save_network(trained(recipe, _faces(folder), checkpoints), part, torch.float16)
            shutil.rmtree(checkpoints)
        else:
            demo.save(demo.train(recipe, _views(folder))[0], recipe, part)
        part.replace(out)


def unchanged(arm: Arm) -> bool:
    """Whether the card of a shipped network tells the recipe that its script has now."""
    assert arm.shipped is not None, "asked of shipped networks alone"
    told = next(line for line in (arm.shipped / "README.md").read_text().splitlines() if line.startswith("Recipe: "))
    recipe = json.loads(told.removeprefix("Recipe: ").strip("`"))
    return bool(recipe == vars(Recipe() if arm.sees == "faces" else demo.Recipe()))


@cache
def _faces(folder: Path) -> Faces:
    return load_faces(folder / "faces", 0, Recipe().scenes, Recipe().face_size)


@cache
def _views(folder: Path) -> Views:
    return load_views(folder / "views", 0, demo.Recipe().scenes, demo.Recipe().size)
