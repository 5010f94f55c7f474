"""One attempt at a block, wherever it is made: by a thread of the flow, or by a worker of a cluster."""

from __future__ import annotations

import errno
import logging
import shutil

from storage.arrays import DamagedBlock
from storage.receipts import Receipt, maker_of, read_receipt
from storage.records import attempts
from storage.urls import existing_folder, is_local
from tasks.stage.attempts.guard import run_guarded
from tasks.stage.attempts.stopping import heeding
from tasks.stage.attempts.telling import Tell, telling
from tasks.stage.job import Job
from tasks.stage.reuse.adopt import adopt

DEATHS_BEFORE_GUARD = 3
FULL = (errno.ENOSPC, errno.EDQUOT)

logger = logging.getLogger(__name__)


def make_block(job: Job, tell: Tell) -> Receipt:
    """Make a block, copy the one that it equals, or have it made in a process of its own where earlier attempts at it died.

    ``tell`` is given what the block says on its way. A block that another run has made since this one was planned is left as it
    is: somebody may be reading it.

    Raises
    ------
    Stopped
        The run was asked to stop; what the block goes on from is kept.
    OSError
        The store failed; of a full disk it says how much room is left.
    Exception
        Whatever the stage's function raised: a fault of the code or of the config.
    """
    try:
        with heeding(job.stage.root, job.run), telling(tell):
            if meanwhile := _made_meanwhile(job):
                return meanwhile
            guarded = attempts.begin(job.url, job.run) >= DEATHS_BEFORE_GUARD or job.guarded
            try:
                adopted = adopt(job) if job.adopts else None
                return adopted or (run_guarded(job) if guarded else job.stage.make(job))
            except Exception:
                if meanwhile := _made_meanwhile(job):  # then what it read may have gone, as one that is read by all does
                    return meanwhile
                raise
            finally:
                attempts.end(job.url)
    except OSError as error:
        if error.errno not in FULL or not is_local(job.url):
            raise
        raise OSError(error.errno, told_full(error, job.url)) from error


def _made_meanwhile(job: Job) -> Receipt | None:
    """The receipt that the block was given since the job was planned."""
    there = read_receipt(job.url)
    return there if there and maker_of(there) != job.replaces else None


def is_fault_of_code(error: Exception) -> bool:
    """Whether an error says too little by itself: of others, the store's and a damaged block's, the message tells all."""
    return not isinstance(error, (OSError, DamagedBlock))


def told_full(error: OSError, url: str) -> str:
    """What to say of a full disk: the kernel names no path when a write fails, and never the room that is left."""
    free = shutil.disk_usage(existing_folder(url)).free
    return f"{error.strerror}: {url} ({free} bytes free); make room and run again, what is done stays done"
