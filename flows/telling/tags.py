"""Tags of Prefect runs: what the UI filters by, and what concurrency limits act on."""

from __future__ import annotations

import logging

from prefect import get_client
from prefect.context import TagsContext
from prefect.runtime import flow_run

from flows.telling.artifacts import harmless
from tasks.stage.kind import Stage

STORAGE, GPU = "storage", "gpu"
TRIAL = "trial"
"""Tag of a run of some panoramas or stages only."""
MOST_LIMITS = 200  # the most that a Prefect server lists at a time

logger = logging.getLogger(__name__)


def config_tag(config: str) -> str:
    """Tag of everything that a config of this name runs."""
    return f"config:{config}"


def resources(stage: Stage) -> list[str]:
    """What a block of a stage takes up: all of them read and write the store, those with a network also want a GPU."""
    return [STORAGE, GPU] if stage.wants_gpu else [STORAGE]


def limits_of_server() -> frozenset[str]:
    """Those resources that the server has a concurrency limit for: no other tag belongs on the task run of a block.

    Prefect asks the server about every tag of a task run before it starts, through a new client each time, which takes about
    a second. A server that does not answer may have any limit.
    """
    try:
        with get_client(sync_client=True) as client:
            return frozenset(limit.tag for limit in client.read_concurrency_limits(limit=MOST_LIMITS, offset=0))
    except Exception as error:  # of many kinds, and labels matter more
        logger.warning("limits of the Prefect server are not known: %s: %s", type(error).__name__, error)
        return frozenset((STORAGE, GPU))


def untagged() -> TagsContext:
    """Within a subflow: its task runs do not take on its tags."""
    return TagsContext(current_tags=set())


@harmless
def tag_this_run(*tags: str) -> None:
    """Add tags to the flow run that is going on; its own are fixed before its parameters are known.

    That of another config, which its deployment was registered with, goes: the run has its config from the run form.
    """
    if flow_run.id is None:
        return
    own = [tag for tag in flow_run.tags if not tag.startswith(config_tag(""))]
    with get_client(sync_client=True) as client:
        client.update_flow_run(flow_run.id, tags=sorted({*own, *tags}))
