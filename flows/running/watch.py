"""What somebody asks of a run in Prefect, in its UI or on its command line: to stop, to hold on, to go on."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import copy_context
from typing import Any

from prefect import get_client
from prefect.context import FlowRunContext
from prefect.states import Cancelled, Crashed, State

from flows.errors import Interrupted
from tasks.stage.attempts.stopping import ask_to_stop, go_on

LOOK_SECONDS = 5.0
"""Between two looks at the state of the run: a short run asks nothing."""

logger = logging.getLogger(__name__)


class Watch:
    """What was asked so far."""

    def __init__(self) -> None:
        self.cancelled = False
        self._paused = threading.Event()

    @property
    def paused(self) -> bool:
        """Whether no block is to be begun now."""
        return self._paused.is_set()

    def see(self, state: State | None) -> None:
        """Note the state that the run has on the server."""
        if state is None:
            return
        if state.is_cancelled() or state.is_cancelling():
            self.cancelled = True
            ask_to_stop()
        if state.is_paused():
            self._paused.set()
        else:
            self._paused.clear()


@contextmanager
def watching() -> Iterator[Watch]:
    """Within it the state of the flow run that is going on is looked at, until it is cancelled."""
    watch, over = Watch(), threading.Event()
    context = FlowRunContext.get()
    run = context.flow_run.id if context and context.flow_run else None

    def look() -> None:
        if run is None or over.wait(LOOK_SECONDS):
            return
        with get_client(sync_client=True) as client:
            while not watch.cancelled:
                try:
                    watch.see(client.read_flow_run(run).state)
                except Exception as error:  # a server that does not answer asks nothing
                    logger.warning("the state of the run is not known: %s: %s", type(error).__name__, error)
                if over.wait(LOOK_SECONDS):
                    return

    # In the context of the flow: that says which server is asked.
    thread = threading.Thread(target=copy_context().run, args=(look,), name="state-look", daemon=True)
    thread.start()
    try:
        yield watch
    finally:
        over.set()
        thread.join(LOOK_SECONDS)  # a server that hangs holds up no run
        if watch.cancelled:
            go_on()


def stopped_state(stopped: Interrupted) -> State[Any]:
    """How a run ends in Prefect that was asked to stop: cancelled.

    But a run that a signal took from its worker, which nobody cancelled, has crashed: it should be started again.
    """
    context = FlowRunContext.get()
    if context and context.flow_run and context.flow_run.deployment_id:
        with suppress(Exception), get_client(sync_client=True) as client:
            now = client.read_flow_run(context.flow_run.id).state
            if now and not (now.is_cancelling() or now.is_cancelled()):
                return Crashed(name="Interrupted", message=str(stopped))
    return Cancelled(message=str(stopped))
