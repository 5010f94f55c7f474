"""When a file was last changed, in the words of different file systems."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tasks.ingest.stamps import changed_at

WHEN = datetime(2026, 1, 31, 12, 30, 15, tzinfo=UTC)


@pytest.mark.parametrize(
    "about",
    [
        {"mtime": WHEN.timestamp()},
        {"LastModified": WHEN, "ETag": "x"},
        {"Last-Modified": "Sat, 31 Jan 2026 12:30:15 GMT"},
        {"updated": "2026-01-31T12:30:15Z"},
        {"last_modified": WHEN, "created": datetime(2020, 1, 1, tzinfo=UTC)},
        {"created": WHEN},
    ],
)
def test_a_time_is_read_under_every_name(about: dict[str, Any]) -> None:
    assert changed_at(about) == WHEN.timestamp()


@pytest.mark.parametrize("about", [{}, {"mtime": None}, {"modify": "yesterday"}, {"date_time": (2026, 1, 31, 12, 30, 15)}])
def test_what_is_not_understood_is_no_time(about: dict[str, Any]) -> None:
    assert changed_at(about) is None
