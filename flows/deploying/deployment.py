"""``python -m flows.deploying.deployment CONFIG``: register a config on a Prefect server, whose workers run it."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from configs.pipeline import Config
from configs.settings import ConfigError
from configs.trial import WHOLE, Trial
from flows.asked import asked_trial
from flows.running.server.answers import ask_version
from flows.running.server.proxies import loopback_without_proxies
from flows.running.server.settings import ServerError, server_that_must_be_named, settings_of_user
from flows.trials import reach
from tasks.pipeline import load

FLOWS = {
    "pipeline": "flows.pipeline.pipeline",
    "publish": "flows.deploying.publishing.publish",
    "verify": "flows.deploying.maintenance.verify",
    "gc": "flows.deploying.maintenance.gc",
}
"""What can be registered, and where it is."""


def register(
    config: Annotated[Path, typer.Argument(help="Pipeline config; it is kept on the server as it is now.")],
    pool: Annotated[str, typer.Option(help="Work pool that the workers poll.")] = "panolabel",
    cron: Annotated[str | None, typer.Option(help="When to run, such as '0 3 * * *' (UTC); by default only on demand.")] = None,
    flow: Annotated[str, typer.Option(help=f"What to run: {', '.join(FLOWS)}.")] = "pipeline",
    name: Annotated[str | None, typer.Option(help="Name of the deployment; the config's own, and the stages.")] = None,
    stage: Annotated[str | None, typer.Option(help="Only this stage.")] = None,
    until: Annotated[list[str] | None, typer.Option(help="Only this stage and what it is made from; may be repeated.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first N panoramas of each source.")] = None,
) -> None:
    """Register a config, or some stages of it, as the deployment ``panolabel/<its name>``."""
    try:
        trial = asked_trial(limit=limit, stage=stage, until=until)
        made = deploy(load(config), pool, cron, flow, trial, name)
    except (ServerError, ConfigError, FileNotFoundError) as error:
        print(f"error: {error}", file=sys.stderr)
        raise typer.Exit(2) from None
    print(f"registered; to run it: prefect deployment run {made}")


def deploy(
    config: Config, pool: str, cron: str | None = None, flow: str = "pipeline", trial: Trial = WHOLE, name: str | None = None
) -> str:
    """Register a flow of a config with it as its parameter; returns the deployment's name.

    The pool is made if it is not there. Workers import the flow by its module: the code is what is installed with them.

    Parameters
    ----------
    config : Config
    pool : str
    cron : str, optional
    flow : one of ``FLOWS``
    trial : Trial
        Some stages or panoramas in place of all.
    name : str, optional
        By default that of the config, followed by the keys of a trial's stages.

    Raises
    ------
    ConfigError
        There is no such flow or stage, a flow other than the pipeline should take a trial, or ``cron`` is no schedule.
    ServerError
        No server is named, or it does not answer: what is registered on a server that ends with this command is lost.
    """
    if flow not in FLOWS:
        raise ConfigError(f"--flow {flow}: must be one of {', '.join(FLOWS)}")
    if trial.words and flow != "pipeline":
        raise ConfigError(f"{trial.told}: is for --flow pipeline; {flow} takes all that the config has")
    reach(trial, config)  # refuses stages that are not there
    _refuse_no_schedule(cron)
    server = server_that_must_be_named()
    ask_version(server)
    with loopback_without_proxies(), settings_of_user(server, {}):
        return _register(config, pool, cron, FLOWS[flow], trial, name or deployment_name(config, trial))


def _refuse_no_schedule(cron: str | None) -> None:
    from prefect.client.schemas.schedules import CronSchedule

    try:
        CronSchedule(cron=cron or "0 3 * * *")
    except ValidationError as error:
        raise ConfigError(f"--cron {cron!r}: is no schedule ({error.errors()[0]['msg']}); write one as '0 3 * * *'") from None


def deployment_name(config: Config, trial: Trial) -> str:
    """``street``, or ``street-train`` for a trial of the stage ``train``."""
    stages = [trial.stage] if trial.stage else trial.until
    return "-".join([config.name, *stages, *["trial"] * trial.chooses])


def _register(config: Config, pool: str, cron: str | None, place: str, trial: Trial, name: str) -> str:
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import WorkPoolCreate
    from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
    from prefect.deployments.runner import RunnerDeployment
    from prefect.exceptions import ObjectAlreadyExists
    from prefect.flows import EntrypointType
    from prefect.utilities.importtools import import_object

    from flows.telling.tags import config_tag

    with get_client(sync_client=True) as client, suppress(ObjectAlreadyExists):
        client.create_work_pool(WorkPoolCreate(name=pool, type="process"))
    flow = import_object(place)
    parameters = {"config": anywhere(config.model_dump(mode="json"))}
    if trial.words:
        parameters["trial"] = trial.model_dump(mode="json", exclude_defaults=True)
    tags = ["panolabel", config_tag(config.name)]  # with which its runs begin: automations know them by it
    one_at_a_time = ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.ENQUEUE)
    how: dict[str, Any] = {"entrypoint_type": EntrypointType.MODULE_PATH, "concurrency_limit": one_at_a_time}
    made = flow.to_deployment(name, parameters=parameters, cron=cron, tags=tags, **how)
    assert isinstance(made, RunnerDeployment), "a coroutine only where an event loop runs"
    made.apply(work_pool_name=pool)
    return f"{flow.name}/{name}"


def anywhere(config: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a config, and of those that its stages are of, with folders from the root: workers stand elsewhere."""
    stages = [{key: _anywhere(values) for key, values in one.items()} for one in config["stages"]]
    return {**config, "folder": os.path.abspath(config["folder"]), "stages": stages}


def _anywhere(values: Mapping[str, Any]) -> Mapping[str, Any]:
    return {**values, "pipeline": anywhere(values["pipeline"])} if "pipeline" in values else values


if __name__ == "__main__":
    typer.run(register)
