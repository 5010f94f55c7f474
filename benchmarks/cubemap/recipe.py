"""How the cubemap network that ships with panolabel is trained: by the project's one loop, on faces of procedural panoramas."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from models.cubemap.configuration import CubemapConfig, face_cameras, small_config
from models.cubemap.learner import CubemapLearner, LabelledFaces
from models.cubemap.losses import Truth
from models.cubemap.network import CubemapNetwork, initialise
from models.cubemap.router import scene_by_sky
from scenes.training_faces import Faces, mirrored, turned
from tasks.train.loop import train
from tasks.train.progress import LogFile
from tasks.train.settings import LoopSettings

log = logging.getLogger("cubemap")


@dataclass(frozen=True)
class Recipe:
    """All that decides what comes out. By default as many pixels are seen as by the demo teacher: 1,100 x 16 x 128 x 128."""

    seed: int = 0
    face_size: int = 104
    scenes: int = 500
    unseen_scenes: int = 60
    steps: int = 1480
    batch: int = 3
    learning_rate: float = 4e-4
    warmup_steps: int = 90
    weight_decay: float = 0.05
    average: float = 0.99
    precision: Literal["no", "bf16"] = "bf16"
    cross_view: bool = True

    @property
    def config(self) -> CubemapConfig:
        """Sizes of the network."""
        return small_config(self.face_size, cross_view=self.cross_view)

    @property
    def pixels(self) -> int:
        """Pixels seen in training, all faces and steps together."""
        return self.steps * self.batch * 6 * self.face_size**2

    def loop(self) -> LoopSettings:
        """What of this is the loop's; checkpoints of another recipe are refused."""
        return LoopSettings(
            self.steps, self.weight_decay, 1.0, self.precision, self.seed, self.warmup_steps, average=self.average, fused=True,
            log_every=10, checkpoint_every=50, device="cpu", identity=json.dumps(vars(self)),
        )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Shown:
    """The batches of some panoramas: all of them once in each epoch, turned, mirrored and in another light at random."""

    faces: Faces
    config: CubemapConfig
    batch: int
    seed: int

    @cached_property
    def outdoor(self) -> NDArray[np.bool_]:
        """Which scale head learns from each panorama, as prediction would choose it by the sky."""
        cameras = face_cameras(self.config)
        return np.array([scene_by_sky((one == 0).astype(np.float32), cameras) == "outdoor" for one in self.faces.depth])

    def batches(self, epoch: int, step: int, rank: int, world: int) -> Iterator[LabelledFaces]:
        """See :class:`tasks.train.loop.Batches`."""
        order = np.random.default_rng([self.seed, epoch]).permutation(len(self.faces))
        for number in range(step * world + rank, len(order) // self.batch, world):
            chosen = order[number * self.batch : (number + 1) * self.batch]
            yield self.labelled(chosen, np.random.default_rng([self.seed, epoch, number]))

    def labelled(self, chosen: NDArray[np.integer], generator: np.random.Generator | None = None) -> LabelledFaces:
        """Some panoramas with their truth; with a generator, changed at random."""
        each = [self.faces.taken(slice(index, index + 1)) for index in chosen]
        if generator is not None:
            each = [changed(one, generator) for one in each]
        image, depth, normals = (np.concatenate([getattr(one, name) for one in each]) for name in ("image", "depth", "normals"))
        z = torch.from_numpy(depth.astype(np.float32))
        truth = Truth(
            z.clamp_min(1e-3).log(),
            (z > 0).float(),
            torch.from_numpy(self.outdoor[chosen]),
            torch.from_numpy(np.moveaxis(normals.astype(np.float32) / 127, -1, 2).copy()),
            (z == 0).float(),
        )
        return LabelledFaces(torch.from_numpy(image), truth, [str(index) for index in chosen])


def changed(one: Faces, generator: np.random.Generator) -> Faces:
    """One panorama turned by quarters of a circle, mirrored every other time, and in another light: all but the light exact."""
    seen = turned(one, int(generator.integers(4)))
    seen = mirrored(seen) if generator.random() < 0.5 else seen
    gain = generator.uniform(0.7, 1.3) * generator.uniform(0.9, 1.1, 3)
    light = np.clip((seen.image / np.float32(255)) ** np.float32(generator.uniform(0.8, 1.25)) * gain, 0, 1)
    return replace(seen, image=np.round(255 * light).astype(np.uint8))


def made(recipe: Recipe) -> CubemapNetwork:
    """The untrained network, initialised by the recipe's seed."""
    network = CubemapNetwork(recipe.config)
    initialise(network, torch.Generator().manual_seed(recipe.seed))
    return network


def trained(recipe: Recipe, faces: Faces, url: Path, stop: Callable[[], bool] = lambda: False) -> CubemapNetwork:
    """The averaged network after the last step; goes on from the newest checkpoint in ``url``, if there is one."""
    learner = CubemapLearner(made(recipe), recipe.learning_rate)
    data = Shown(faces, recipe.config, recipe.batch, recipe.seed)
    train(learner, data, recipe.loop(), str(url), LogFile(f"{url}/log.json", (told,)), stop)
    return learner.model


def told(step: int, figures: Mapping[str, float]) -> None:
    """Log the terms of a step."""
    log.info("step %d: %s", step, ", ".join(f"{name} {value:.3g}" for name, value in figures.items()))
