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
from prefect.states import Cancelled, Crashed, Failed, State

from flows.errors import Interrupted
from tasks.stage.attempts.stopping import ask_to_stop, go_on

LOOK_SECONDS = 5.0
"""Between two looks at the state of the run: a short run asks nothing."""

logger = logging.getLogger(__name__)


class PauseEnded(Interrupted):
    """The run was paused for a time, and nobody resumed it: the server has called it failed since."""


class Watch:
    """What was asked so far."""

    def __init__(self) -> None:
        self.cancelled = False
        self.expired = False
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
        if self.paused and state.is_failed():  # the pause had a limit, and nobody resumed the run
            self.cancelled = self.expired = True
            ask_to_stop()
        elif state.is_paused() != self.paused:
            (self._paused.set if state.is_paused() else self._paused.clear)()
            logger.warning("paused in Prefect: no block is begun" if self.paused else "goes on: it is paused in Prefect no more")


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
    except Interrupted as stopped:
        if watch.expired:
            raise PauseEnded(f"paused in Prefect, and not resumed in time; {stopped}") from None
        raise
    finally:
        over.set()
        thread.join(LOOK_SECONDS)  # a server that hangs holds up no run
        if watch.cancelled:
            go_on()


def stopped_state(stopped: Interrupted) -> State[Any]:
    """How a run ends in Prefect that was asked to stop: cancelled.

    But one whose pause ended without anybody resuming it has failed, as the server says, and one that a signal took from its
    worker, which nobody cancelled, has crashed: it should be started again.
    """
    if isinstance(stopped, PauseEnded):
        return Failed(message=str(stopped))
    context = FlowRunContext.get()
    if context and context.flow_run and context.flow_run.deployment_id:
        with suppress(Exception), get_client(sync_client=True) as client:
            now = client.read_flow_run(context.flow_run.id).state
            if now and not (now.is_cancelling() or now.is_cancelled()):
                return Crashed(name="Interrupted", message=str(stopped))
    return Cancelled(message=str(stopped))
