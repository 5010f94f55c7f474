"""Stopping in order: after the first Ctrl-C or SIGTERM nothing new is submitted, and what is in work is finished.

A training in work leaves a checkpoint instead, wherever it runs.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from flows.errors import Interrupted
from storage.urls import remove, write_bytes
from tasks.stage.attempts.stopping import ask_to_stop, asked_to_stop, go_on, stop_url

EXIT_CODE = 130  # as a shell reports a process that SIGINT ended
NOTICE_SECONDS = 0.5
"""After which it is seen that the process was asked to stop."""


@contextmanager
def draining_on_signals() -> Iterator[None]:
    """Drain on the first SIGINT or SIGTERM; a second one ends the process at once. For the main thread only."""
    go_on()
    try:
        with _handled_by_ask(signal.SIGINT, signal.SIGTERM):
            yield
    finally:
        go_on()


@contextmanager
def draining_in_flow() -> Iterator[None]:
    """For the body of a flow: SIGTERM drains there too, where Prefect would give up the blocks in work.

    Raises
    ------
    Interrupted
        The signal came between two flows, while Prefect held it; then no block was in work.
    """
    from prefect.exceptions import TerminationSignal

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    with _handled_by_ask(signal.SIGTERM):
        try:
            yield
        except TerminationSignal as error:
            raise Interrupted("stopped between two stages; what is done stays done") from error


@contextmanager
def telling_workers(root: str, run: str) -> Iterator[None]:
    """Within it, that this process is asked to stop is written into the store, where all who make blocks of the run see it."""
    url, over = stop_url(root, run), threading.Event()

    def tell() -> None:
        while not over.wait(NOTICE_SECONDS):
            if asked_to_stop():
                with suppress(OSError):  # a store that fails is told again
                    write_bytes(url, b"")
                    return

    _forget(url)  # an earlier attempt of this run may have been killed
    thread = threading.Thread(target=tell, name="stop-tell", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        _forget(url)


def _forget(url: str) -> None:
    with suppress(OSError):
        remove(url)


@contextmanager
def _handled_by_ask(*signals: signal.Signals) -> Iterator[None]:
    before = {number: signal.signal(number, _ask) for number in signals}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _ask(_number: int, _frame: FrameType | None) -> None:
    if asked_to_stop():
        _stop_at_once()
    ask_to_stop()
    print("\nstopping: blocks in work are being finished; Ctrl-C again stops at once", file=sys.stderr)


def _stop_at_once() -> None:
    """End like a kill, which every block is prepared for: an exception would wait for the threads that hold blocks in work."""
    print("stopped; blocks in work were given up, what is done stays done", file=sys.stderr, flush=True)
    for child in multiprocessing.active_children():
        child.kill()
    os._exit(EXIT_CODE)
