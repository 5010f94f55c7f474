"""A question to whoever looks at Prefect's UI: a run pauses, its form is answered there or times out, and the run goes on."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import copy_context
from datetime import UTC, datetime
from typing import Literal

from prefect import get_client
from prefect.flow_runs import pause_flow_run
from prefect.input import RunInput
from prefect.runtime import flow_run
from pydantic import Field

from configs.execution import Approval
from configs.settings import ConfigError
from flows.running.server.embedded import outlives_the_run
from flows.running.server.settings import HOW_TO_NAME
from flows.text import duration

POLL_SECONDS = 5
"""Between two looks whether the form was answered."""
GRACE_SECONDS = 120
"""The server ends a pause so much later than we do: it has no words for what was not published."""
REFUSED = "Refused"
"""Name of the state, of the type Cancelled, of a run whose question was answered with no, or by nobody."""

logger = logging.getLogger(__name__)


class NotApproved(RuntimeError):
    """The question was answered with no, or by nobody in time."""


class Decision(RunInput):
    """The form that the UI shows on *Resume*."""

    decision: Literal["yes", "no"] = Field("no", description="Publish these labels?")
    reason: str = Field("", description="Why; it is kept with the version that is published.")


def refuse_if_nobody_can_answer() -> None:
    """Raise ConfigError where the run has a server of its own, which ends with it and shows no form to anybody."""
    if not outlives_the_run():
        raise ConfigError(
            "execution.approval: somebody must answer in Prefect's UI, but this server ends with the run, and nobody sees it; "
            f"{HOW_TO_NAME}, or take execution.approval out (--set execution.approval=null)"
        )


def ask(question: str, approval: Approval) -> dict[str, str]:
    """Pause the flow run that is going on until its form is answered with yes; what is to be kept of the answer.

    Parameters
    ----------
    question : str
        Markdown that stands above the form.
    approval : Approval

    Raises
    ------
    NotApproved
        The answer is no, or none came in time.
    """
    seconds = approval.hours * 3600
    print(
        f"waits for an answer, at most {duration(seconds)}: Resume in {flow_run.ui_url or 'the UI'}", file=sys.stderr, flush=True
    )
    form = Decision.with_initial_data(description=question)
    with _answered_by_nobody_after(seconds):
        # Whole seconds, since the server counts them.
        answer = pause_flow_run(wait_for_input=form, timeout=int(seconds) + GRACE_SECONDS, poll_interval=POLL_SECONDS)
    if answer.decision != "yes":
        raise NotApproved(answer.reason or "the answer was no, without a reason")
    return {"reason": answer.reason, "at": datetime.now(UTC).isoformat(timespec="seconds"), "flow_run": str(flow_run.id)}


@contextmanager
def _answered_by_nobody_after(seconds: float) -> Iterator[None]:
    """Within it, the form is answered with no by ourselves once the time is over: an answer ends the pause in only one way."""
    run, over = flow_run.id, threading.Event()

    def answer() -> None:
        if over.wait(seconds):
            return
        answer = {"decision": "no", "reason": f"nobody answered within {duration(seconds)}"}
        try:
            with get_client(sync_client=True) as client:
                client.resume_flow_run(run, run_input=answer)
        except Exception as error:  # then the server ends the pause, somewhat later
            logger.warning("the question could not be closed: %s: %s", type(error).__name__, error)

    thread = threading.Thread(target=copy_context().run, args=(answer,), name="approval", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(GRACE_SECONDS)
