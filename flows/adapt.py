"""Source-free adaptation as one flow run.

    ingest -> predict -> scores -> thresholds -> omni -> pool -> adapt -> compare -> report

Every stage is a subflow, every block a task run, as in the main path; what already has its receipt does not run.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import Annotated, Any

from prefect import flow, tags
from prefect.runtime import flow_run
from pydantic import ValidationError, ValidatorFunctionWrapHandler, WrapValidator

from configs.adapt import AdaptConfig
from configs.reading import explain
from configs.settings import ConfigError
from flows.adapt_report import publish_adaptation, step_counts, write_adapt_report
from flows.drain import Interrupted, draining_in_flow
from flows.labels import config_tag, tag_this_run
from flows.pipeline import ingest_source, run_stage
from flows.record import new_run_name, user_name
from flows.workers import Workers, start_workers
from storage.manifest import Block, Item, blocks_of
from storage.receipts import blocks_with_receipts
from storage.runs import write_run
from tasks.adapt.model import model_digest, read_model
from tasks.adapt.stages import Step, steps


def _explained(value: Any, validate: ValidatorFunctionWrapHandler) -> Any:
    try:
        return validate(value)
    except ValidationError as error:
        raise ConfigError(f"config:\n{explain(error, value, AdaptConfig)}") from error


AdaptParameter = Annotated[AdaptConfig, WrapValidator(_explained)]


def _flow_run_name() -> str:
    config = flow_run.parameters["config"]
    return flow_run.parameters.get("run") or new_run_name(config.name if isinstance(config, AdaptConfig) else config["name"])


@flow(name="panolabel-adapt", flow_run_name=_flow_run_name, log_prints=False)
def adapt(config: AdaptParameter, run: str | None = None, retry: bool | list[str] = False) -> dict[str, Any]:
    """Adapt a source model to unlabelled panoramas, and return the record of the run.

    Parameters
    ----------
    config : AdaptConfig
    run : name of the run in the ledger and in Prefect; by default made of time and config
    retry : try files that ingest gave up again: all, or those named

    Raises
    ------
    ConfigError
        There are no panoramas, or the source model learned from some of them.
    BadModel
        The source model cannot be read.
    RunFailed
        A stage could not finish; what is done stays done, and the next run goes on from there.
    Interrupted
        The process was asked to stop.
    """
    started = time.time()
    record: dict[str, Any] = {
        "run": run or flow_run.name,
        "user": user_name(),
        "process": os.getpid(),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "config": config.model_dump(mode="json"),
        "state": "running",
    }
    tag_this_run(config_tag(config.name))
    plan: list[Step] = []
    try:
        model = model_digest(config.model)
        with draining_in_flow(), tags(config_tag(config.name)), start_workers(config.execution.runner) as workers:
            items = ingest_source(config, retry, workers)
            refuse_source_images(config, model, items)
            plan = plan_steps(config, model, items)
            record["identities"] = {step.name: step.stage.identity.as_json() for step in plan}
            record["blocks"] = [block.name for block in plan[0].blocks]
            write_run(config.root, record)
            for step in plan:
                _run_step(step, config, record["run"], workers)
        outcome = write_adapt_report(config, plan, record)
        record |= {"state": "completed", **outcome}
    except BaseException as error:
        interrupted = isinstance(error, (Interrupted, KeyboardInterrupt))
        record |= {"state": "interrupted" if interrupted else "failed", "reason": f"{type(error).__name__}: {error}"}
        raise
    finally:
        record |= {"seconds": round(time.time() - started, 2), "stages": step_counts(config, plan, record["run"])}
        with suppress(OSError):  # a store that failed the run, a full disk say, may refuse its record too
            write_run(config.root, record)
    publish_adaptation(record)
    return record


def refuse_source_images(config: AdaptConfig, model: str, items: list[Item]) -> None:
    """Raise ConfigError if the source model learned from one of the panoramas with labels: that would be no adaptation."""
    known = {name[:16] for name in read_model(config.model, model).trained_on}
    if seen := [item.item for item in items if item.digest[:16] in known]:
        raise ConfigError(
            f"source.url: the source model learned from {len(seen)} of these panoramas, with labels ({', '.join(seen[:3])}); "
            "an adaptation gets no source data: remove them"
        )


def plan_steps(config: AdaptConfig, model: str, items: list[Item]) -> list[Step]:
    """The stages over the panoramas of a manifest.

    Raises
    ------
    ConfigError
        There is no panorama.
    """
    blocks = blocks_of(items)
    if not blocks:
        bad = [item for item in items if item.reason]
        why = f"; {len(bad)} files were given up, the first: {bad[0].item}: {bad[0].reason}" if bad else ""
        raise ConfigError(f"source.url: there is no panorama to adapt to in {config.source.url}{why}")
    return steps(config, model, blocks)


def owed_blocks(config: AdaptConfig, step: Step) -> list[Block]:
    """The blocks of a stage that have no receipt yet."""
    done = set(blocks_with_receipts(config.root, step.name, step.stage.identity.fingerprint))
    return [block for block in step.blocks if block.name not in done]


def _run_step(step: Step, config: AdaptConfig, run: str, workers: Workers) -> None:
    run_stage(step.stage, owed_blocks(config, step), config, run, workers)
