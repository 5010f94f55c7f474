"""Where OpenLineage events go: a file beside the run's record, and a server if the config names one.

Neither can break a run or hold it up: what cannot be written is logged once, and the server is served by a thread.
"""

from __future__ import annotations

import logging
import os
import queue
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from openlineage.client.serde import Serde

from configs.pipeline import Config
from storage.urls import join, write_bytes

if TYPE_CHECKING:
    from openlineage.client.event_v2 import RunEvent

log = logging.getLogger(__name__)
_Result = TypeVar("_Result")


def events_url(root: str, run: str) -> str:
    """Where the events of a run lie, one JSON object a line."""
    return join(root, "lineage", f"{run}.ndjson")


class Emitter:
    """Keeps a run's events, writes the file anew with each one (there are two a stage), and passes them to the server."""

    def __init__(self, config: Config, run: str) -> None:
        self._settings = config.execution.openlineage
        self._url = events_url(config.root, run)
        self._lines: list[str] = []
        self._complained = False
        self._waiting: queue.SimpleQueue[RunEvent | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        if self._settings.url:
            self._thread = threading.Thread(target=self._serve, name="openlineage", daemon=True)
            self._thread.start()

    def emit(self, make: Callable[[], RunEvent]) -> None:
        """Make, keep and pass on an event; never raises."""
        event = self.guarded(make)
        if event is None:
            return
        if self._thread is not None:
            self._waiting.put(event)
        self.guarded(lambda: self._keep(event))

    def close(self) -> None:
        """Wait for events that are still on their way, but not for long."""
        if self._thread is not None:
            self._waiting.put(None)
            self._thread.join(self._settings.timeout_seconds)

    def guarded(self, work: Callable[[], _Result]) -> _Result | None:
        """The result of work that only lineage needs; None, and one line in the log for all failures of a run, if it fails."""
        try:
            return work()
        except Exception as error:
            if not self._complained:
                self._complained = True
                log.warning("lineage events of this run are incomplete: %s: %s", type(error).__name__, str(error)[:300])
            return None

    def _keep(self, event: RunEvent) -> None:
        self._lines.append(Serde.to_json(event))
        write_bytes(self._url, ("\n".join(self._lines) + "\n").encode())

    def _serve(self) -> None:
        transport = self.guarded(self._transport)
        while (event := self._waiting.get()) is not None:
            if transport is not None:
                self.guarded(lambda event=event: transport.emit(event))  # type: ignore[misc]

    def _transport(self) -> Any:
        from openlineage.client.transport.http import HttpConfig, HttpTransport

        settings = self._settings
        options: dict[str, Any] = {
            "url": settings.url,
            "endpoint": settings.endpoint,
            "timeout": settings.timeout_seconds,
            "retry": {"total": 1, "connect": 1, "read": 0},
        }
        if key := os.environ.get("OPENLINEAGE_API_KEY"):
            options["auth"] = {"type": "api_key", "apiKey": key}
        return HttpTransport(HttpConfig.from_dict(options))
