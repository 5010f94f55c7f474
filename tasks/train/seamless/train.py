"""Source training: a seamless network learns from labelled pinhole images, the same whether it was interrupted or not.

    python -m tasks.train.seamless.train configs/trainings/source_street.yaml

    <output>/config.json, model.safetensors   the network, as transformers writes them
    <output>/figures.json                     its five figures on the validation images, and the thresholds behind them
    <output>/checkpoints/step-<number>.pt     what is needed to go on

What a step does follows from the config, the step and the state in the checkpoint before it.
"""

from __future__ import annotations

import argparse
import json
import warnings
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState, GradientState
from accelerate.utils import DistributedDataParallelKwargs
from torch import Tensor, nn

from metrics.seamless.quality import Figures
from models.seamless.branch import BranchSettings
from models.seamless.network import LARGE, SMALL, SeamlessNetwork, SeamlessSettings, Target
from models.seamless.proposals import ProposalSettings
from models.seamless.saved import SeamlessModel, model_files
from storage.fingerprint import digest
from storage.urls import join, read_bytes, write_bytes
from tasks.ingest.entries import SourceError
from tasks.seamless.reading import SeamlessData, open_seamless_data
from tasks.seamless.scores import score
from tasks.seamless.vocabularies import THINGS
from tasks.stage.job import BadItem
from tasks.train.checkpoints import load_checkpoint, save_checkpoint
from tasks.train.loop import Diverged, Log
from tasks.train.order import batch_of, epoch_order, steps_in
from tasks.train.seamless.crops import training_crop
from tasks.train.seamless.settings import Network, PinholeData, SourceTraining, load_source_training

Batch = tuple[Tensor, list[Target]]
"""Images (B, h, w, 3) uint8, and what is learned of each."""


def train_source(config: SourceTraining, log: Log) -> Figures | None:
    """Train, from the newest checkpoint on if there is one, save the network, and measure it if there is validation data.

    Raises
    ------
    SourceError
        There is no image, or none with labels that can be read.
    Diverged
        The loss is NaN or infinite.
    ValueError
        The checkpoints in the output folder are of another config, or the validation data do not say what is hidden.
    """
    data = _open(config.data)
    validation = None if config.validation is None else _open(config.validation)
    if validation is not None and not validation.about.amodal:
        raise ValueError(
            f"validation: {validation.kind} does not say what is hidden, so its figures cannot be measured; leave it out"
        )
    run = _Run(config, data)
    run.resume()
    for batch in run.batches():
        terms = run.step(batch)
        if run.done % config.log_every == 0:
            log(run.done, {name: float(term) for name, term in terms.items()})
        if run.done % config.checkpoint_every == 0 or run.done == config.steps:
            run.save()
    return run.finish(validation)


def _open(data: PinholeData) -> SeamlessData:
    return open_seamless_data(data.kind, data.root, data.split)


def seamless_settings(network: Network, classes: int, seam: int) -> SeamlessSettings:
    """Settings of the network that a config describes."""
    branch = BranchSettings(
        ProposalSettings(size=network.anchor, candidates=network.proposals, limit=network.proposals),
        hidden=network.hidden,
        mask_layers=network.mask_layers,
        sampled=network.sampled,
    )
    encoder = {**(SMALL if network.size == "small" else LARGE), **network.encoder_config}
    return SeamlessSettings(classes, THINGS, network.encoder, encoder, network.channels, seam, branch)


class _Losses(nn.Module):
    """The network's losses as a forward pass, through which alone several processes share gradients."""

    def __init__(self, network: SeamlessNetwork, amodal: bool) -> None:
        super().__init__()
        self.network, self.amodal = network, amodal

    def forward(self, images: Tensor, targets: list[Target], generator: torch.Generator) -> dict[str, Tensor]:
        terms = self.network.losses(images, targets, generator)
        # Images without whole masks would teach the amodal branch that there are no objects.
        return terms if self.amodal else {name: term for name, term in terms.items() if not name.startswith("amodals.")}


