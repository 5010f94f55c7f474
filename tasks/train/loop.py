"""The training loop of every network: steps, averages, scores and checkpoints, the same whether it was interrupted or not.

What a step does follows from the seed, the step and the state in the checkpoint before it: batches in an order of their own,
random numbers seeded anew at every step. Devices, precision and several processes are accelerate's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState, GradientState
from accelerate.utils import DistributedDataParallelKwargs
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from models.learner import Learner
from tasks.stage.attempts.stopping import Stopped
from tasks.train.checkpoints import load_best, load_checkpoint, save_best, save_checkpoint
from tasks.train.progress import Diverged, Log, Progress
from tasks.train.settings import LoopSettings

SMALL = 2_000_000
"""Weights below which a network is trained by one thread of a CPU: several would spend their time waiting for each other, all the
more beside other work. So the sums of a small network do not depend on the machine's cores either."""


class Batches(Protocol):
    """What a network learns from, in the same order at every resume."""

    def batches(self, epoch: int, step: int, rank: int, world: int) -> Iterator[Any]:
        """The batches of an epoch from a step on, for one of ``world`` processes."""
        ...


def train(
    learner: Learner,
    data: Batches,
    settings: LoopSettings,
    url: str,
    log: Log,
    stop: Callable[[], bool] = lambda: False,
    held_out: Batches | None = None,
) -> Progress:
    """Train a network, from its newest checkpoint on if there is one.

    Parameters
    ----------
    learner : Learner
        Its model ends with the best average of its weights, or with the last weights where none is kept.
    data, held_out : Batches
        Without held-out ones the last average counts as the best, and nothing ends early.
    settings : LoopSettings
    url : str
        Folder of the checkpoints.
    log : Log
    stop : function
        Asked after every step whether to stop.

    Returns
    -------
    Progress

    Raises
    ------
    Stopped
        ``stop`` said so, in one of the processes; a checkpoint of this moment is there.
    Diverged
        The loss or its gradient is NaN or infinite; the message names the terms and the last good checkpoint.
    ValueError
        The checkpoints are of another training, or the losses refuse the labels.
    """
    with _own_threads():
        run = _Run(learner, settings, url)
        run.resume()
        for batches in run.steps(data):
            terms, told = run.step(batches)
            if run.due(settings.log_every) or told:
                log(run.progress.step, {**{name: float(term) for name, term in terms.items()}, **told})
            if held_out is not None and run.due(settings.score_every):
                log(run.progress.step, {"score": run.score(held_out)})
            stopping = run.any_process(stop()) and not run.over
            if run.due(settings.checkpoint_every) or run.over or stopping:
                run.save()
            if stopping:
                raise Stopped(f"stopped after step {run.progress.step} of {settings.steps}; its checkpoint is in {url}")
        return run.finish()


@contextmanager
def _own_threads() -> Iterator[None]:
    """Give the process its number of threads back."""
    threads = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(threads)


