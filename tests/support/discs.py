"""A world of discs for adaptation: panoramas with exact truth, a small network that learned another light, and a config."""

from __future__ import annotations

import json
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import yaml
from numpy.typing import NDArray

from configs.pipeline import Config
from models.adaptation.mixing import Example
from models.adaptation.targets import example_target
from models.seamless.branch import BranchSettings
from models.seamless.network import SMALL, SeamlessNetwork, SeamlessSettings
from models.seamless.proposals import ProposalSettings
from models.seamless.saved import SeamlessModel, model_files, model_of_files, save_model
from scenes.amodal import run_lengths
from storage.items import Item, blocks_of
from storage.receipts import Receipt, blocks_with_receipts
from tasks.ingest import ingest
from tasks.ingest.check import check_entry
from tasks.pipeline import load, sources, steps
from tasks.stage.job import Job
from tasks.stage.kind import Step
from tasks.stage.upstream import open_block

HEIGHT, WIDTH = 64, 128
CLASSES, THINGS = ("sky", "ground", "car", "person"), range(2, 4)
BRANCH = BranchSettings(
    ProposalSettings(size=4, candidates=100, limit=40, sampled=64), hidden=64, mask_layers=1, sampled=32, limit=20
)
SETTINGS = SeamlessSettings(len(CLASSES), THINGS, encoder_config=SMALL, channels=24, seam=32, branch=BRANCH)
COLOURS = np.array([[120, 160, 250], [110, 110, 100], [230, 60, 40], [40, 90, 220]])

Scene = tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.bool_], NDArray[np.int64]]


