"""The training loop: steps, averages, scores and checkpoints, the same whether it was interrupted or not.

What a step does follows from the seed, the step and the state in the checkpoint before it: batches from
:mod:`tasks.train.labels.data`, random numbers seeded anew at every step. Devices, precision and several processes are
accelerate's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState, GradientState
from accelerate.utils import DistributedDataParallelKwargs
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from models.student import StudentModel
from models.student.cosines import gradient_cosines, task_losses
from models.student.losses import student_losses
from tasks.train.checkpoints import load_best, load_checkpoint, save_best, save_checkpoint
from tasks.train.labels.data import Batch, TrainingData
from tasks.train.settings import TrainSettings

Log = Callable[[int, Mapping[str, float]], None]
"""Takes the step and named figures: print, a file, TensorBoard, MLflow."""


class Stopped(RuntimeError):
    """Training was asked to stop, and left a checkpoint of that moment."""


class Diverged(RuntimeError):
    """The loss is no number any more. The checkpoints are from before."""


@dataclass
class Progress:
    """Where a training is; part of its checkpoint."""

    step: int = 0
    epoch: int = 0
    batch: int = 0
    best: float = float("inf")
    since_best: int = 0


def train(
    model: StudentModel,
    data: TrainingData,
    held_out: TrainingData | None,
    settings: TrainSettings,
    url: str,
    log: Log,
    stop: Callable[[], bool] = lambda: False,
) -> Progress:
    """Train a student, from its newest checkpoint on if there is one. The model ends with the best average of its weights.

    Parameters
    ----------
    model : StudentModel
    data, held_out : TrainingData
        Without a held-out split the last average counts as the best, and nothing ends early.
    settings : TrainSettings
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
        The loss is NaN or infinite; the message names the terms and the last good checkpoint.
    ValueError
        The student and the labels have no task in common or other classes, or the losses refuse the labels.
    """
    _check_match(model, data)
    run = _Run(model, settings, url)
    with _own_threads():
        run.resume()
        return _train(run, data, held_out, log, stop)


def _train(run: _Run, data: TrainingData, held_out: TrainingData | None, log: Log, stop: Callable[[], bool]) -> Progress:
    settings = run.settings
    for batches in run.steps(data):
        terms = run.step(batches)
        if run.due(settings.log_every) or run.due(settings.cosines_every):
            log(run.progress.step, {name: float(term) for name, term in terms.items()})
        if held_out is not None and run.due(settings.score_every):
            log(run.progress.step, {"score": run.score(held_out)})
        stopping = run.any_process(stop()) and not run.over
        if run.due(settings.checkpoint_every) or run.over or stopping:
            run.save()
        if stopping:
            raise Stopped(f"stopped after step {run.progress.step} of {settings.steps}; its checkpoint is in {run.url}")
    return run.finish()


@contextmanager
def _own_threads() -> Iterator[None]:
    """Give the process its number of threads back."""
    threads = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _check_match(model: StudentModel, data: TrainingData) -> None:
    learns, has = model.config.main_tasks, data.settings.item.tasks
    if not set(learns) & set(has):
        raise ValueError(f"the student learns {', '.join(learns)}, but labels of {', '.join(has)} are read: nothing in common")
    names = tuple((model.config.id2label or {}).values())
    if "semantics" in learns and "semantics" in has and names != data.classes:
        raise ValueError(
            f"the student has {len(names)} classes ({', '.join(names[:3])}, ...) and the labels {len(data.classes)} "
            f"({', '.join(data.classes[:3])}, ...); make the student with id2label=dict(enumerate(classes)) of the labels"
        )


class _Run:
    """State of one training and what is done to it."""

    def __init__(self, model: StudentModel, settings: TrainSettings, url: str) -> None:
        self.settings, self.url, self.progress = settings, url, Progress()
        for shared in (AcceleratorState, GradientState):  # accelerate keeps them for a process; every training brings its own
            shared._reset_state()
        self.accelerator = Accelerator(
            mixed_precision=settings.precision,
            gradient_accumulation_steps=settings.accumulate,
            cpu=settings.device == "cpu",
            # A batch may lack a task's labels, and backbones have weights that only their own training uses.
            kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True)],
        )
        self.plain = model.to(self.accelerator.device)
        self.average = AveragedModel(self.plain, multi_avg_fn=get_ema_multi_avg_fn(settings.average), use_buffers=False)
        backbone = list(model.backbone.parameters())
        others = [parameter for name, parameter in model.named_parameters() if not name.startswith("backbone.")]
        groups = [{"params": backbone}, {"params": others}]
        optimizer = torch.optim.AdamW(groups, lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True)
        self.model, self.optimizer = self.accelerator.prepare(self.plain, optimizer)

    def due(self, every: int | None) -> bool:
        return every is not None and self.progress.step % every == 0

    @property
    def over(self) -> bool:
        return self.progress.step >= self.settings.steps or self.progress.since_best >= self.settings.patience

    def any_process(self, said: bool) -> bool:
        """Whether one of the processes said so: all must stop at the same step."""
        if self.accelerator.num_processes == 1:
            return said
        return bool(self.accelerator.reduce(torch.tensor(float(said), device=self.accelerator.device)) > 0)

    def steps(self, data: TrainingData) -> Iterator[list[Batch]]:
        """The batches of each step that is still to be done, this process's share."""
        rank, world = self.accelerator.process_index, self.accelerator.num_processes
        taken: list[Batch] = []
        while not self.over:
            for batch in data.batches(self.progress.epoch, self.progress.batch, rank, world):
                taken.append(batch)
                self.progress.batch = batch.step + 1
                if len(taken) == self.settings.accumulate:
                    yield taken
                    taken = []
                    if self.over:
                        return
            self.progress.epoch, self.progress.batch = self.progress.epoch + 1, 0

    def step(self, batches: list[Batch]) -> dict[str, Tensor]:
        """One step of the optimizer; returns the terms of the last batch, the learning rate and the norm of the gradient."""
        rate, norm, cosines = self._set_rates(), torch.zeros(()), dict[str, Tensor]()
        self.model.train()
        for number, batch in enumerate(batches):
            seeds = np.random.SeedSequence([self.settings.seed, self.progress.step, number, self.accelerator.process_index])
            torch.manual_seed(int(seeds.generate_state(1)[0]))
            with self.accelerator.accumulate(self.model):
                terms = self._losses(self.model, batch)
                total = torch.stack(list(terms.values())).sum()
                self._refuse([name for name, term in terms.items() if not term.isfinite()])
                cosines = self._cosines(terms) if number == len(batches) - 1 else {}
                self.accelerator.backward(total)
                if self.accelerator.sync_gradients:
                    norm = self.accelerator.clip_grad_norm_(self.model.parameters(), self.settings.clip)
                    # Scaled gradients of fp16 may overflow: then the scale falls, and the optimizer leaves the step out.
                    self._refuse(["its gradient"] if self.settings.precision != "fp16" and not norm.isfinite() else [])
                self.optimizer.step()
                self.optimizer.zero_grad()
        self.progress.step += 1
        self.average.update_parameters(self.plain)
        detached = {name: term.detach() for name, term in terms.items()}
        return {**detached, "total": total.detach(), "optimizer.learning_rate": rate, "optimizer.gradient_norm": norm, **cosines}

    def _cosines(self, terms: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """How far the gradients of tasks agree, in the steps in which that is asked for."""
        every = self.settings.cosines_every
        if every is None or (self.progress.step + 1) % every:
            return {}
        found = gradient_cosines(self.plain, task_losses(terms))
        return {f"cosines.{name}": torch.tensor(value) for name, value in found.items()}

    @torch.no_grad()
    def score(self, held_out: TrainingData) -> float:
        """Mean loss of the averaged weights on the held-out labels, which no one made by hand; the lower, the better."""
        self.average.eval()
        totals = [sum(self._losses(self.average, batch).values()) for batch in held_out.batches(0)]
        score = float(torch.stack([torch.as_tensor(total) for total in totals]).mean())
        if score < self.progress.best:
            self.progress.best, self.progress.since_best = score, 0
            self._on_main(save_best, {"model": self.average.module.state_dict(), "score": score, "step": self.progress.step})
        else:
            self.progress.since_best += 1
        return score

    def save(self) -> None:
        """Write a checkpoint of this moment."""
        state = {
            "model": self.plain.state_dict(), "average": self.average.state_dict(), "optimizer": self.optimizer.state_dict(),
            "scaler": self.accelerator.scaler.state_dict() if self.accelerator.scaler else {},
            "progress": vars(self.progress).copy(), "threads": torch.get_num_threads(),
        }  # fmt: skip
        self._on_main(lambda url, whole: save_checkpoint(url, self.progress.step, whole, self.settings.keep), state)

    def resume(self) -> None:
        """Go on from the newest checkpoint, if there is one, with as many threads as it was made with: they split sums."""
        state = load_checkpoint(self.url)
        if state is None:
            return
        self.plain.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.accelerator.scaler:
            self.accelerator.scaler.load_state_dict(state["scaler"])
        self.progress = Progress(**state["progress"])
        torch.set_num_threads(state.get("threads", torch.get_num_threads()))

    def finish(self) -> Progress:
        """Give the model its best weights."""
        best = load_best(self.url)
        self.accelerator.unwrap_model(self.model, keep_fp32_wrapper=False)
        vars(self.plain).pop("forward", None)  # the class's own again, which a copy takes along
        self.plain.load_state_dict(self.average.module.state_dict() if best is None else best["model"])
        self.plain.eval()
        return self.progress

    def _losses(self, model: torch.nn.Module, batch: Batch) -> dict[str, Tensor]:
        device = self.accelerator.device
        labels = {task: label.to(device) for task, label in batch.labels.items()}
        with self.accelerator.autocast():
            output = model(batch.images.to(device, non_blocking=True).float() / 255)
        try:
            return student_losses(output, labels, self.settings.losses)
        except ValueError as error:  # tells which item of the batch, not its name
            raise ValueError(f"panoramas {', '.join(batch.items)}: {error}") from error

    def _set_rates(self) -> Tensor:
        """Set the learning rates of this step; returns that of all but the backbone."""
        settings, step = self.settings, self.progress.step
        rise = min((step + 1) / (settings.warmup_steps + 1), 1.0)
        rate = settings.learning_rate * rise * (1 - step / settings.steps) ** 0.9
        for group, share in zip(self.optimizer.param_groups, (float(step >= settings.frozen_steps), 1.0), strict=True):
            group["lr"] = rate * share
        return torch.tensor(rate, dtype=torch.float64)

    def _refuse(self, bad: list[str]) -> None:
        if bad:
            raise Diverged(
                f"step {self.progress.step + 1}: the loss is no number any more ({', '.join(bad)}); the checkpoints in "
                f"{self.url} are from before. Lower the learning rate or the clip, and run again: it goes on from the last one"
            )

    def _on_main(self, write: Callable[[str, Mapping[str, Any]], None], state: Mapping[str, Any]) -> None:
        self.accelerator.wait_for_everyone()
        if self.accelerator.is_main_process:
            write(self.url, state)
        self.accelerator.wait_for_everyone()
