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

from configs.adapt import AdaptConfig
from models.adaptation.mixing import Example
from models.adaptation.targets import example_target
from models.seamless.branch import BranchSettings
from models.seamless.network import SMALL, SeamlessNetwork, SeamlessSettings
from models.seamless.proposals import ProposalSettings
from models.seamless.saved import SeamlessModel, model_files, model_of_files, save_model
from scenes.amodal import run_lengths
from storage.manifest import blocks_of
from storage.receipts import Receipt, block_url, blocks_with_receipts, read_receipt
from tasks.adapt.recipe import Step, steps
from tasks.ingest import ingest
from tasks.seamless.model import model_digest
from tasks.stage.job import Job

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


def write_adaptation(folder: Path, count: int = 6, **changes: Any) -> Path:
    """Panoramas, a source model and a config, which is returned: three blocks of two panoramas."""
    write_panoramas(folder / "target", range(count))
    write_source_model(folder / "source_model")
    data = {
        "name": "discs",
        "root": str(folder / "store"),
        "source": {"url": str(folder / "target" / "images"), "truth": str(folder / "target")},
        "model": str(folder / "source_model"),
        "block_size": 2,
        "height": HEIGHT,
        "pool": {"rule": {"fixed": 0.6, "share": 0.5}, "per_class": 5},
        "training": {"steps": 4, "batch_size": 2, "crop": [64, 64], "learning_rate": 1e-4, "rates": {}},
        "scoring": {"least_stuff": 64},
        "checkpoint_every": 2,
        "execution": {"runner": {"workers": 2}, "pictures": 1, "device": "cpu"},
    }
    path = folder / "discs.yaml"
    path.write_text(yaml.safe_dump({**data, **changes}))
    return path


def plan_of(config: AdaptConfig) -> list[Step]:
    """Ingest, and the stages over what there is."""
    scan = ingest.scan(config)
    items = ingest.save(config, scan.known, [ingest.check_entry(entry, config.ingest) for entry in scan.to_read])
    return steps(config, model_digest(config.model), blocks_of(items))


def make_owed(config: AdaptConfig, run: str = "test", until: str = "") -> dict[str, int]:
    """Make every block without a receipt in this process; returns how many by stage. Stops before the stage ``until``."""
    made: dict[str, int] = {}
    for step in plan_of(config):
        if step.name == until:
            break
        done = blocks_with_receipts(config.root, step.name, step.stage.identity.fingerprint)
        for block in step.blocks:
            if block.name not in done:
                step.stage.make(Job(config, step.stage.identity, block, run))
                made[step.name] = made.get(step.name, 0) + 1
    return made


def block_of(config: AdaptConfig, stage: str, index: int = 0) -> tuple[str, Receipt]:
    """URL and receipt of a finished block."""
    step = next(step for step in plan_of(config) if step.name == stage)
    url = block_url(config.root, stage, step.stage.identity.fingerprint, step.blocks[index].name)
    receipt = read_receipt(url)
    assert receipt is not None
    return url, receipt


if __name__ == "__main__":
    print(write_adaptation(Path(sys.argv[1])))
