"""What a run says as it goes: in Prefect's log of the flow run, in a file beside its record, and on a terminal without live bars.

Its length does not grow with the panoramas: two lines a stage, one a minute, and the first items that each stage gives up.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import cast

from prefect import get_run_logger
from prefect.logging.handlers import APILogHandler
from prefect.logging.loggers import PrefectLogAdapter

from flows.telling.artifacts import harmless
from flows.telling.progress import observer
from flows.text import duration
from storage.credentials import mask_credentials
from storage.rows import ItemRow
from storage.urls import join, write_bytes
from tasks.stage.attempts.telling import Tell

MOST_GIVEN_UP = 20
"""Items of a stage whose reason is told; the record of the run and ``failures`` have all of them."""
SAVE_SECONDS = 30.0


class RunLog:
    """The lines of one run."""

    def __init__(self, root: str, run: str) -> None:
        self._url = join(root, "runs", f"{run}.log")
        self._lines: list[str] = []
        self._given_up: dict[str, int] = {}
        self._saved = time.monotonic()
        self._log = api_log("prefect.flow_runs.progress")

    @harmless
    def tell(self, line: str, everywhere: bool = False) -> None:
        """Say a line; ``everywhere`` also on a terminal that shows live bars."""
        line = mask_credentials(line)
        self._log(line)
        observer().told(line, everywhere)
        self._lines.append(f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} {line}")
        if time.monotonic() - self._saved > SAVE_SECONDS:
            self.save()

    def stage_started(self, stage: str, blocks: int, items: int, cached: int, more: bool) -> None:
        """A stage begins; there may be ``more`` of it as files are read."""
        there = f", {cached} there before" if cached else ""
        coming = ", and more as files are read" if more else ""
        self.tell(f"{stage}: begins {counted(blocks, 'block')} with {counted(items, 'item')}{there}{coming}")

    def stage_ended(self, stage: str, items: int, given_up: int, seconds: float, error: str) -> None:
        """A stage has made all that it can."""
        rate = f" in {duration(seconds)}, {items / seconds:.2f} a second" if seconds > 0 else ""
        bad = f", {given_up} of them given up" if given_up else ""
        self.tell(f"{stage}: {f'failed; {error}; ' if error else ''}made {counted(items, 'item')}{rate}{bad}")

    def given_up(self, stage: str, rows: Sequence[ItemRow]) -> None:
        """A stage gave items up; of the first ones it is told why."""
        for row in rows:
            count = self._given_up[stage] = self._given_up.get(stage, 0) + 1
            if count <= MOST_GIVEN_UP:
                self.tell(f"{stage}: gave up {row.item}: {row.reason}")
            elif count == MOST_GIVEN_UP + 1:
                self.tell(f"{stage}: gives up more than {MOST_GIVEN_UP} items; the record of the run has them all")

    @harmless
    def save(self) -> None:
        """Write what was said so far."""
        self._saved = time.monotonic()
        write_bytes(self._url, ("\n".join(self._lines) + "\n").encode())


def counted(count: int, name: str) -> str:
    """``1 block``, ``2 blocks``."""
    return f"{count:,} {name}{'s' * (count != 1)}"


def api_log(name: str) -> Tell:
    """Lines for the log of the flow or task run on the server, whatever Prefect's loggers show on a terminal."""
    shown = cast(PrefectLogAdapter, get_run_logger())
    if shown.isEnabledFor(logging.INFO):
        return shown.info
    quiet = logging.getLogger(name)
    if not quiet.handlers:
        quiet.setLevel(logging.INFO)
        quiet.propagate = False
        quiet.addHandler(APILogHandler())
    return PrefectLogAdapter(quiet, extra=shown.extra).info
