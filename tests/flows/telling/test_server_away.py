"""A Prefect server that does not answer holds up no run: it is asked once, and then left alone for a while."""

import logging
import time

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.telling import artifacts
from flows.telling.artifacts import StageProgress


@pytest.fixture(autouse=True)
def _asked_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(artifacts, "_away_until", {})


def test_progress_that_cannot_be_shown_costs_a_run_no_time(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, logger=artifacts.__name__)
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}):
        began = time.monotonic()
        for name in ("label", "fuse", "evaluate"):
            progress = StageProgress("hall", name, 2)
            progress.block_done()
            progress.block_done()
        assert time.monotonic() - began < 5, "five tries, as Prefect's client makes, take a minute"
    told = [record.message for record in caplog.records if record.name == artifacts.__name__]
    assert len(told) == 1
    assert "the run goes on" in told[0]


def test_a_server_that_answers_again_is_told(prefect_api: str) -> None:
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}):
        StageProgress("hall", "label", 2)
    with temporary_settings({PREFECT_API_URL: prefect_api}):
        assert StageProgress("hall", "label", 2)._artifact is not None, "another one was away"
        artifacts._away_until[prefect_api] = time.monotonic() + 60
        assert StageProgress("hall", "label", 2)._artifact is None, "left alone"
        artifacts._away_until[prefect_api] = time.monotonic()
        assert StageProgress("hall", "label", 2)._artifact is not None
