"""A flow that publishes finished labels, for schedules and for the UI; it asks before, if it is told to."""

from __future__ import annotations

from typing import Any, Literal

from prefect import State, flow
from prefect.states import Cancelled, Completed

from configs.execution import Approval
from flows.deploying.approval import REFUSED, NotApproved, ask, refuse_if_nobody_can_answer
from flows.publishing.publish import Prepared, prepare, write
from flows.running.parameters import ConfigParameter
from flows.telling.events import report_asset
from flows.telling.tags import config_tag, tag_this_run


@flow(name="panolabel-publish", flow_run_name="publish {config.name}")
def publish(
    config: ConfigParameter,
    name: str | None = None,
    to: Literal["zarr", "icechunk"] = "zarr",
    stage: str | None = None,
    allow_incomplete: bool = False,
    keep_removed: bool = False,
    approval: Approval | None = None,
) -> dict[str, Any] | State[Any]:
    """Publish the finished labels of a config as an immutable version, and make it the latest.

    Parameters
    ----------
    config : Config
    name : str, optional
        Name of the publication; the config's own if none is given.
    to : zarr or icechunk
    stage : str, optional
        Stage that gives the labels; by default the only one.
    allow_incomplete : bool
        Take what is finished even if blocks are owed.
    keep_removed : bool
        Keep panoramas that are in the source no more.
    approval : Approval, optional
        Ask before, in Prefect's UI; by default if the config says so. Nothing is asked where readers have these labels already.

    Raises
    ------
    ConfigError
        Somebody should be asked, but the server ends with this run.
    """
    tag_this_run(config_tag(config.name), "publish")
    asked = approval or config.execution.approval
    if asked:
        refuse_if_nobody_can_answer()
    prepared = prepare(config, name=name, allow_incomplete=allow_incomplete, to=to, stage=stage, keep_removed=keep_removed)
    given = None
    if asked and not prepared.is_latest:
        try:
            given = ask(question(prepared), asked)
        except NotApproved as no:
            return Cancelled(name=REFUSED, message=f"not published: {no}")
    record = write(prepared, given)
    if record["new"]:
        facts = {"config": config.name, "version": record["version"], "panoramas": record["panoramas"]}
        report_asset(record["url"], f"{config.name} labels", facts)
    done = "published as" if record["new"] else "are published already:"
    return Completed(message=f"{record['panoramas']} panoramas {done} version {record['version']}", data=record)


def question(prepared: Prepared) -> str:
    """What stands above the form: what would be published, and where."""
    finished = prepared.finished
    good = sum(bool(row["valid"]) for row in prepared.rows)
    lines = [
        f"**Publish the labels of `{finished.stage.key}` of `{prepared.config.name}`?**",
        f"- {good} panoramas with labels, {len(prepared.rows) - good} given up, {len(finished.left_out)} left out",
        f"- version `{prepared.version}`, to `{prepared.folder}`",
    ]
    if finished.owed:
        lines.append(f"- **incomplete**: {', '.join(f'{stage} owes {count} blocks' for stage, count in finished.owed.items())}")
    return "\n".join(lines)
