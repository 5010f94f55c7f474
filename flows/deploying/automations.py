"""``python -m flows.deploying.automations CONFIG --notify URL``: be told of deployed runs that fail, are done, or are dead."""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer

from configs.settings import ConfigError
from flows.running.server.answers import ask_version
from flows.running.server.proxies import loopback_without_proxies
from flows.running.server.settings import ServerError, server_that_must_be_named, settings_of_user
from tasks.pipeline import load

LEAST_SECONDS = 60
"""Prefect sends no two heartbeats within 30 seconds, by default one every 180."""
app = typer.Typer(pretty_exceptions_enable=False)  # whose tracebacks would show the URL


@app.command()
def automate(
    config: Annotated[Path, typer.Argument(help="Pipeline config; all deployments of its name are meant.")],
    notify: Annotated[
        str | None,
        typer.Option(
            envvar="PANOLABEL_NOTIFY",
            metavar="URL",
            help="Webhook that gets a POST of JSON; it is kept secret.",
            show_default=False,
        ),
    ] = None,
    dead_after: Annotated[
        float, typer.Option(min=LEAST_SECONDS, help="Seconds without a sign of life; a heartbeat is due every 180.")
    ] = 600.0,
    remove: Annotated[bool, typer.Option("--remove", help="Remove them all.")] = False,
) -> None:
    """Have the Prefect server tell a webhook of the deployed runs of a config; doing so again replaces what was asked before."""
    try:
        name = load(config).name
        if remove:
            stop_notifying(name)
            print(f"removed; nobody is told of runs of {name}")
            return
        if notify is None:
            raise ConfigError("--notify URL: is missing (or PANOLABEL_NOTIFY); to be told no more, give --remove")
        made = start_notifying(name, notify, timedelta(seconds=dead_after))
    except (ServerError, ConfigError, FileNotFoundError) as error:
        print(f"error: {error}", file=sys.stderr)
        raise typer.Exit(2) from None
    print(f"{host(notify)} is told of these: {', '.join(made)}")


def start_notifying(config: str, url: str, dead_after: timedelta) -> list[str]:
    """Register the automations of the config of a name on the server that the user named; returns what they are called.

    Parameters
    ----------
    config : str
        Name of the config.
    url : str
        Webhook. It is kept on the server as a secret.
    dead_after : timedelta
        A run of which nothing is heard for so long is dead: it becomes ``Dead``, of the type Crashed, and that is told.

    Raises
    ------
    ConfigError
        The URL is none.
    ServerError
        No server is named, or it does not answer.
    """
    if not host(url):
        raise ConfigError("--notify: must be an http(s) URL, such as https://hooks.example.com/T000/B000/secret")
    server = server_that_must_be_named()
    ask_version(server)
    with loopback_without_proxies(), settings_of_user(server, {}):
        from prefect.client.orchestration import get_client

        from flows.deploying.notifications import notify

        with get_client(sync_client=True) as client:
            return list(notify(client, config, url, dead_after))


def stop_notifying(config: str) -> None:
    """Remove the automations of the config of a name; see :func:`start_notifying`."""
    server = server_that_must_be_named()
    ask_version(server)
    with loopback_without_proxies(), settings_of_user(server, {}):
        from prefect.client.orchestration import get_client

        from flows.deploying.notifications import forget

        with get_client(sync_client=True) as client:
            forget(client, config)


def host(url: str) -> str:
    """The part of a URL that holds no secret; empty if it is no URL of a webhook."""
    try:
        parts = urlsplit(url)
        name = parts.hostname
    except ValueError:
        return ""
    return f"{parts.scheme}://{name}" if parts.scheme in ("http", "https") and name else ""


if __name__ == "__main__":
    app()
