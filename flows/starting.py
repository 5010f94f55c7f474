"""Starting a run from outside any flow: its server, its progress, and Ctrl-C; for the command line and for Python."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from typing import Any, TypeVar

from configs.pipeline import Config
from configs.trial import WHOLE, Trial
from flows.errors import Interrupted
from flows.plan import Plan, refuse_unfit
from flows.running.drain import draining_on_signals
from flows.running.handover import handing_over
from flows.running.nothing_made import refuse_empty_source, refuse_failed_alike, refuse_nothing_made
from flows.running.others import refuse_missing
from flows.running.server.embedded import prefect_server
from flows.running.server.leaving import ending_without_server, give_up_telling
from flows.stores.record import new_run_name
from flows.stores.stored import require_place
from flows.telling.progress import Observer, TerminalProgress, reporting_to
from flows.text import console

NOTHING = "nothing to run"
"""State of what is told of a plan that owes nothing."""
Result = TypeVar("Result")


def carry_out_plan(config: Config, plan: Plan, retry: bool = False, quiet: bool = False) -> dict[str, Any]:
    """Make what a plan owes that was just made of a config: the run's record, or the plan with the state :data:`NOTHING`.

    Parameters
    ----------
    config : Config
    plan : Plan
    retry : bool
        Try quarantined items again.
    quiet : bool
        Show no progress.

    Raises
    ------
    ConfigError, RunFailed, Interrupted
        As :func:`flows.pipeline.pipeline` raises them.
    """
    refuse_missing(config, plan)
    refuse_unfit(plan)
    if plan.anything_to_run:
        require_place(config.root)
        with handing_over(plan):
            return start_flow(config, retry, None, quiet, plan.trial)
    refuse_empty_source(config, plan)
    for step in plan.chosen:
        refuse_nothing_made(config, plan, step)
    refuse_failed_alike(config, plan)
    return {"state": NOTHING, **plan.as_json()}


def start_flow(
    config: Config,
    retry: bool | list[str],
    only: dict[str, list[str]] | None,
    quiet: bool,
    trial: Trial = WHOLE,
) -> dict[str, Any]:
    """Run the flow on a Prefect server, and return the record of the run; see :func:`flows.pipeline.pipeline`."""
    with prefect_server(config.execution.log_level):
        from flows.pipeline import pipeline  # Prefect reads its settings, which are those of the server, as it is imported

        progress: Any = nullcontext(Observer()) if quiet else TerminalProgress(console)
        with progress as shown, reporting_to(shown), draining_if_main():
            return outcome_of(lambda: pipeline(config, new_run_name(config.name), retry, only, trial, return_state=True))


def outcome_of(flow: Callable[[], Any]) -> dict[str, Any]:
    """What a flow returns whose state is asked for. Interrupted if it was asked to stop; else what it raised."""
    from prefect.exceptions import Abort

    with ending_without_server() as ending:
        try:
            state = flow()
        except Abort as error:  # the server has the run as cancelled, and takes no other word
            raise Interrupted(f"cancelled in Prefect; what is done stays done ({error})") from error
        except Exception:
            if not ending.done():
                raise
            give_up_telling()
            return ending.result()
    if state.is_cancelled():
        raise Interrupted(state.message or "cancelled in Prefect")
    record: dict[str, Any] = state.result()
    return record


def draining_if_main() -> Any:
    """:func:`draining_on_signals` in the main thread, the only one that may handle signals."""
    return draining_on_signals() if threading.current_thread() is threading.main_thread() else nullcontext()


def in_own_thread(work: Callable[[], Result]) -> Result:
    """The result of work that is done in a thread without an event loop.

    Flows and stores wait for answers in ways that a running event loop, such as that of a notebook, refuses. Meanwhile Ctrl-C, or
    the notebook's interrupt, drains the run, as on the command line.
    """
    with ThreadPoolExecutor(1, "panolabel") as pool, draining_if_main():
        return pool.submit(work).result()
