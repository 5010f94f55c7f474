"""What every fault test saw, collected for ``python -m tests.faults.report``.

A test says which fault of the list it covers with ``@pytest.mark.fault(fault, expected=...)``, and what happened with the
fixture ``seen``. With ``PANOLABEL_FAULTS`` set, each outcome is appended as one JSON line to the file that it names; several
worker processes of pytest may append to the same file.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator

import pytest

SEEN = pytest.StashKey[list[str]]()


@pytest.fixture
def seen(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """``seen("...")`` records what a test observed, in a few words with figures."""
    return request.node.stash.setdefault(SEEN, []).append


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    report = yield
    path, mark = os.environ.get("PANOLABEL_FAULTS"), item.get_closest_marker("fault")
    if path and mark and (report.when == "call" or (report.outcome != "passed" and report.when == "setup")):
        row = {
            "fault": mark.args[0],
            "expected": mark.kwargs["expected"],
            "seen": item.stash.get(SEEN, []),
            "test": item.nodeid,
            "outcome": report.outcome,
        }
        with open(path, "a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
    return report
