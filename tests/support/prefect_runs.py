"""What a Prefect server knows of a run."""

from __future__ import annotations

import re
import time
from collections import Counter
from typing import Any

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterName, FlowRunFilterParentFlowRunId
from prefect.client.schemas.objects import FlowRun, TaskRun

BLOCK = re.compile(r"(?P<stage>\S+) \d+-[0-9a-f]+$")
PATIENCE_SECONDS = 20.0


def flow_run_of(run: str) -> FlowRun:
    """The flow run of a run."""
    with get_client(sync_client=True) as client:
        (found,) = client.read_flow_runs(flow_run_filter=_named(run), limit=9, sort="ID_DESC")
    return found


def task_runs_of(run: str) -> list[TaskRun]:
    """All task runs of a run and of its subflows, once the server has heard the end of all of them."""
    parent = flow_run_of(run)
    inner = FlowRunFilter(parent_flow_run_id=FlowRunFilterParentFlowRunId(any_=[parent.id]))
    deadline, before = time.monotonic() + PATIENCE_SECONDS, -1
    with get_client(sync_client=True) as client:
        while True:
            found = [
                one
                for which in (_named(run), inner)
                for one in client.read_task_runs(flow_run_filter=which, limit=200, sort="ID_DESC")
            ]
            over = all(one.state and one.state.is_final() for one in found)
            if (over and len(found) == before) or time.monotonic() > deadline:
                return found
            before = len(found)
            time.sleep(0.2)


def blocks_made(run: str, state: str = "Completed") -> dict[str, int]:
    """Task runs of blocks that ended in a state, by stage."""
    named = ((BLOCK.match(one.name), one.state_name) for one in task_runs_of(run))
    return dict(Counter(match["stage"] for match, ended in named if match and ended == state))


def graph_of(run: str, api: str) -> dict[str, set[str]]:
    """Name of each node of a run's graph, as the UI draws it -> names of the nodes before it."""
    import httpx

    answer = httpx.get(f"{api}/flow_runs/{flow_run_of(run).id}/graph-v2")
    answer.raise_for_status()
    nodes: dict[str, Any] = dict(answer.json()["nodes"])
    labels = {key: node["label"] for key, node in nodes.items()}
    return {labels[key]: {labels[parent["id"]] for parent in node["parents"]} for key, node in nodes.items()}


def _named(run: str) -> FlowRunFilter:
    return FlowRunFilter(name=FlowRunFilterName(any_=[run]))
