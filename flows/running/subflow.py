"""A flow run within that of a run, for more task runs than one of them should have."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from uuid import UUID

from httpx import HTTPError
from prefect import flow
from prefect.client.schemas.objects import StateDetails
from prefect.context import FlowRunContext
from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings
from prefect.states import Completed, State

from flows.running.drain import draining_in_flow

logger = logging.getLogger(__name__)


def in_subflow(name: str, title: str, task_runs: int, work: Callable[[], object], after: Collection[UUID] = ()) -> UUID | None:
    """Do some work in a flow run of its own, called ``title``; returns what edges from it begin at.

    In Prefect's graph of the flow run around it, that is its own id, not the one of the task run that stands for it there.

    The task runs ``after`` which it comes are drawn as edges to it; none of them is waited for.

    The work is no parameter: Prefect would store it with the flow run. Where the server does not answer when the flow run is to
    begin, the work is done in the one around it; where it does not when the work is done, that stays done.
    """
    begun: list[UUID | None] = []
    done = False

    @flow(name=name, flow_run_name=title)
    def part(task_runs: int) -> UUID | None:
        nonlocal done
        context = FlowRunContext.get()
        begun.append(context.flow_run.id if context and context.flow_run else None)
        with draining_in_flow():
            work()
        done = True
        return begun[0]

    # States that have a result: for one without Prefect raises.
    over: list[State] = [Completed(data=True, state_details=StateDetails(task_run_id=one)) for one in after]
    # The flow run around it tells Prefect that it lives, and ending a heartbeat takes up to a second.
    try:
        with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
            return part(task_runs, wait_for=over)  # type: ignore[call-overload]  # Prefect leaves wait_for out
    except HTTPError as error:
        if begun and not done:
            raise
        logger.warning("Prefect's server is not told of %r: it does not answer (%s)", title, type(error).__name__)
    if not begun:
        work()
    return begun[0] if begun else None
