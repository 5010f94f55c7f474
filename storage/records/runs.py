"""The ledger: one JSON file for every run, so that the next plan can say what changed and the team can say what happened."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from storage.urls import children, join, read_bytes, write_bytes


def run_url(root: str, run: str) -> str:
    """Where the record of a run lies."""
    return join(root, "runs", f"{run}.json")


def write_run(root: str, record: dict[str, Any]) -> None:
    """Write the record of the run named ``record["run"]``; names sort by time."""
    write_bytes(run_url(root, record["run"]), json.dumps(record, indent=1, ensure_ascii=False).encode())


def run_names(root: str) -> list[str]:
    """Names of all runs, oldest first."""
    return [name.removesuffix(".json") for name in children(join(root, "runs")) if name.endswith(".json")]


def read_run(root: str, run: str) -> dict[str, Any]:
    """The record of one run."""
    return json.loads(read_bytes(run_url(root, run)))


def read_runs(root: str) -> Iterator[dict[str, Any]]:
    """The records of all runs, newest first. One that cannot be read, or is none, counts as absent for everybody."""
    for name in reversed(run_names(root)):
        try:
            record = read_run(root, name)
        except (ValueError, RecursionError, FileNotFoundError):
            continue
        if _is_record(record):
            yield record


def _is_record(value: Any) -> bool:
    """Whether a JSON value has what is read of every record; what a newer version tells beyond is left alone."""
    if not isinstance(value, dict) or not all(isinstance(value.get(key), str) for key in ("run", "state", "started")):
        return False
    config, identities = value.get("config"), value.get("identities", {})
    named = isinstance(config, dict) and isinstance(config.get("name"), str)
    return named and isinstance(identities, dict) and all(isinstance(one, dict) for one in identities.values())


def latest_run(root: str, config: str | None = None, trials: bool = True) -> dict[str, Any] | None:
    """The record of the last run, of any pipeline or of the one whose config has this name.

    ``trials``, of which the record says which ``panoramas`` they took, may be passed over.
    """
    own = (record for record in read_runs(root) if config in (None, record["config"]["name"]))
    return next((record for record in own if trials or "panoramas" not in record.get("trial", {})), None)