class _Run:
    """State of one training and what is done to it."""

    def __init__(self, config: SourceTraining, data: SeamlessData) -> None:
        self.config, self.data, self.done = config, data, 0
        self.checkpoints = join(config.output, "checkpoints")
        for shared in (AcceleratorState, GradientState):  # accelerate keeps them for a process; every training brings its own
            shared._reset_state()
        self.accelerator = Accelerator(
            mixed_precision=config.precision,
            cpu=config.device == "cpu",
            kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True)],
        )
        torch.manual_seed(config.seed)
        network = SeamlessNetwork(seamless_settings(config.network, len(data.about.classes), 0))
        self.plain = SeamlessModel(network.to(self.accelerator.device), data.about.classes)
        encoder = list(network.encoder.parameters())
        heads = [parameter for name, parameter in network.named_parameters() if not name.startswith("encoder.")]
        optimizer = torch.optim.AdamW([{"params": encoder}, {"params": heads}], lr=0.0, weight_decay=config.weight_decay)
        losses = _Losses(network, amodal=data.about.amodal)
        self.model, self.optimizer = self.accelerator.prepare(losses, optimizer)

    def batches(self) -> Iterator[Batch]:
        """This process's batch of every step that is still to be done, a few of them read ahead."""
        waiting: deque[Future[Batch]] = deque()
        with ThreadPoolExecutor(self.config.threads) as pool:
            for step in range(self.done, self.config.steps):
                waiting.append(pool.submit(self._batch, step))
                if len(waiting) > self.config.threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()

    def _batch(self, step: int) -> Batch:
        rank, world = self.accelerator.process_index, self.accelerator.num_processes
        size, seed = self.config.batch_size, self.config.seed
        everything = np.arange(len(self.data))
        rounds = max(1, -(-size * world // len(everything)))  # a small data set comes more than once in a batch
        per_epoch = steps_in(np.tile(everything, rounds), size, world)
        epoch, place = divmod(step, per_epoch)
        order = np.concatenate([epoch_order([everything], [1.0], seed, epoch * rounds + turn, 1) for turn in range(rounds)])
        examples = [self._example(order, position, step) for position in batch_of(place, size, rank, world)]
        return torch.from_numpy(np.stack([pixels for pixels, _ in examples])), [target for _, target in examples]

    def _example(self, order: np.ndarray, position: int, step: int) -> tuple[np.ndarray, Target]:
        """A crop of the image at a position, or of the next one that can be read."""
        for index in np.roll(order, -position):
            try:
                image, truth = self.data.labelled(int(index))
            except BadItem as error:
                warnings.warn(f"{error}; learning from the next one instead", stacklevel=2)
                continue
            generator = np.random.default_rng([self.config.seed, step, position])
            return training_crop(image, truth, self.config.crop, generator)
        raise SourceError(f"{self.data.root}: no image can be read with its labels; the warnings say why")

    def step(self, batch: Batch) -> dict[str, Tensor]:
        """One step of the optimizer; returns the terms of the loss."""
        self._set_rates()
        seeds = np.random.SeedSequence([self.config.seed, self.done, self.accelerator.process_index])
        seed, device = int(seeds.generate_state(1)[0]), self.accelerator.device
        torch.manual_seed(seed)
        self.model.train()
        images, targets = self.plain.normalised(batch[0].numpy()), [_moved(target, device) for target in batch[1]]
        with self.accelerator.autocast():
            # On the CPU, so that the same boxes are drawn whatever the device.
            terms = self.model(images, targets, torch.Generator().manual_seed(seed))
        self._refuse([name for name, term in terms.items() if not term.isfinite()])
        self.accelerator.backward(torch.stack(list(terms.values())).sum())
        norm = self.accelerator.clip_grad_norm_(self.model.parameters(), self.config.clip)
        # Scaled gradients of fp16 may overflow: then the scale falls, and the optimizer leaves the step out.
        self._refuse(["its gradient"] if self.config.precision != "fp16" and not norm.isfinite() else [])
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.done += 1
        return {name: term.detach() for name, term in terms.items()}

    def save(self) -> None:
        """Write a checkpoint of this moment."""
        scaler = self.accelerator.scaler
        state = {
            "network": self.plain.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": scaler.state_dict() if scaler else {},
            "step": self.done,
            "config": self.config.outcome(),
        }
        self._on_main(lambda: save_checkpoint(self.checkpoints, self.done, state, self.config.keep))

    def resume(self) -> None:
        """Go on from the newest checkpoint, if there is one."""
        state = load_checkpoint(self.checkpoints)
        if state is None:
            return
        if state["config"] != self.config.outcome():
            raise ValueError(f"{self.checkpoints}: these are checkpoints of another config; give another output, or remove them")
        self.plain.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.accelerator.scaler:
            self.accelerator.scaler.load_state_dict(state["scaler"])
        self.done = state["step"]

    def finish(self, validation: SeamlessData | None) -> Figures | None:
        """Save the network, as one for panoramas, and its figures."""
        self.plain.network.eval()
        figures: Figures | None = None
        if validation is not None:
            figures, rule = score(self.plain, validation, self.config.least_stuff)
            chosen = {"instance_score": rule.instance_score, "amodal_score": rule.amodal_score, "least_stuff": rule.least_stuff}
            content = json.dumps({**figures, **chosen, "images": len(validation)}, indent=1) + "\n"
            self._on_main(lambda: write_bytes(join(self.config.output, "figures.json"), content.encode()))
        self._on_main(self._save_network)
        return figures

    def _save_network(self) -> None:
        closed = SeamlessNetwork(replace(self.plain.network.settings, seam=self.config.network.seam))
        closed.load_state_dict(self.plain.network.state_dict())
        learned = sorted({digest(read_bytes(entry.uri)) for entry in self.data.entries})
        model = replace(self.plain, network=closed, trained_on=tuple(learned))
        # The config last: a folder with it is whole.
        for name, content in sorted(model_files(model).items(), reverse=True):
            write_bytes(join(self.config.output, name), content)

    def _set_rates(self) -> None:
        rate = self.config.learning_rate * (1 - self.done / self.config.steps) ** 0.9
        for group, factor in zip(self.optimizer.param_groups, (1.0, self.config.head_rate), strict=True):
            group["lr"] = rate * factor

    def _refuse(self, bad: list[str]) -> None:
        if bad:
            raise Diverged(
                f"step {self.done + 1}: the loss is no number any more ({', '.join(bad)}); the checkpoints in "
                f"{self.checkpoints} are from before. Lower the learning rate or the clip, and give another output"
            )

    def _on_main(self, write: Any) -> None:
        self.accelerator.wait_for_everyone()
        if self.accelerator.is_main_process:
            write()
        self.accelerator.wait_for_everyone()


def _moved(target: Target, device: torch.device) -> Target:
    return target.to(device)


def main() -> None:
    """The command line; see the top of this file."""
    parser = argparse.ArgumentParser(description="Train a seamless network on labelled pinhole images.")
    parser.add_argument("config", help="YAML file, see configs/trainings/source_street.yaml and docs/adapt.md")
    config = load_source_training(parser.parse_args().config)

    def say(step: int, terms: Mapping[str, float]) -> None:
        print(f"{step}/{config.steps} " + " ".join(f"{name} {value:.3f}" for name, value in terms.items()), flush=True)

    figures = train_source(config, say)
    shown = {name: "-" if value is None else f"{100 * value:.1f}" for name, value in (figures or {}).items()}
    print(config.output, *(f"{name} {value}" for name, value in shown.items()))


if __name__ == "__main__":
    main()
