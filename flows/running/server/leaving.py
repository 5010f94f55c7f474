"""The end of a run whose Prefect server went away: told and soon over, where Prefect's own clients would try for minutes.

Blocks and the record of a run need no server. What is left to tell it at the end is tried for a while; then the run ends as its
record says, and the server never hears of it.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from httpx import Timeout, TransportError

from storage.records.runs import run_url
from storage.urls import location

PATIENCE_SECONDS = 15.0
"""How long a server may take to answer once the work is done: one that is started anew does within that."""
ANSWER_SECONDS = 5.0

Outcome = Future[dict[str, Any]]
"""How a run has ended: its record, or an error. Known only where the server was not told."""
_ending: ContextVar[Outcome | None] = ContextVar("ending", default=None)


@contextmanager
def ending_without_server() -> Iterator[Outcome]:
    """Within it a flow run of this process may end without its server; see :func:`is_told`."""
    from prefect.settings import get_current_settings

    settings, ending = get_current_settings().client, Outcome()
    retries, token = settings.max_retries, _ending.set(ending)
    try:
        yield ending
    finally:
        _ending.reset(token)
        settings.max_retries = retries


def is_told(root: str, record: dict[str, Any], error: BaseException | None = None) -> bool:
    """Whether the server can be told how the run of a record has ended; else it is said, and the run ends so without the server.

    True outside of :func:`ending_without_server`: a run that a worker started is told of as long as Prefect tries.
    """
    from prefect.settings import get_current_settings

    ending = _ending.get()
    if ending is None or _answers_in_time():
        return True
    run = record["run"]
    print(
        f"Prefect's server at {get_current_settings().api.url} does not answer any more. It is not told of the last blocks of "
        f"{run}, nor how it ended, and shows it as running until somebody cancels it there. Nothing else is lost: "
        f"{location(run_url(root, run))} has it all",
        file=sys.stderr,
    )
    if error is None:
        ending.set_result(record)
    else:
        ending.set_exception(error)
    return False


def _answers_in_time() -> bool:
    """Whether anything answers at the server's address, be it an error. If not, Prefect's clients try once from here on.

    Their settings are changed in place: all threads have the same ones, and a copy, like a client, takes a tenth of a second.
    """
    from prefect.context import SyncClientContext
    from prefect.settings import get_current_settings

    context, settings = SyncClientContext.get(), get_current_settings().client
    assert context is not None, "a flow run has a client"
    client, http = context.client, context.client._client
    before = settings.max_retries, http.timeout
    settings.max_retries, http.timeout = 0, Timeout(ANSWER_SECONDS)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while isinstance(client.api_healthcheck(), TransportError):
        if time.monotonic() > deadline:
            return False
        time.sleep(1)
    settings.max_retries, http.timeout = before
    return True


def is_left() -> bool:
    """Whether the run that is going on ends without its server."""
    ending = _ending.get()
    return ending is not None and ending.done()


def give_up_telling() -> None:
    """Let the process end before Prefect's services have sent what they hold: they would try for seconds with each event.

    What they send until then arrives, if the server is there again.
    """
    from prefect._internal.concurrency.services import _active_services

    for service in list(_active_services):
        if service._loop and service._done_event:
            service._remove_instance()  # a later run of this process begins with new ones, and waits for those
            service._loop.call_soon_threadsafe(service._done_event.set)
