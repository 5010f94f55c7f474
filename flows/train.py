"""Training as a flow: what a training would do and why, and one flow run that does it, with its record in the ledger."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from prefect import flow, tags, task
from prefect.exceptions import TerminationSignal
from prefect.runtime import flow_run

from configs.reading import load_config
from configs.settings import ConfigError
from flows.errors import Interrupted, RunFailed
from flows.invocation import command_for, typed
from flows.report import brief
from flows.running.drain import asked_to_stop, draining_in_flow, draining_on_signals
from flows.running.server import outlives_the_run
from flows.stores.finished import finished_labels
from flows.stores.record import new_run_name, user_name
from flows.telling.progress import observer
from flows.telling.shown import publish_section
from flows.telling.tags import config_tag, stage_tags
from storage.credentials import mask_settings
from storage.fingerprint import differences
from storage.receipts import Receipt, damage
from storage.runs import latest_run, write_run
from storage.urls import join, location
from tasks.pages.shown import Section
from tasks.stage.prefect_task import passing_fault
from tasks.train.checkpoints import load_checkpoint
from tasks.train.labels.data import LabelStore
from tasks.train.progress import Diverged, Stopped
from tasks.train.student.settings import TrainingConfig
from tasks.train.student.shown import PAGE, student_pieces
from tasks.train.train import STAGE, Training, check_training, train_student


@dataclass(frozen=True)
class TrainingPlan:
    """What a training would do. ``step`` is that of the checkpoint it goes on from; all steps are done if it is finished."""

    training: Training
    panoramas: int
    step: int
    reasons: tuple[str, ...]

    @property
    def finished(self) -> bool:
        """Whether there is nothing to do."""
        return self.training.receipt is not None

    def as_json(self) -> dict[str, Any]:
        """The plan as JSON values, with the receipt of a finished training."""
        training, receipt = self.training, self.training.receipt
        return {
            "state": "finished" if receipt else "interrupted" if self.step else "to train",
            "stage": STAGE,
            "fingerprint": training.identity.fingerprint,
            "step": self.step,
            "steps": training.config.training.steps,
            "panoramas": self.panoramas,
            "labels": [_told(store) for store in training.stores],
            "reasons": list(self.reasons),
            **(_outcome(training, receipt) if receipt else {}),
        }


def plan_training(config: TrainingConfig) -> TrainingPlan:
    """Compare a training with its labels and its store.

    Raises
    ------
    ValueError
        Labels are owed, or labels, student and settings do not fit together; the message says what to change.
    """
    training = Training(config, [_store(one.config, one.set, one.weight, one.allow_incomplete) for one in config.stores])
    panoramas = check_training(training)
    if (receipt := training.receipt) is not None:
        return TrainingPlan(training, panoramas, receipt.about["steps"], ())
    checkpoint = load_checkpoint(training.checkpoints)
    return TrainingPlan(training, panoramas, checkpoint["progress"]["step"] if checkpoint else 0, _reasons(training))


def verify_training(plan: TrainingPlan) -> dict[str, Any]:
    """Read back every byte of a finished training and compare it with its receipt; nothing is changed.

    Returns
    -------
    dict
        ``files`` and ``bytes`` that the receipt names, and ``broken``: a line for each file that is not what it says.

    Raises
    ------
    ConfigError
        The training is not finished.
    """
    training, receipt = plan.training, plan.training.receipt
    if receipt is None:
        raise ConfigError(f"{training.url}: has no receipt, so the training is not finished; {typed('train')} goes on with it")
    return {"files": len(receipt.files), "bytes": receipt.bytes, "broken": damage(training.url, receipt), "url": training.url}


def _store(path: str, replaced: Mapping[str, Any], weight: float, allow_incomplete: bool) -> LabelStore:
    config = load_config(path, dict(replaced))
    replaced_by = [word for key, value in replaced.items() for word in ("--set", f"{key}={json.dumps(value)}")]
    remake = command_for(path, "run", *replaced_by)
    return LabelStore(config, finished_labels(config, allow_incomplete, remake=remake).blocks, weight)


def _told(store: LabelStore) -> dict[str, Any]:
    items = [row for _, _, receipt in store.blocks for row in receipt.items]
    return {
        "name": store.config.name,
        "fingerprint": store.blocks[0][2].fingerprint,
        "panoramas": sum(row.state == "done" for row in items),
        "weight": store.weight,
    }


def _reasons(training: Training) -> tuple[str, ...]:
    """Why there is no student yet, by what the last run of this name had."""
    before = latest_run(training.config.root, training.config.name)
    identity = (before or {}).get("identities", {}).get(STAGE)
    if before is None or identity is None:
        return ("first run",)
    if changes := differences(identity, training.identity.as_json()):
        return tuple(map(str, changes))
    return ("labels changed",) if before["blocks"] != [training.block] else (f"the last run {before['state']}",)


@flow(name="panolabel-train", log_prints=False, validate_parameters=False)
def training_flow(config: TrainingConfig, run: str) -> dict[str, Any]:
    """Train what a config asks for, from the last checkpoint on, and return the record of the run.

    Raises
    ------
    RunFailed
        The loss diverged, or the store failed; the checkpoints are there, and the next run goes on from the last.
    Interrupted
        The process was asked to stop; a checkpoint of that moment is there.
    """
    plan = plan_training(config)
    record = _Record(plan, run)
    try:
        with tags(config_tag(config.name), *stage_tags(STAGE)), draining_in_flow():
            receipt = _in_a_task(plan, run)
    except BaseException as error:
        told = _as_outcome(error)
        with suppress(OSError):  # a full disk may refuse the record too
            record.finished("interrupted" if isinstance(told, (Interrupted, KeyboardInterrupt)) else "failed", reason=str(told))
        raise told from error
    publish_section(Section(STAGE, STAGE, student_pieces(plan.training.url, receipt)))
    return record.finished("completed", **_outcome(plan.training, receipt))


def _in_a_task(plan: TrainingPlan, run: str) -> Receipt:
    """Train in a task run; the labels are no parameters: Prefect would look into every item."""
    done = plan.step

    def show(step: int, _figures: Mapping[str, float]) -> None:
        nonlocal done
        observer().items_done(STAGE, max(step - done, 0), 0)
        done = max(step, done)

    @task(name=STAGE, task_run_name=STAGE, retries=2, retry_delay_seconds=[1, 5], retry_condition_fn=passing_fault)
    def train() -> Receipt | Exception:
        try:
            return train_student(plan.training, run, show, asked_to_stop)
        except (Stopped, Diverged, ValueError) as error:  # told once, by the flow, and not tried again
            return error

    observer().stage_started(STAGE, plan.training.config.training.steps)
    observer().items_done(STAGE, plan.step, 0)
    came = train()
    if isinstance(came, Exception):
        raise came
    return came


def train_beside(plan: TrainingPlan) -> None:
    """Take part in a training as one of several processes, not the first one, which has the flow run and tells.

    Raises
    ------
    RunFailed, Interrupted
        As :func:`training_flow`.
    """
    try:
        with draining_on_signals():
            train_student(plan.training, "", stop=asked_to_stop)
    except (Stopped, Diverged, OSError) as error:
        raise _as_outcome(error) from error


def _as_outcome(error: BaseException) -> BaseException:
    if isinstance(error, Stopped):
        return Interrupted(str(error))
    if isinstance(error, TerminationSignal):  # where nothing drains, Prefect's handler of SIGTERM waits for nothing
        return Interrupted("stopped by SIGTERM; the next run goes on from the last checkpoint")
    return RunFailed(str(error)) if isinstance(error, (Diverged, OSError)) else error


def _outcome(training: Training, receipt: Receipt) -> dict[str, Any]:
    about = {name: receipt.about[name] for name in ("weights", "figures", "held_out", "steps", "parameters", "labels", "skipped")}
    places = {"model": join(training.url, "model"), "page": join(training.url, PAGE)}
    return {
        **{name: location(url) for name, url in places.items()},
        "receipt": training.url,
        **about,
        "made": dict(receipt.made),
        "shown": brief(student_pieces(training.url, receipt)),
    }


class _Record:
    """The run in ``<root>/runs``: what the next plan compares with, and what ``gc`` of a shared root keeps."""

    def __init__(self, plan: TrainingPlan, run: str) -> None:
        training, self._started = plan.training, time.time()
        self._root = training.config.root
        self._data: dict[str, Any] = {
            "run": run,
            "user": user_name(),
            "process": os.getpid(),
            "host": platform.node(),
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
            "config": training.config.model_dump(mode="json"),
            "state": "running",
            "prefect": (flow_run.ui_url or "") if outlives_the_run() else "",
            "identities": {STAGE: training.identity.as_json()},
            "blocks": [training.block],
        }
        write_run(self._root, self._data)

    def finished(self, state: str, **more: Any) -> dict[str, Any]:
        """Note how it ended; returns the record."""
        self._data |= {"state": state, "seconds": round(time.time() - self._started, 2), **mask_settings(more)}
        write_run(self._root, self._data)
        return dict(self._data)


def new_training_run(config: TrainingConfig) -> str:
    """A name for a run that sorts by time."""
    return new_run_name(config.name)
