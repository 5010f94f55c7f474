"""The Prefect task of a stage: one run a block, keyed like the block."""

from __future__ import annotations

import errno
import logging
import shutil
from collections.abc import Callable
from typing import Any, cast

from prefect import get_run_logger, task
from prefect.logging.handlers import APILogHandler
from prefect.logging.loggers import PrefectLogAdapter
from prefect.states import Completed, State
from prefect.tasks import Task

from storage import attempts
from storage.arrays import DamagedBlock
from storage.receipts import Receipt
from storage.urls import existing_folder, is_local
from tasks.stage.adopt import adopt
from tasks.stage.guard import run_guarded
from tasks.stage.job import Job
from tasks.stage.stopping import Stopped, heeding
from tasks.stage.telling import Tell, telling

DEATHS_BEFORE_GUARD = 3
LASTING = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.ENOENT, errno.EROFS, errno.EINVAL, errno.EISDIR)
FULL = (errno.ENOSPC, errno.EDQUOT)
STOPPED = "Stopped"
"""Name of the state of a block that was left before its end because the run was asked to stop."""


class Parcel:
    """A job on its way to a worker. Prefect and Dask search dataclasses for futures, and a job holds thousands of items."""

    def __init__(self, job: Job) -> None:
        self.job = job


def _nobody(_stage: str, _line: str) -> None:
    return


def block_task(
    make: Callable[[Job], Receipt], said: Callable[[str, str], None] = _nobody
) -> Task[[Parcel], Receipt | State[Receipt]]:
    """The Prefect task around a stage's function, retried when the store fails in passing.

    The receipt is the truth of whether a block exists, so a task that is submitted always runs (``refresh_cache``); its key
    in Prefect is the block's own. A block whose earlier attempts died is made in a process of its own. What a block says on its
    way goes to Prefect's log of the task, and with the stage's key to ``said``.
    """

    def make_block(parcel: Parcel) -> Receipt | State[Receipt]:
        job, log = parcel.job, _task_log()

        def tell(line: str) -> None:
            log(line)
            said(job.stage.key, line)

        try:
            guarded = attempts.begin(job.url, job.run) >= DEATHS_BEFORE_GUARD or job.guarded
            try:
                with heeding(job.stage.root, job.run), telling(tell):
                    adopted = adopt(job) if job.adopts else None
                    return adopted or (run_guarded(job) if guarded else make(job))
            finally:
                attempts.end(job.url)
        except Stopped as stopped:  # no failure, and what Prefect calls cancelled it logs as an error
            return Completed(name=STOPPED, message=str(stopped))
        except OSError as error:
            if error.errno not in FULL or not is_local(job.url):
                raise
            raise OSError(error.errno, told_full(error, job.url)) from error
        except DamagedBlock:  # tells all by itself
            raise
        except Exception as error:  # a fault of the code or the config: Prefect tells only its message
            get_run_logger().error("%s: %s", job.key, error, exc_info=True)
            raise

    return task(
        task_run_name="{parcel.job.stage.key} {parcel.job.block.name}",
        name=make.__name__,
        cache_key_fn=_key,
        refresh_cache=True,
        persist_result=True,
        retries=2,
        retry_delay_seconds=[1, 5],
        retry_jitter_factor=0.5,
        retry_condition_fn=passing_fault,
        log_prints=False,
    )(make_block)


def _task_log() -> Tell:
    """Lines for the log of this task run on the server, whatever Prefect's loggers show on a terminal."""
    shown = cast(PrefectLogAdapter, get_run_logger())
    if shown.isEnabledFor(logging.INFO):
        return shown.info
    quiet = logging.getLogger("prefect.task_runs.progress")
    if not quiet.handlers:
        quiet.setLevel(logging.INFO)
        quiet.propagate = False
        quiet.addHandler(APILogHandler())
    return PrefectLogAdapter(quiet, extra=shown.extra).info


def _key(_context: Any, parameters: dict[str, Any]) -> str:
    return parameters["parcel"].job.key


def told_full(error: OSError, url: str) -> str:
    """What to say of a full disk: the kernel names no path when a write fails, and never the room that is left."""
    free = shutil.disk_usage(existing_folder(url)).free
    return f"{error.strerror}: {url} ({free} bytes free); make room and run again, what is done stays done"


def passing_fault(_task: Any, _run: Any, state: Any) -> bool:
    """Whether a task failed because of a store that may be well again."""
    error = state.result(raise_on_failure=False)
    return isinstance(error, OSError) and error.errno not in LASTING
