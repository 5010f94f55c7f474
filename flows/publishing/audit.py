"""One stage of a pipeline by itself, over what is there already, and a page of what it found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from configs.pipeline import Config, Entry
from configs.settings import ConfigError
from flows.invocation import typed
from flows.plan import Plan
from flows.report import Found, brief, write_page
from flows.stores.items import quarantined_items
from flows.stores.made import made_of
from tasks.pages.shown import render_page
from tasks.pipeline import plain_stages
from tasks.stage.kind import Stage, upstream_names


def with_stage(config: Config, kind: str, values: Mapping[str, Any]) -> tuple[Config, str]:
    """The config with a stage of a kind, and its key: the one that it has, or one that is added as late as it fits.

    Settings of a stage that is there already are replaced by ``values``.
    """
    own = [entry for entry in config.stages if entry.kind == kind]
    if not own:
        return _with_added(config, Entry(key=kind, kind=kind, values=dict(values))), kind
    chosen = own[-1].model_copy(update={"values": {**own[-1].values, **values}})
    stages = tuple(chosen if entry.key == chosen.key else entry for entry in config.stages)
    return config.model_copy(update={"stages": stages}), chosen.key


def _with_added(config: Config, added: Entry) -> Config:
    """The config with one more stage, after the last one behind which it finds what it reads.

    A file may go on with other panoramas, of which there are predictions, say, and no labels of teachers.
    """
    refused: ConfigError | None = None
    for at in range(len(config.stages), 0, -1):
        one = config.model_copy(update={"stages": (*config.stages[:at], added, *config.stages[at:])})
        try:
            plain_stages(one)
        except ConfigError as error:
            refused = refused or error
        else:
            return one
    assert refused is not None, "a pipeline has a stage"
    raise refused


def owed_by(config: Config, plan: Plan, key: str) -> dict[str, list[str]]:
    """What a stage owes of the blocks that are there of what it reads first, with what else it must read: stage -> blocks.

    Raises
    ------
    ConfigError
        Nothing of what it reads is there.
    """
    stage = plan.step(key).stage
    first = next(iter(upstream_names(stage.inputs).values()))
    there = {receipt.block for _, receipt in plan.receipts.of(plan.step(first.key))}
    if not there:
        raise ConfigError(f"{config.root}: no panorama has {first.kind.gives} under this config; make them with {typed('run')}")
    wanted = {key, *_dropped_behind(stage)}
    chosen = {one: [block for block in plan.owed[one] if block in there] for one in plan.owed if one in wanted}
    return {one: blocks for one, blocks in chosen.items() if blocks}


def _dropped_behind(stage: Stage) -> set[str]:
    """Keys of the stages whose data may have been dropped that a stage reads, or that these were made from."""
    read = [one for one in upstream_names(stage.inputs).values() if not one.keeps_data]
    return {one.key for one in read}.union(*(_dropped_behind(one) for one in read))


def write_page_of(config: Config, plan: Plan, key: str) -> dict[str, Any]:
    """Write ``<root>/reports/<key>-<config>.html`` of what a stage's blocks show.

    Returns
    -------
    dict
        What the stage's summary says, ``page``, the path of the page, and ``shown``, what a terminal prints; empty if it made
        nothing.
    """
    found = Found()
    section = found.add(made_of(config, plan, plan.step(key)))
    if not section.pieces:
        return {}
    html = render_page(title=f"{config.name}: {key}", sections=[section], quarantined=quarantined_items(plan))
    return {**found.summary.get(key, {}), "page": write_page(config, f"{key}-{config.name}", html), "shown": brief([section])}
