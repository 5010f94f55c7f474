"""What every child process of a stage needs: to die with its parent, to stop when that says so, and to hand back its error."""

from __future__ import annotations

import ctypes
import pickle
import signal
import sys
import traceback

PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of prctl(2)


def die_with_parent() -> None:
    """To be called in the child before it begins."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PARENT_DEATH_SIGNAL, signal.SIGKILL)


def obey_parent_alone() -> None:
    """As :func:`die_with_parent`; and Ctrl-C, which reaches the whole group, is the parent's, who alone says when to stop."""
    die_with_parent()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def pickled_error(error: Exception) -> bytes:
    """An exception with its traceback as a note; as a RuntimeError of the same message if its class does not travel."""
    error.add_note("".join(traceback.format_exception(error)))  # a traceback does not travel between processes, a note does
    try:
        data = pickle.dumps(error)
        pickle.loads(data)
        return data
    except Exception:  # an exception class may be anything
        plain = RuntimeError(f"{type(error).__name__}: {error}")
        for note in getattr(error, "__notes__", ()):
            plain.add_note(note)
        return pickle.dumps(plain)
