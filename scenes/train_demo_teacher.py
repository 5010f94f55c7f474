"""Trains the small dense network that ships with panolabel, on views of procedural scenes.

One tiny TIPSv2-DPT says depth, normals and semantics at once. Training scenes have seeds from 0, unseen ones from 50000.
"""

from __future__ import annotations

import argparse
import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from scenes.training_shards import UNSEEN
from scenes.training_views import Views, load_views
from scenes.vocabulary import CLASSES

log = logging.getLogger("train_demo_teacher")
MEAN = STD = (0.5, 0.5, 0.5)
MAX_DEPTH = 80.0


@dataclass(frozen=True)
class Recipe:
    """All that decides what comes out."""

    seed: int = 0
    size: int = 128
    scenes: int = 500
    unseen_scenes: int = 60
    steps: int = 1100
    batch: int = 16
    learning_rate: float = 1.5e-3
    hidden: int = 144
    layers: int = 6
    fusion: int = 40


def build_network(recipe: Recipe) -> Any:
    """The untrained network, initialised by the recipe's seed."""
    from transformers import Tipsv2DptConfig, Tipsv2DptForDensePrediction, Tipsv2VisionConfig

    torch.manual_seed(recipe.seed)
    shape: dict[str, Any] = {"out_indices": [max(1, round(recipe.layers * share / 4)) for share in (1, 2, 3, 4)]}
    backbone = Tipsv2VisionConfig(
        **shape,
        hidden_size=recipe.hidden,
        num_hidden_layers=recipe.layers,
        num_attention_heads=4,
        mlp_ratio=3,
        image_size=recipe.size,
        patch_size=8,
        apply_layernorm=True,
        reshape_hidden_states=False,
    )
    config = Tipsv2DptConfig(
        backbone_config=backbone,
        neck_hidden_sizes=[recipe.fusion] * 4,
        fusion_hidden_size=recipe.fusion,
        reassemble_factors=[1, 1, 0.5, 0.25],
        num_depth_bins=64,
        max_depth=MAX_DEPTH,
        id2label=dict(enumerate(CLASSES)),
        label2id={name: index for index, name in enumerate(CLASSES)},
    )
    network = Tipsv2DptForDensePrediction(config)
    # The class is made to be loaded, not trained: its own initialisation gives activations of a hundred times the unit.
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            for part, factor in {
                "convolution2.weight": 0.1,
                "neck.convs": 0.3,
                "project.weight": 0.3,
                "head.weight": 0.05,
            }.items():
                if part in name:
                    parameter.mul_(factor)
    return network


Batch = dict[str, Tensor]


def batches(views: Views, recipe: Recipe) -> Iterator[Batch]:
    """Endless shuffled batches, mirrored and with changed light at random; every view once in each round."""
    generator = np.random.default_rng([recipe.seed, 1])
    while True:
        order = generator.permutation(len(views.image))
        for start in range(0, len(order) - recipe.batch + 1, recipe.batch):
            chosen = order[start : start + recipe.batch]
            yield to_batch(views, chosen, generator)


def to_batch(views: Views, chosen: NDArray[np.integer], generator: np.random.Generator | None = None) -> Batch:
    """Tensors of some views; with a generator, augmented."""
    image = views.image[chosen].astype(np.float32) / 255
    normals = views.normals[chosen].astype(np.float32) / 127
    depth, semantics = views.depth[chosen].astype(np.float32), views.semantics[chosen].astype(np.int64)
    if generator is not None:
        shape = (len(chosen), 1, 1, 1)
        gain = generator.uniform(0.7, 1.3, shape) * generator.uniform(0.9, 1.1, (len(chosen), 1, 1, 3))
        image = np.clip(image ** generator.uniform(0.8, 1.25, shape) * gain, 0, 1).astype(np.float32)
        mirrored = generator.random(len(chosen)) < 0.5
        for array in (image, normals, depth, semantics):
            array[mirrored] = array[mirrored, :, ::-1]
        normals[mirrored, ..., 0] *= -1
    pixels = torch.from_numpy((image - np.array(MEAN, np.float32)) / np.array(STD, np.float32)).permute(0, 3, 1, 2).contiguous()
    return {
        "pixels": pixels,
        "depth": torch.from_numpy(depth),
        "normals": torch.from_numpy(normals).permute(0, 3, 1, 2).contiguous(),
        "semantics": torch.from_numpy(semantics),
    }


