"""One training in several processes of one machine, started from wherever the training was: a worker's thread, a command.

Each child calls the same function, and finds in its environment which of how many it is, as accelerate reads it. The parent
holds the store through which they meet, tells them to stop, and hands on what the first one says and what it returns.
"""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import torch
import torch.distributed

from configs.settings import ConfigError
from tasks.stage.attempts.children import obey_parent_alone, pickled_error
from tasks.train.progress import Log

Work = Callable[[Any, Log, Callable[[], bool]], Any]
"""Takes the argument, whom to tell, and whom to ask after every step whether to stop."""
HOST = "127.0.0.1"
PAUSE = 0.05
"""Seconds between two looks at the children."""
GRACE = 10.0
"""Seconds that the others have to end when one has failed; they may wait for it for ever."""


def in_processes(
    count: int,
    function: str,
    argument: Any,
    log: Log = lambda _step, _figures: None,
    stop: Callable[[], bool] = lambda: False,
    device: str = "cpu",
) -> Any:
    """What the first of several processes returns that all train the same network; one process is this one.

    Parameters
    ----------
    count : int
        Processes. On GPUs each takes one.
    function : str
        ``package.module:name`` of a :data:`Work`, imported in each process.
    argument
        For the function; it is pickled, and so is what the first process returns.
    log : Log
        Hears what the first process tells.
    stop : function
        Asked several times a second; the children then leave with ``Stopped`` after the step that they are at.
    device : str
        That of the config, such as ``auto``.

    Raises
    ------
    ConfigError
        The device is a GPU, of which the machine has some, but fewer than processes.
    ChildProcessError
        A process was killed, or left without a word. The next run goes on from the last checkpoint.
    Exception
        Whatever the function raised first in any of them; the others are ended.
    """
    if count == 1:
        return _imported(function)(argument, log, stop)
    _refuse_few_gpus(count, device)
    with tempfile.TemporaryDirectory(prefix="panolabel-train-") as name:
        folder = Path(name)
        (folder / "work").write_bytes(pickle.dumps((sys.path, function, argument)))
        (folder / "log").touch()
        # The port is taken as long as they need it: no one else can get in between.
        store = torch.distributed.TCPStore(HOST, 0, None, is_master=True, wait_for_workers=False)
        children = [_start(folder, rank, count, store.port) for rank in range(count)]
        try:
            _attend(children, folder, log, stop)
            codes = [child.poll() for child in children]
        finally:
            for child in children:
                child.kill()
                child.wait()
        return _result(folder, codes)


def _refuse_few_gpus(count: int, device: str) -> None:
    gpus = 0 if device == "cpu" else torch.cuda.device_count()
    if 0 < gpus < count:
        raise ConfigError(
            f"processes: {count} take a GPU each, but this machine has {gpus}; write processes: {gpus}, or train on a machine "
            "with more (execution.device: cpu trains without GPUs)"
        )


def _start(folder: Path, rank: int, count: int, port: int) -> subprocess.Popen[bytes]:
    environment = {
        "OMP_NUM_THREADS": str(max((os.cpu_count() or 1) // count, 1)), **os.environ,
        "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(count), "LOCAL_WORLD_SIZE": str(count),
        "MASTER_ADDR": HOST, "MASTER_PORT": str(port),
        # torch then asks the parent's store instead of opening one of its own.
        "TORCHELASTIC_USE_AGENT_STORE": "True", "TORCHELASTIC_RESTART_COUNT": "0",
    }  # fmt: skip
    command = [sys.executable, "-m", "tasks.train.processes", str(folder), str(rank)]
    return subprocess.Popen(command, env=environment, preexec_fn=obey_parent_alone)


def _attend(children: Sequence[subprocess.Popen[bytes]], folder: Path, log: Log, stop: Callable[[], bool]) -> None:
    """Hand on what is told and asked until all have ended, or one has failed and the others have had their time."""
    failed: float | None = None
    with (folder / "log").open() as told:
        while any(child.poll() is None for child in children):
            _hand_on(told, log)
            if stop():
                (folder / "stop").touch()
            if failed is None and any(child.poll() for child in children):
                failed = time.monotonic()
            if failed is not None and time.monotonic() > failed + GRACE:
                return
            time.sleep(PAUSE)
        _hand_on(told, log)


def _hand_on(told: Any, log: Log) -> None:
    while True:
        place, line = told.tell(), told.readline()
        if not line.endswith("\n"):  # nothing, or what is still being written
            told.seek(place)
            return
        step, figures = json.loads(line)
        log(step, figures)


def _result(folder: Path, codes: Sequence[int | None]) -> Any:
    """What the first process returned; raises what went wrong first if anything did."""
    found = sorted(folder.glob("error.*"), key=lambda file: file.stat().st_mtime_ns)
    errors = [pickle.loads(file.read_bytes()) for file in found]
    spoken = {int(file.suffix[1:]) for file in (*found, *folder.glob("result.*"))}
    silent = [(rank, code) for rank, code in enumerate(codes) if code is not None and rank not in spoken]
    for error in errors:
        if not _follows_from_another(error):
            raise error
    for rank, code in silent:
        cause = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        raise ChildProcessError(
            f"process {rank + 1} of {len(codes)} of the training died ({cause}); run again: it goes on from the last checkpoint"
        )
    for error in errors:
        raise error
    return pickle.loads((folder / "result.0").read_bytes())


def _follows_from_another(error: Exception) -> bool:
    """Whether this is how a process finds that another one has gone."""
    return type(error) is RuntimeError or isinstance(error, torch.distributed.DistError)


def _imported(function: str) -> Work:
    work: Work = resolve_name(function)
    return work


def _child(folder: Path, rank: int) -> None:
    path, function, argument = pickle.loads((folder / "work").read_bytes())
    sys.path[:] = path

    def tell(step: int, figures: Mapping[str, float]) -> None:
        if rank == 0:
            with (folder / "log").open("a") as file:
                file.write(json.dumps([step, dict(figures)]) + "\n")

    try:
        result = _imported(function)(argument, tell, (folder / "stop").exists)
        _leave(folder / f"result.{rank}", pickle.dumps(result if rank == 0 else None))
    except Exception as error:
        _leave(folder / f"error.{rank}", pickled_error(error))
        sys.stderr.flush()
        os._exit(1)  # tidying up would wait for the others
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def _leave(file: Path, content: bytes) -> None:
    partial = file.with_name("partial-" + file.name)
    partial.write_bytes(content)
    partial.rename(file)


if __name__ == "__main__":
    _child(Path(sys.argv[1]), int(sys.argv[2]))
