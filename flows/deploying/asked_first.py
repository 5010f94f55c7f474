"""``panolabel publish`` of a config that wants to be asked first: a flow run on the server that the user named."""

from __future__ import annotations

from typing import Any, Unpack, cast

from configs.pipeline import Config
from configs.settings import ConfigError
from flows.publishing.publish import Wanted
from flows.running.server.embedded import prefect_server
from flows.running.server.settings import HOW_TO_NAME, named_server


def publish_when_approved(config: Config, **wanted: Unpack[Wanted]) -> dict[str, Any]:
    """As :func:`flows.publishing.publish.publish`, once somebody said yes in Prefect's UI.

    Raises
    ------
    ConfigError
        No server is named, so nobody could be asked.
    NotApproved
        The answer was no, or none came in time.
    """
    if named_server() is None:
        raise ConfigError(
            "execution.approval: somebody must answer in Prefect's UI, and no Prefect server is named: "
            f"{HOW_TO_NAME}, or publish without: --set execution.approval=null"
        )
    with prefect_server(config.execution.log_level):
        from flows.deploying.approval import REFUSED, NotApproved
        from flows.deploying.publishing import publish

        state = publish(config, return_state=True, **wanted)
        if state.name == REFUSED:
            raise NotApproved(state.message)
        return cast(dict[str, Any], state.result())
