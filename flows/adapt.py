"""Source-free adaptation as one flow run.

    ingest -> predict -> scores -> thresholds -> omni -> pool -> adapt -> compare -> report

Every stage is a subflow, every block a task run, as in the main path; what already has its receipt does not run.
"""

from __future__ import annotations

from typing import Any

from prefect import flow
from prefect.runtime import flow_run

from configs.adapt import AdaptConfig
from configs.schema import Config
from configs.settings import ConfigError
from flows.invocation import command_for
from flows.pipeline import Kind, carry_out
from flows.plan import Plan
from flows.running.parameters import AdaptParameter
from flows.stores.record import new_run_name
from storage.receipts import blocks_with_receipts
from tasks.adapt.fit import refuse_misfit
from tasks.adapt.from_labels import STAGE as FUSED
from tasks.seamless.model import read_model


def _flow_run_name() -> str:
    config = flow_run.parameters["config"]
    return flow_run.parameters.get("run") or new_run_name(config.name if isinstance(config, AdaptConfig) else config["name"])


@flow(name="panolabel-adapt", flow_run_name=_flow_run_name, log_prints=False)
def adapt(
    config: AdaptParameter,
    run: str | None = None,
    retry: bool | list[str] = False,
    only: dict[str, list[str]] | None = None,
) -> dict[str, Any]:
    """Adapt a source model to unlabelled panoramas, and return the record of the run.

    Parameters
    ----------
    config : AdaptConfig
    run : name of the run in the ledger and in Prefect; by default made of time and config
    retry : try given-up panoramas again: all, or those named
    only : blocks by stage; of the owed ones make just these

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
    return carry_out(config, run or flow_run.name, retry, only, ADAPTATION)


def refuse(config: Config, plan: Plan) -> None:
    """Raise what :func:`adapt` says of a config that gives no panoramas, no model, or source data."""
    assert isinstance(config, AdaptConfig)
    if not plan.blocks:
        bad = [item for item in plan.scan.known if item.reason]
        why = f"; {len(bad)} files were given up, the first: {bad[0].item}: {bad[0].reason}" if bad else ""
        raise ConfigError(f"source.url: there is no panorama to adapt to in {config.source.url}{why}")
    model = read_model(config.model, plan.definitions[0].identity.weights["model"])
    refuse_misfit(config, model)
    refuse_unlabelled(config, plan)
    known = {name[:16] for name in model.trained_on}
    if seen := [item.item for item in plan.scan.known if item.digest[:16] in known]:
        raise ConfigError(
            f"source.url: the source model learned from {len(seen)} of these panoramas, with labels ({', '.join(seen[:3])}); "
            "an adaptation gets no source data: remove them"
        )


def refuse_unlabelled(config: AdaptConfig, plan: Plan) -> None:
    """Raise ConfigError if labels are to take the place of predictions, and are not finished."""
    labels = plan.definitions[0].identity.upstream.get(FUSED)
    done = set() if labels is None else set(blocks_with_receipts(config.root, FUSED, labels))
    if labels is not None and (owed := [block.name for block in plan.blocks if block.name not in done]):
        raise ConfigError(
            f"predictions: {len(owed)} of {len(plan.blocks)} blocks have no finished labels, {owed[0]} the first; "
            f"run `{command_for(config.predictions or '', 'run')}`"
        )


ADAPTATION = Kind(refuse)