def scene(seed: int, light: float = 1.0) -> Scene:
    """Image, semantics, whole masks (N, H, W) from back to front, classes. Some discs hide others, some cross the seam."""
    generator = np.random.default_rng([7, seed])
    semantics = np.repeat((np.arange(HEIGHT) > HEIGHT // 2).astype(np.uint8)[:, None], WIDTH, axis=1)
    y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    wholes, classes = [], generator.integers(2, 4, 4)
    for index in range(4):
        row, column, radius = generator.uniform(22, 44), (index * 32 + generator.uniform(0, 22)), generator.uniform(9, 14)
        wholes.append((y - row) ** 2 + ((x - column + WIDTH / 2) % WIDTH - WIDTH / 2) ** 2 < radius**2)
    for mask, label in zip(wholes, classes):
        semantics[mask] = label
    image = COLOURS[semantics] * light + generator.normal(0, 6, (HEIGHT, WIDTH, 3))
    return np.clip(image, 0, 255).astype(np.uint8), semantics, np.array(wholes), classes


def visible_parts(wholes: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """What nothing in front hides."""
    shown = wholes.copy()
    for index in range(len(wholes)):
        shown[:index] &= ~wholes[index]
    return shown


@lru_cache(maxsize=1)
def source_files() -> dict[str, bytes]:
    """The files of a network that learned bright discs with labels; trained once a process."""
    torch.manual_seed(0)
    model = SeamlessModel(SeamlessNetwork(SETTINGS), CLASSES)
    optimizer = torch.optim.AdamW(model.network.parameters(), lr=5e-3)
    generator, nowhere = torch.Generator().manual_seed(0), np.zeros((HEIGHT, WIDTH), bool)
    for step in range(18):
        image, semantics, wholes, classes = scene(1000 + step % 8)
        window = np.array([0, 0, HEIGHT, WIDTH])
        shown = visible_parts(wholes)
        example = Example((HEIGHT, WIDTH), window, image, semantics, shown, classes, wholes, classes, nowhere)
        target = example_target(example, (nowhere, nowhere), THINGS.start, wrap=True)
        terms = model.network.losses(model.normalised(image[None]), [target], generator)
        optimizer.zero_grad()
        torch.stack(list(terms.values())).sum().backward()
        torch.nn.utils.clip_grad_norm_(model.network.parameters(), 5.0)
        optimizer.step()
    return model_files(model)


def write_source_model(folder: Path, trained_on: tuple[str, ...] = ()) -> None:
    """The source model's folder."""
    model = model_of_files(source_files())
    save_model(SeamlessModel(model.network, model.classes, model.mean, model.std, trained_on), folder)


def write_panoramas(folder: Path, seeds: range) -> None:
    """Dim panoramas below ``images``, and their truth in the layout of ``panolabel scenes``."""
    for name in ("images", "truth"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "dataset.json").write_text(json.dumps({"classes": CLASSES, "things": [CLASSES[index] for index in THINGS]}))
    for seed in seeds:
        image, semantics, wholes, classes = scene(seed, light=0.8)
        cv2.imwrite(str(folder / "images" / f"p{seed:02d}.png"), image[..., ::-1])
        ids = np.zeros((HEIGHT, WIDTH), np.uint16)
        for number, mask in enumerate(wholes, 1):
            ids[mask] = number
        np.savez_compressed(folder / "truth" / f"p{seed:02d}.npz", semantics=semantics, instances=ids)
        rows = [
            {"instance": number, "class": int(label), "mask": run_lengths(mask)}
            for number, (mask, label) in enumerate(zip(wholes, classes), 1)
        ]
        (folder / "truth" / f"p{seed:02d}_amodal.json").write_text(json.dumps(rows))


def write_adaptation(
    folder: Path, count: int = 6, *, truth: bool = True, model: str = "source_model", compare: Any = None, **changes: Any
) -> Path:
    """Panoramas, a source model and a config, which is returned: blocks of two panoramas. ``changes`` are those of ``adapt``."""
    write_panoramas(folder / "target", range(count))
    write_source_model(folder / "source_model")
    known = {"truth": str(folder / "target")} if truth else {}
    own = {
        "model": str(folder / model),
        "height": HEIGHT,
        "pool": {"rule": {"fixed": 0.6, "share": 0.5}, "per_class": 5},
        "training": {"steps": 4, "batch_size": 2, "crop": [64, 64], "learning_rate": 1e-4, "rates": {}},
        "checkpoint_every": 2,
    }
    stages = {
        "ingest": {"source": {"url": str(folder / "target" / "images"), **known}, "block_size": 2},
        "adapt": {**own, **changes},
        **({"compare": {"least_stuff": 64, **(compare or {})}} if truth else {}),
    }
    execution = {"runner": {"workers": 2}, "pictures": 1, "device": "cpu"}
    path = folder / "discs.yaml"
    path.write_text(
        yaml.safe_dump(
            {"name": "discs", "root": str(folder / "store"), "stages": stages, "execution": execution}, sort_keys=False
        )
    )
    return path


def read(path: Path, **overrides: Any) -> Config:
    """The config with dotted overrides; double underscores stand for dots."""
    return load(path, {key.replace("__", "."): value for key, value in overrides.items()})


def plan_of(config: Config) -> list[Step]:
    """Ingest, and the stages over what there is."""
    items: dict[str, list[Item]] = {}
    for source in sources(config):
        scan = ingest.scan(source)
        items[source.key] = ingest.save(source, scan.known, [check_entry(entry, source.settings) for entry in scan.to_read])
    found = steps(config, lambda source: blocks_of(items[source.key]))
    return [step for step in found if not step.stage.is_source]


def step_of(config: Config, key: str) -> Step:
    """One of :func:`plan_of`."""
    return next(step for step in plan_of(config) if step.key == key)


def job_of(config: Config, key: str, index: int = 0, run: str = "test") -> Job:
    """The job of one of a stage's blocks."""
    step = step_of(config, key)
    return Job(step.stage, step.blocks[index], run, config.execution)


def make_owed(config: Config, run: str = "test", until: str = "") -> dict[str, int]:
    """Make every block without a receipt in this process; returns how many by stage. Stops before the stage ``until``."""
    made: dict[str, int] = {}
    for step in plan_of(config):
        if step.key == until:
            break
        done = blocks_with_receipts(step.stage.root, step.stage.name, step.stage.identity.fingerprint)
        for block in step.blocks:
            if block.name not in done:
                step.stage.make(Job(step.stage, block, run, config.execution))
                made[step.key] = made.get(step.key, 0) + 1
    return made


def block_of(config: Config, key: str, index: int = 0) -> tuple[str, Receipt]:
    """URL and receipt of a finished block."""
    step = step_of(config, key)
    return open_block(step.stage, step.blocks[index].name)


if __name__ == "__main__":
    print(write_adaptation(Path(sys.argv[1])))
