"""``python -m flows.deploying.deployment CONFIG``: register a config on a Prefect server, whose workers run it."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer

from configs.pipeline import Config
from configs.settings import ConfigError
from flows.running.server.answers import ask_version
from flows.running.server.proxies import loopback_without_proxies
from flows.running.server.settings import ServerError, server_that_must_be_named, settings_of_user
from tasks.pipeline import load


def register(
    config: Annotated[Path, typer.Argument(help="Pipeline config; it is kept on the server as it is now.")],
    pool: Annotated[str, typer.Option(help="Work pool that the workers poll.")] = "panolabel",
    cron: Annotated[str | None, typer.Option(help="When to run, such as '0 3 * * *' (UTC); by default only on demand.")] = None,
) -> None:
    """Register a config as the deployment ``panolabel/<its name>``."""
    try:
        name = deploy(load(config), pool, cron)
    except (ServerError, ConfigError, FileNotFoundError) as error:
        print(f"error: {error}", file=sys.stderr)
        raise typer.Exit(2) from None
    print(f"registered; to run it: prefect deployment run {name}")


def deploy(config: Config, pool: str, cron: str | None = None) -> str:
    """Register the flow of a config with it as its parameter; returns the deployment's name.

    The pool is made if it is not there. Workers import the flow by its module: the code is what is installed with them.

    Raises
    ------
    ServerError
        No server is named, or it does not answer: what is registered on a server that ends with this command is lost.
    """
    server = server_that_must_be_named()
    ask_version(server)
    with loopback_without_proxies(), settings_of_user(server, {}):
        return _register(config, pool, cron)


def _register(config: Config, pool: str, cron: str | None) -> str:
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import WorkPoolCreate
    from prefect.deployments.runner import RunnerDeployment
    from prefect.exceptions import ObjectAlreadyExists
    from prefect.flows import EntrypointType

    from flows.pipeline import pipeline as flow

    with get_client(sync_client=True) as client, suppress(ObjectAlreadyExists):
        client.create_work_pool(WorkPoolCreate(name=pool, type="process"))
    parameters = {"config": anywhere(config.model_dump(mode="json"))}
    made = flow.to_deployment(config.name, parameters=parameters, cron=cron, entrypoint_type=EntrypointType.MODULE_PATH)
    assert isinstance(made, RunnerDeployment), "a coroutine only where an event loop runs"
    made.apply(work_pool_name=pool)
    return f"{flow.name}/{config.name}"


def anywhere(config: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a config, and of those that its stages are of, with folders from the root: workers stand elsewhere."""
    stages = [{key: _anywhere(values) for key, values in one.items()} for one in config["stages"]]
    return {**config, "folder": os.path.abspath(config["folder"]), "stages": stages}


def _anywhere(values: Mapping[str, Any]) -> Mapping[str, Any]:
    return {**values, "pipeline": anywhere(values["pipeline"])} if "pipeline" in values else values


if __name__ == "__main__":
    typer.run(register)
