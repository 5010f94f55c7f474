"""A block in a process of its own: an item that kills its process is found, given up with a reason, and the others are done.

The child writes into a journal which item it has in hand. When it dies, that item is tried once more in a new child; when
it dies of the same item again, the item is quarantined, and the block goes on without it.
"""

from __future__ import annotations

import ctypes
import pickle
import signal
import subprocess
import sys
import tempfile
import traceback
from dataclasses import replace
from pathlib import Path

from storage.receipts import Receipt, read_receipt
from tasks.stage.job import Job

PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of prctl(2)


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
            code = subprocess.run(
                [sys.executable, "-m", "tasks.stage.guard", folder], preexec_fn=_die_with_parent, check=False
            ).returncode
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


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PARENT_DEATH_SIGNAL, signal.SIGKILL)


def _child(folder: Path) -> None:
    path, job = pickle.loads((folder / "job").read_bytes())
    sys.path[:] = path
    error: Exception | None = None
    try:
        job.stage.make(job)
    except Exception as raised:
        raised.add_note(traceback.format_exc())  # a traceback does not travel between processes, a note does
        error = raised
    partial = folder / "outcome.partial"
    partial.write_bytes(_picklable(error))
    partial.rename(folder / "outcome")


def _picklable(error: Exception | None) -> bytes:
    try:
        data = pickle.dumps(error)
        pickle.loads(data)
        return data
    except Exception:  # an exception class may be anything
        plain = RuntimeError(f"{type(error).__name__}: {error}")
        for note in getattr(error, "__notes__", ()):
            plain.add_note(note)
        return pickle.dumps(plain)


if __name__ == "__main__":
    _child(Path(sys.argv[1]))
