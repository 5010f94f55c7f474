"""Real processes that run a pipeline, and waiting for what they do."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from distributed import Client

from flows.running.server.embedded import _die_with_parent
from tests.support import faulty
from tests.support.pipelines import write_pipeline

RUN = """
import json, sys
from pathlib import Path
from tests.support.pipelines import load, run_pipeline
print("ready", flush=True)
run_pipeline(load(Path(sys.argv[1]), **json.loads(sys.argv[2])))
"""

PATIENCE = 600
"""Seconds to wait for what takes a few on an idle machine: a busy one is no fault."""


def write_faulty_pipeline(folder: Path, count: int = 6) -> Path:
    """A pipeline of one faulty teacher of depth, ``geometry``; its switches are turned in the same folder."""
    settings = {"weights": str(folder / "geometry.json")}
    teacher = {"name": "geometry", "kind": "tests.support.faulty:load", "fields": ["depth"], "settings": settings}
    return write_pipeline(folder, count, teachers=[teacher])


def start_run(path: Path, environment: dict[str, str] | None = None, **overrides: object) -> subprocess.Popen[Any]:
    """A process that runs the pipeline; what it says on stderr goes to ``stderr`` beside the config."""
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, str(path), json.dumps(overrides)],
        stdout=subprocess.PIPE,
        stderr=(path.parent / "stderr").open("a"),
        text=True,
        env={**os.environ, **(environment or {})},
        preexec_fn=_die_with_parent,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def until(met: Callable[[], object], *runs: subprocess.Popen[Any], folder: Path | None = None) -> None:
    """Wait until a condition is met; if it is not, or one of these runs ends before, tell what they said in ``folder/stderr``."""
    deadline = time.monotonic() + PATIENCE
    while not met():
        over = time.monotonic() > deadline or any(run.poll() is not None for run in runs)
        if over and not met():
            said = (folder / "stderr").read_text() if folder else ""
            raise AssertionError(f"it did not happen in time, or a run ended before: {[run.poll() for run in runs]}\n{said}")
        time.sleep(0.02)


def holder(folder: Path, item: str, *runs: subprocess.Popen[Any]) -> int:
    """Wait for the teacher to have an item in hand; returns the process that has it."""
    until(lambda: any(name == item for _, name in faulty.journal(folder)), *runs, folder=folder)
    return next(process for process, name in reversed(faulty.journal(folder)) if name == item)


@contextmanager
def cluster(folder: Path) -> Iterator[tuple[str, subprocess.Popen[bytes], subprocess.Popen[bytes]]]:
    """A Dask scheduler and two workers as processes of their own: the address, the scheduler, and the nanny of the workers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"tcp://127.0.0.1:{port}"
    scheduler = ["dask_scheduler", "--host", "127.0.0.1", "--port", str(port)]
    workers = ["dask_worker", address, "--nthreads", "1", "--nworkers", "2"]
    started: list[subprocess.Popen[bytes]] = []
    try:
        with (folder / "dask.log").open("w") as log:
            for name, *options in (scheduler, workers):
                command = [sys.executable, "-m", f"distributed.cli.{name}", *options, "--no-dashboard"]
                started.append(subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True))
        with Client(address, timeout=60) as client:
            client.wait_for_workers(2, timeout=60)
        yield address, started[0], started[1]
    finally:
        for process in started:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