def loss_of(network: Any, batch: Batch) -> Tensor:
    """Log-depth L1 + (1 - cosine) of the normals + cross-entropy, where each is defined."""
    with torch.autocast("cpu", torch.bfloat16):
        said = network(pixel_values=batch["pixels"])
    depth, normals, logits = predictions(said, batch["depth"].shape[-1])
    known = (batch["depth"] > 0) & (batch["depth"] < MAX_DEPTH)
    depth_loss = (torch.log(depth.clamp(min=1e-2)) - torch.log(batch["depth"].clamp(min=1e-2))).abs()[known].mean()
    cosine = F.cosine_similarity(normals, batch["normals"], dim=1)
    normal_loss = (1 - cosine)[batch["depth"] > 0].mean()
    return depth_loss + normal_loss + F.cross_entropy(logits, batch["semantics"], label_smoothing=0.02)


def predictions(said: Any, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Depth (N, s, s), normals (N, 3, s, s) and logits (N, classes, s, s) in float32 at full size."""

    def full(values: Tensor) -> Tensor:
        return F.interpolate(values.float(), (size, size), mode="bilinear", align_corners=False)

    return full(said.predicted_depth[:, None])[:, 0], full(said.normals), full(said.segmentation_logits)


def train(recipe: Recipe, views: Views, checkpoint: Path | None = None, every: int = 400) -> tuple[Any, list[float]]:
    """The trained network (an exponential moving average of its weights) and the loss of every step."""
    network = build_network(recipe).train()
    average = {name: value.detach().clone() for name, value in network.state_dict().items()}
    decay: list[Tensor] = []
    rest: list[Tensor] = []
    for parameter in network.parameters():
        (decay if parameter.ndim > 1 else rest).append(parameter)
    groups = [{"params": decay, "weight_decay": 0.05}, {"params": rest, "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, lr=recipe.learning_rate, betas=(0.9, 0.98))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, recipe.learning_rate, recipe.steps, pct_start=0.06)
    losses = []
    for step, batch in zip(range(1, recipe.steps + 1), batches(views, recipe)):
        loss = loss_of(network, batch)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        optimiser.zero_grad()
        losses.append(loss.item())
        keep = min(0.99, step / (step + 10))
        for name, value in network.state_dict().items():
            average[name].lerp_(value, 1 - keep) if value.is_floating_point() else average[name].copy_(value)
        if step % 50 == 0:
            log.info("step %d of %d: loss %.3f", step, recipe.steps, np.mean(losses[-50:]))
        if checkpoint and step % every == 0:
            save(averaged(recipe, average), recipe, checkpoint)
    return averaged(recipe, average), losses


def averaged(recipe: Recipe, average: dict[str, Tensor]) -> Any:
    """A network with the averaged weights."""
    network = build_network(recipe)
    network.load_state_dict(average)
    return network.eval()


@torch.inference_mode()
def evaluate(network: Any, views: Views, chosen: NDArray[np.integer]) -> dict[str, float]:
    """Accuracy over some views, all their pixels pooled; depth and normals where there is no sky."""
    relative, within, angles, right, confusion = [], [], [], [], np.zeros((len(CLASSES),) * 2)
    for start in range(0, len(chosen), 16):
        batch = to_batch(views, chosen[start : start + 16])
        depth, normals, logits = predictions(network(pixel_values=batch["pixels"]), batch["depth"].shape[-1])
        known = (batch["depth"] > 0) & (batch["depth"] < MAX_DEPTH)
        ratio = (depth / batch["depth"].clamp(min=1e-3))[known]
        relative.append((ratio - 1).abs())
        within.append(torch.maximum(ratio, 1 / ratio) < 1.25)
        cosine = F.cosine_similarity(normals, batch["normals"], dim=1)[batch["depth"] > 0]
        angles.append(torch.rad2deg(torch.acos(cosine.clamp(-1, 1))))
        said = logits.argmax(1)
        right.append((said == batch["semantics"]).flatten())
        np.add.at(confusion, (batch["semantics"].numpy().ravel(), said.numpy().ravel()), 1)
    union = confusion.sum(0) + confusion.sum(1) - np.diag(confusion)
    present = confusion.sum(1) > 0
    return {
        "abs_rel": float(torch.cat(relative).mean()),
        "delta1": float(torch.cat(within).float().mean()),
        "normal_mean_degrees": float(torch.cat(angles).mean()),
        "normal_median_degrees": float(torch.cat(angles).median()),
        "pixel_accuracy": float(torch.cat(right).float().mean()),
        "miou": float((np.diag(confusion)[present] / union[present]).mean()),
    }


def save(network: Any, recipe: Recipe, folder: Path) -> None:
    """Write the network in float16 with what its preprocessing needs, in the form of a transformers folder."""
    folder.mkdir(parents=True, exist_ok=True)
    half = build_network(recipe).half()
    half.load_state_dict(network.state_dict())
    half.save_pretrained(folder)
    size = {"height": recipe.size, "width": recipe.size}
    preprocessing = {
        "image_mean": MEAN,
        "image_std": STD,
        "size": size,
        "do_resize": True,
        "do_rescale": True,
        "do_normalize": True,
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessing, indent=1) + "\n")


def write_card(folder: Path, recipe: Recipe, network: Any, figures: dict[str, dict[str, float]]) -> None:
    """The model card: what the network is, what it was trained on, and how good it is on scenes it has not seen."""
    parameters = sum(parameter.numel() for parameter in network.parameters())
    names = list(next(iter(figures.values())))
    rows = "\n".join(f"| {kind} | " + " | ".join(f"{row[name]:.3f}" for name in names) + " |" for kind, row in figures.items())
    seen, unseen = 4 * recipe.scenes, 4 * recipe.unseen_scenes
    (folder / "README.md").write_text(f"""---
library_name: transformers
license: apache-2.0
---

# The demo teacher

A tiny TIPSv2-DPT (`Tipsv2DptForDensePrediction`, {parameters / 1e6:.2f} M parameters, float16) that says depth, normals and
semantics of a perspective view at once. Trained from scratch on {seen} views of {recipe.scenes} procedural rooms and streets by
`make teacher`; its weights are Apache-2.0 like the rest of panolabel. It makes the demo real and the tests honest. It has seen
no photograph: on real panoramas expect plausible floors and skies, not accuracy.

Input: {recipe.size} x {recipe.size} RGB, mean and deviation 0.5. Depth along the optical axis in metres, up to {MAX_DEPTH:g}.
Normals in the camera frame (x right, y down, z forward), facing the camera. Classes in `config.json`; class 0 is the sky, where
depth means nothing.

Accuracy on {unseen} views of {recipe.unseen_scenes} unseen scenes:

| scenes | {" | ".join(names)} |
|---|{"---|" * len(names)}
{rows}

Recipe: `{json.dumps(vars(recipe))}`
""")


def main() -> None:
    """Render or load the views, train, evaluate on unseen scenes, save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("models/teachers/demo"), help="folder for the network")
    parser.add_argument("--data", type=Path, default=Path("work/teacher/views"), help="folder for rendered views")
    for name, value in vars(Recipe()).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=value)
    arguments = vars(parser.parse_args())
    out, data = arguments.pop("out"), arguments.pop("data")
    recipe = Recipe(**arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    unseen = load_views(data, UNSEEN, recipe.unseen_scenes, recipe.size)
    views = load_views(data, 0, recipe.scenes, recipe.size)
    log.info("%d views to learn from, %d unseen", len(views.image), len(unseen.image))
    network, _ = train(recipe, views, out)
    every = np.arange(len(unseen.image))
    street = every // 4 % 2 == 1
    figures = {name: evaluate(network, unseen, every[kind]) for name, kind in {"rooms": ~street, "streets": street}.items()}
    figures["all"] = evaluate(network, unseen, every)
    save(network, recipe, out)
    write_card(out, recipe, network, figures)
    log.info("unseen scenes: %s", figures)


if __name__ == "__main__":
    main()