class _Run:
    """State of one training and what is done to it."""

    def __init__(self, learner: Learner, settings: LoopSettings, url: str) -> None:
        self.learner, self.settings, self.url, self.progress = learner, settings, url, Progress()
        for shared in (AcceleratorState, GradientState):  # accelerate keeps them for a process; every training brings its own
            shared._reset_state()
        self.accelerator = Accelerator(
            mixed_precision=settings.precision,
            gradient_accumulation_steps=settings.accumulate,
            cpu=settings.device == "cpu",
            # A batch may lack a task's labels, and backbones have weights that only their own training uses.
            kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True)],
        )
        if self.accelerator.device.type == "cpu" and sum(one.numel() for one in learner.model.parameters()) < SMALL:
            torch.set_num_threads(1)
        learner.to(self.accelerator.device)
        self.plain, self.groups = learner.model, learner.groups()
        self.average = None if settings.average is None else _average(self.plain, settings.average)
        groups = [{"params": list(group.parameters), "lr": group.rate} for group in self.groups]
        optimizer = torch.optim.AdamW(groups, weight_decay=settings.weight_decay, fused=settings.fused or None)
        self.model, self.optimizer = self.accelerator.prepare(self.plain, optimizer)

    def due(self, every: int) -> bool:
        return self.progress.step % every == 0

    @property
    def over(self) -> bool:
        return self.progress.step >= self.settings.steps or self.progress.since_best >= self.settings.patience

    def any_process(self, said: bool) -> bool:
        """Whether one of the processes said so: all must stop at the same step."""
        if self.accelerator.num_processes == 1:
            return said
        return bool(self.accelerator.reduce(torch.tensor(float(said), device=self.accelerator.device)) > 0)

    def steps(self, data: Batches) -> Iterator[list[Any]]:
        """The batches of each step that is still to be done, this process's share."""
        rank, world = self.accelerator.process_index, self.accelerator.num_processes
        taken: list[Any] = []
        while not self.over:
            for batch in data.batches(self.progress.epoch, self.progress.batch, rank, world):
                taken.append(batch)
                self.progress.batch += 1
                if len(taken) == self.settings.accumulate:
                    yield taken
                    taken = []
                    if self.over:
                        return
            self.progress.epoch, self.progress.batch = self.progress.epoch + 1, 0

    def step(self, batches: list[Any]) -> tuple[dict[str, Tensor], dict[str, float]]:
        """One step of the optimizer; returns the last batch's terms, rate and norm of the gradient, and what else to tell."""
        rate, norm, told = self._set_rates(), torch.zeros(()), dict[str, float]()
        self.model.train()
        for number, batch in enumerate(batches):
            generator = self._seeded(number)
            with self.accelerator.accumulate(self.model):
                terms = self._losses(self.model, batch, generator)
                total = torch.stack(list(terms.values())).sum()
                self._refuse([name for name, term in terms.items() if not term.isfinite()])
                if number == len(batches) - 1:
                    told = self.learner.figures(self.progress.step + 1, terms)
                self.accelerator.backward(total)
                if self.accelerator.sync_gradients:
                    norm = self.accelerator.clip_grad_norm_(self.model.parameters(), self.settings.clip)
                    # Scaled gradients of fp16 may overflow: then the scale falls, and the optimizer leaves the step out.
                    self._refuse(["its gradient"] if self.settings.precision != "fp16" and not norm.isfinite() else [])
                self.optimizer.step()
                self.optimizer.zero_grad()
        self.progress.step += 1
        if self.average is not None:
            self.average.update_parameters(self.plain)
        self.learner.after_step()
        detached = {name: term.detach() for name, term in terms.items()} | {"total": total.detach()}
        return {**detached, "optimizer.learning_rate": rate, "optimizer.gradient_norm": norm}, told

    def _seeded(self, number: int) -> torch.Generator:
        """Seed all random numbers of a step's batch, and a generator on the CPU."""
        words = [self.settings.seed, self.progress.step, number, self.accelerator.process_index]
        seed = int(np.random.SeedSequence(words).generate_state(1)[0])
        torch.manual_seed(seed)
        return torch.Generator().manual_seed(seed)

    def _losses(self, model: nn.Module, batch: Any, generator: torch.Generator) -> dict[str, Tensor]:
        with self.accelerator.autocast():
            return self.learner.losses(model, batch, generator)

    @torch.no_grad()
    def score(self, held_out: Batches) -> float:
        """Mean loss of the averaged weights on the held-out labels, which no one made by hand; the lower, the better."""
        model = self.plain if self.average is None else self.average.module
        model.eval()
        generator = torch.Generator().manual_seed(self.settings.seed)
        totals = [sum(self._losses(model, batch, generator).values()) for batch in held_out.batches(0, 0, 0, 1)]
        score = float(torch.stack([torch.as_tensor(total) for total in totals]).mean())
        if score < self.progress.best:
            self.progress.best, self.progress.since_best = score, 0
            self._on_main(save_best, {"model": model.state_dict(), "score": score, "step": self.progress.step})
        else:
            self.progress.since_best += 1
        return score

    def save(self) -> None:
        """Write a checkpoint of this moment."""
        state = {
            "model": self.plain.state_dict(), "optimizer": self.optimizer.state_dict(), "learner": self.learner.state(),
            "average": {} if self.average is None else self.average.state_dict(),
            "scaler": self.accelerator.scaler.state_dict() if self.accelerator.scaler else {},
            "progress": vars(self.progress).copy(), "threads": torch.get_num_threads(), "identity": self.settings.identity,
        }  # fmt: skip
        self._on_main(lambda url, whole: save_checkpoint(url, self.progress.step, whole, self.settings.keep), state)

    def resume(self) -> None:
        """Go on from the newest checkpoint, if there is one, with as many threads as it was made with: they split sums."""
        state = load_checkpoint(self.url)
        if state is None:
            return
        if state.get("identity", "") != self.settings.identity or vars(self.progress).keys() != state["progress"].keys():
            raise ValueError(
                f"{self.url}: these are checkpoints of another config or release; give another output, or remove them"
            )
        self.plain.load_state_dict(state["model"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.learner.load(state.get("learner", {}))
        if self.accelerator.scaler:
            self.accelerator.scaler.load_state_dict(state["scaler"])
        self.progress = Progress(**state["progress"])
        torch.set_num_threads(state.get("threads", torch.get_num_threads()))

    def finish(self) -> Progress:
        """Give the model its best weights."""
        best = load_best(self.url)
        self.accelerator.unwrap_model(self.model, keep_fp32_wrapper=False)
        vars(self.plain).pop("forward", None)  # the class's own again, which a copy takes along
        if best is not None:
            self.plain.load_state_dict(best["model"])
        elif self.average is not None:
            self.plain.load_state_dict(self.average.module.state_dict())
        self.plain.eval()
        return self.progress

    def _set_rates(self) -> Tensor:
        """Set the learning rates of this step; returns that of the last group."""
        settings, step, rate = self.settings, self.progress.step, 0.0
        rise = min((step + 1) / (settings.warmup_steps + 1), 1.0)
        for group, own in zip(self.optimizer.param_groups, self.groups, strict=True):
            rate = own.rate * rise * (1 - step / settings.steps) ** 0.9
            group["lr"] = rate * (step >= own.frozen_steps)
        return torch.tensor(rate, dtype=torch.float64)

    def _refuse(self, bad: list[str]) -> None:
        if bad:
            raise Diverged(
                f"step {self.progress.step + 1}: the loss is no number any more ({', '.join(bad)}); the checkpoints in "
                f"{self.url} are from before. Lower the learning rate or the clip, and run again: other settings begin anew"
            )

    def _on_main(self, write: Callable[[str, Mapping[str, Any]], None], state: Mapping[str, Any]) -> None:
        self.accelerator.wait_for_everyone()
        if self.accelerator.is_main_process:
            write(self.url, state)
        self.accelerator.wait_for_everyone()


def _average(model: nn.Module, decay: float) -> AveragedModel:
    return AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=False)
