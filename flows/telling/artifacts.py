"""What the Prefect UI shows of a run beyond its states: a few artifacts a run and a stage, never one an item.

Their keys begin with the name of the config, so that the UI keeps the history of each pipeline apart.

An artifact that cannot be written (Prefect down, its database locked) never harms the run.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from typing import Any, ParamSpec
from uuid import UUID

from httpx import HTTPError
from prefect.artifacts import create_link_artifact, create_progress_artifact, create_table_artifact, update_progress_artifact
from prefect.context import SettingsContext, get_settings_context
from prefect.settings import PREFECT_API_REQUEST_TIMEOUT, PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, Settings

from flows.plan import Plan
from flows.plan_words import plan_title, plan_words
from storage.urls import is_local

SECONDS_BETWEEN_UPDATES = 5
MOST_ROWS = 200
AWAY_SECONDS = 30.0
"""How long a server that did not answer is told nothing more in passing."""
ANSWER_SECONDS = 5.0
"""How long a server may take to answer what is told in passing."""

_Parameters = ParamSpec("_Parameters")
logger = logging.getLogger(__name__)


def harmless(write: Callable[_Parameters, None]) -> Callable[_Parameters, None]:
    """Log what a function raises instead of raising it."""

    @wraps(write)
    def guarded(*arguments: _Parameters.args, **named: _Parameters.kwargs) -> None:
        try:
            write(*arguments, **named)
        except Exception as error:  # whatever it is, labels matter more
            logger.warning("an artifact was not written: %s: %s", type(error).__name__, error)

    return guarded


_away_until: dict[str | None, float] = {}
"""By URL of a server that did not answer, until when it is told nothing in passing."""


def in_passing(write: Callable[_Parameters, None]) -> Callable[_Parameters, None]:
    """As :func:`harmless`, for what is told while a run works: the server is asked once, and where it does not answer it is told
    nothing more for a while, so that no block waits for it."""

    @wraps(write)
    def guarded(*arguments: _Parameters.args, **named: _Parameters.kwargs) -> None:
        server = PREFECT_API_URL.value()
        if time.monotonic() < _away_until.get(server, 0.0):
            return
        try:
            with _asking_once():
                write(*arguments, **named)
        except HTTPError as error:
            _away_until[server] = time.monotonic() + AWAY_SECONDS
            why = f"{type(error).__name__}: {error}"
            logger.warning("Prefect's server does not answer (%s): the run goes on, and shows its progress there later", why)

    return harmless(guarded)


_last_copy: tuple[Settings, Settings] | None = None
"""Settings of Prefect, and their copy by which a server is asked once."""


@contextmanager
def _asking_once() -> Iterator[None]:
    """As Prefect's ``temporary_settings``, which makes the same copy each time, and takes a twentieth of a second for it."""
    global _last_copy
    context = get_settings_context()
    if _last_copy is None or _last_copy[0] is not context.settings:
        once = context.settings.copy_with_update({PREFECT_CLIENT_MAX_RETRIES: 0, PREFECT_API_REQUEST_TIMEOUT: ANSWER_SECONDS})
        _last_copy = context.settings, once
    with SettingsContext(profile=context.profile, settings=_last_copy[1]):
        yield


def artifact_key(*parts: str) -> str:
    """A key as Prefect wants it, of the name of a config and more: lower case letters, digits and dashes."""
    return re.sub(r"[^a-z0-9]+", "-", "-".join(parts).lower()).strip("-")


@in_passing
def publish_plan(config: str, plan: Plan) -> None:
    """The plan as a table: what is cached, what runs, why, and how long it should take."""
    rows = [{**row, "why": row["why"].replace("\n", "; ")} for row in plan_words(plan)]
    create_table_artifact(rows, key=artifact_key(config, "plan"), description=f"{plan_title(plan)}: what this run does, and why")


@harmless
def publish_outcome(config: str, record: Mapping[str, Any]) -> None:
    """How a run ended: stages, given-up items, and where the report lies."""
    if stages := record.get("stages"):
        text = f"Run {record['run']}: {record['state']}"
        create_table_artifact([dict(row) for row in stages], key=artifact_key(config, "stages"), description=text)
    failed = [dict(row) for row in record.get("quarantined", [])]
    if failed:
        text = f"{len(failed)} items were given up" + (f"; the first {MOST_ROWS}" if len(failed) > MOST_ROWS else "")
        create_table_artifact(failed[:MOST_ROWS], key=artifact_key(config, "quarantined"), description=text)
    if report := record.get("report"):
        link = f"file://{report}" if is_local(report) else report
        text = f"Report of run {record['run']}: {report}"
        create_link_artifact(link, link_text="HTML report", key=artifact_key(config, "report"), description=text)


class StageProgress:
    """One progress bar a stage in the UI, moved at most every few seconds, and at its end."""

    def __init__(self, config: str, stage: str, blocks: int) -> None:
        self._blocks, self._done, self._updated = blocks, 0, time.monotonic()
        self._artifact: UUID | None = None
        self._begin(config, stage)

    @in_passing
    def _begin(self, config: str, stage: str) -> None:
        key = artifact_key(config, "progress", stage)
        created = create_progress_artifact(0.0, key=key, description=f"{stage}: {self._blocks} blocks")
        assert isinstance(created, UUID)
        self._artifact = created

    def grew(self, blocks: int) -> None:
        """There are so many now."""
        self._blocks = blocks

    @in_passing
    def _tell(self) -> None:
        assert self._artifact is not None
        update_progress_artifact(self._artifact, 100.0 * self._done / self._blocks)
        self._updated = time.monotonic()

    def block_done(self) -> None:
        """Count one block. That none is left says little: more come as files are read."""
        self._done += 1
        if self._artifact and time.monotonic() - self._updated > SECONDS_BETWEEN_UPDATES:
            self._tell()

    def ended(self) -> None:
        """No more come."""
        if self._artifact:
            self._tell()
