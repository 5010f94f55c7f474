"""A block in a process of its own: an item that kills its process is found, given up with a reason, and the others are done.

The child writes into a journal which item it has in hand. When it dies, that item is tried once more in a new child; when
it dies of the same item again, the item is quarantined, and the block goes on without it.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from storage.receipts import Receipt, read_receipt
from tasks.stage.attempts.children import obey_parent_alone, pickled_error
from tasks.stage.attempts.stopping import heeding
from tasks.stage.attempts.telling import tell, telling
from tasks.stage.job import Job


class GuardError(RuntimeError):
    """The block's process died, and not because of an item."""


def run_guarded(job: Job) -> Receipt:
    """Make a block in child processes, as many as it takes.

    Raises
    ------
    GuardError
        A child died before it had any item in hand, twice.
    Exception
        Whatever the stage itself raised.
    """
    suspect: str | None = None
    given_up = dict(job.given_up)
    while True:
        with tempfile.TemporaryDirectory(prefix="panolabel-guard-") as folder:
            journal, outcome = Path(folder, "journal"), Path(folder, "outcome")
            attempt = replace(job, guarded=False, journal=str(journal), given_up=given_up)
            Path(folder, "job").write_bytes(pickle.dumps((sys.path, attempt)))
            code = _attend(folder)
            if outcome.exists():
                if error := pickle.loads(outcome.read_bytes()):
                    raise error
                receipt = read_receipt(job.url)
                assert receipt is not None
                return receipt
            in_hand = journal.read_text(encoding="utf-8") if journal.exists() else ""
        if in_hand == suspect:
            if not in_hand:
                raise GuardError(f"{job.key}: its process died twice before the first item ({_cause(code)})")
            given_up[in_hand] = f"killed its process twice ({_cause(code)})"
            suspect = None
        else:
            suspect = in_hand


def _cause(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"


def _attend(folder: str) -> int:
    """Run a child, and hand on what it says; returns its exit code."""
    reading, writing = os.pipe()
    command = [sys.executable, "-m", "tasks.stage.attempts.guard", folder, str(writing)]
    with os.fdopen(reading, encoding="utf-8") as lines:
        try:
            child = subprocess.Popen(command, pass_fds=(writing,), preexec_fn=obey_parent_alone)
        finally:
            os.close(writing)
        for line in lines:
            tell(line.rstrip("\n"))
        return child.wait()


def _child(folder: Path, said: int) -> None:
    path, job = pickle.loads((folder / "job").read_bytes())
    sys.path[:] = path
    outcome: bytes = pickle.dumps(None)
    with os.fdopen(said, "w", buffering=1, encoding="utf-8") as lines:
        try:
            with heeding(job.stage.root, job.run), telling(lambda line: print(line, file=lines)):
                job.stage.make(job)
        except Exception as error:
            outcome = pickled_error(error)
    partial = folder / "outcome.partial"
    partial.write_bytes(outcome)
    partial.rename(folder / "outcome")


if __name__ == "__main__":
    _child(Path(sys.argv[1]), int(sys.argv[2]))
