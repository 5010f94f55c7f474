"""Other runs that are at work in a store: told, and in nobody's way, since a block is made once whoever makes it."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

from flows.stores.needed import is_going
from storage.records.runs import read_runs

MOST_RECORDS = 100
"""Runs that are looked at, the newest ones: a store may have thousands that are long over."""


def others_at_work(root: str) -> list[dict[str, Any]]:
    """Runs of other processes that are going, newest first: ``run``, ``process``, ``host`` and ``started``."""
    own = (os.getpid(), platform.node())
    found = [record for record in islice(read_runs(root), MOST_RECORDS) if is_going(record)]
    told = [{key: record.get(key) for key in ("run", "process", "host", "started")} for record in found]
    return [one for one in told if (one["process"], one["host"]) != own]


def at_work_words(others: Sequence[Mapping[str, Any]]) -> list[str]:
    """They in one line; none if there are no others."""
    who = ", ".join(f"{one['run']} (process {one['process']} on {one['host']}, since {one['started']})" for one in others)
    what, both = ("another run is", "both") if len(others) == 1 else (f"{len(others)} other runs are", "all")
    return [f"{what} at work in this store: {who}; {both} may go on, each block is made once"] if others else []
