"""Who does the work: threads of this process, or a Dask cluster that lives as long as the run.

With a cluster, too, task runs of Prefect are threads of the flow: each hands its work to Dask's own client and waits, which
costs a tenth of a task run on a worker. A call whose worker died is not given to another worker by Dask (it would kill that one
too): the flow sees it, and makes the block in a process of its own.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import os
import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import uuid4

from prefect.settings import PREFECT_LOGGING_LEVEL

from configs.execution import Pools, Runner
from configs.settings import ConfigError
from flows.telling.tags import limits_of_server
from tasks.stage.attempts.children import pickled_error
from tasks.stage.attempts.telling import Tell

if TYPE_CHECKING:
    from distributed import Client

DEAF = "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n"
"""What workers of our own do first: Ctrl-C reaches the whole group of a terminal, and the flow alone says when to stop."""
KNOCK_SECONDS = 10
TOPIC = "panolabel"
"""Of Dask's events: what calls tell while they work."""
Result = TypeVar("Result")


class WorkerDied(RuntimeError):
    """The worker that had a call is gone, and nothing is known of what became of it."""


@dataclass(frozen=True)
class Workers:
    """The workers of one run; ``client`` is that of a Dask cluster, None for threads."""

    settings: Runner
    client: Client | None = None
    _listeners: dict[str, Tell] = field(default_factory=dict, repr=False, compare=False)

    @property
    def at_once(self) -> int:
        """Calls in hand at the same time: for a cluster some more than it has workers, so that none waits for its next."""
        return self.settings.workers if self.client is None else self.window

    @property
    def gpu_blocks(self) -> int:
        """Blocks that run a network at the same time, at most."""
        pools = self.settings.pools
        return self.settings.gpu_blocks or (2 * pools.gpu if pools else self.at_once)  # so that no worker waits for its next

    @property
    def window(self) -> int:
        """Blocks that are begun and not finished."""
        return self.settings.most_begun

    @cached_property
    def limits(self) -> frozenset[str]:
        """Tags that the Prefect server limits, as they were when the run began."""
        return limits_of_server()

    def call(self, function: Callable[..., Result], *arguments: Any, tell: Tell, needs_gpu: bool = False) -> Result:
        """``function(*arguments, tell)``, here or on a worker; what it tells there arrives here while it works.

        Raises
        ------
        WorkerDied
            The worker is gone.
        Exception
            Whatever the function raised.
        """
        if self.client is None:
            return function(*arguments, tell)
        from distributed import CancelledError
        from distributed.comm import CommClosedError
        from distributed.scheduler import KilledWorker, NoValidWorkerError

        call = uuid4().hex
        self._listeners[call] = tell
        sealed = Sealed(call, function, arguments)
        future = self.client.submit(on_worker, sealed, pure=False, retries=0, resources=self._resources(needs_gpu))
        try:
            made, answer = future.result()
        except (KilledWorker, CommClosedError, NoValidWorkerError, CancelledError) as error:
            raise WorkerDied(f"its worker died ({type(error).__name__})") from error
        finally:
            del self._listeners[call]
            future.release()
        if not made:
            raise pickle.loads(answer)
        result: Result = answer
        return result

    def _resources(self, needs_gpu: bool) -> dict[str, float] | None:
        """What a block takes of its worker, by Dask's names of resources."""
        if self.settings.pools:
            return {"GPU" if needs_gpu else "CPU": 1}
        share = self.settings.gpus_per_block if needs_gpu else None
        return {"GPU": share} if share else None

    def hear(self, event: tuple[Any, tuple[str, str]]) -> None:
        """What a worker tells of a call."""
        call, line = event[1]
        if listener := self._listeners.get(call):
            listener(line)

    def recycle(self) -> None:
        """Give the cluster fresh worker processes if the config asks for it; nothing must be running."""
        if self.client is not None and self.settings.recycle:
            self.client.restart(wait_for_workers=True)


@contextmanager
def start_workers(settings: Runner) -> Iterator[Workers]:
    """The workers of a run, stopped on leaving unless they were there before.

    Raises
    ------
    ConfigError
        The cluster cannot be reached or started; the message says what to install or check.
    """
    if settings.kind == "threads":
        yield Workers(settings)
    elif settings.cluster == "address":
        with _with_client(settings, _reachable(str(settings.address))) as workers:
            yield workers
    else:
        with _cluster(settings) as cluster, _with_client(settings, cluster.scheduler_address) as workers:
            yield workers


class Sealed:
    """A call on its way to a worker. Dask searches dataclasses for futures, and a job holds thousands of items."""

    def __init__(self, call: str, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        self.call, self.function, self.arguments = call, function, arguments


def on_worker(sealed: Sealed) -> tuple[bool, Any]:
    """On a worker: whether the call came to its end, and its result, or the pickled error; of errors the flow tells, not Dask.

    What is told on the way goes to the flow as an event of Dask's.
    """
    from distributed import get_worker

    worker = get_worker()
    try:
        return True, sealed.function(*sealed.arguments, lambda line: worker.log_event(TOPIC, (sealed.call, line)))
    except Exception as error:
        return False, pickled_error(error)


@contextmanager
def _with_client(settings: Runner, address: str) -> Iterator[Workers]:
    from distributed import Client

    with Client(address, set_as_default=False) as client:
        workers = Workers(settings, client)
        client.subscribe_topic(TOPIC, workers.hear)
        yield workers


def _reachable(address: str) -> str:
    from distributed.comm import connect
    from distributed.security import Security

    async def knock() -> None:
        await (await connect(address, timeout=KNOCK_SECONDS, **Security().get_connection_args("client"))).close()

    try:
        asyncio.run(knock())
        return address
    except (OSError, ValueError, TypeError, RuntimeError) as error:  # the last two: TLS without, or against, Dask's config
        encrypted = "; its certificates come from Dask's config, distributed.comm.tls" if address.startswith("tls:") else ""
        raise ConfigError(
            f"execution.runner.address: no Dask scheduler answers at {address} ({type(error).__name__}); "
            f"start it, or use cluster: local{encrypted}"
        ) from error


@contextmanager
def _cluster(settings: Runner) -> Iterator[Any]:
    import dask
    import distributed  # before its settings are changed: changing them back would take away those that its import brings

    for name in [name for name in logging.root.manager.loggerDict if name.startswith(distributed.__name__)]:
        logging.getLogger(name).setLevel(logging.WARNING)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads = str(max(1, cores // settings.workers))
    with (
        dask.config.set(
            {
                "distributed.scheduler.allowed-failures": 0,
                "distributed.scheduler.worker-saturation": 1.0,
                "distributed.worker.preload": [*dask.config.get("distributed.worker.preload"), DEAF],
                "distributed.nanny.pre-spawn-environ.OMP_NUM_THREADS": threads,
                "distributed.nanny.pre-spawn-environ.MKL_NUM_THREADS": threads,
                "distributed.nanny.pre-spawn-environ.PREFECT_LOGGING_LEVEL": PREFECT_LOGGING_LEVEL.value(),
                "distributed.nanny.pre-spawn-environ.DASK_LOGGING__DISTRIBUTED": "warning",
            }
        ),
        _pooled(settings.pools) if settings.pools else _cluster_class(settings.cluster)(**_arguments(settings)) as cluster,
    ):
        yield cluster


def _pooled(pools: Pools) -> Any:
    """A cluster of this machine with two kinds of workers; each of the first sees one GPU, the others none."""
    from distributed import Nanny, Scheduler, SpecCluster

    def worker(resource: str, gpu: str) -> dict[str, Any]:
        shown = {"CUDA_VISIBLE_DEVICES": gpu}
        options = {"host": "127.0.0.1", "nthreads": 1, "resources": {resource: 1}, "dashboard": False, "env": shown}
        return {"cls": Nanny, "options": options}

    gpus = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
    gpus = [*map(str, range(pools.gpu))] if gpus == [""] else gpus
    workers = {f"gpu-{number}": worker("GPU", gpus[number % len(gpus)]) for number in range(pools.gpu)}
    workers |= {f"cpu-{number}": worker("CPU", "") for number in range(pools.cpu)}
    scheduler = {"cls": Scheduler, "options": {"host": "127.0.0.1", "port": 0, "dashboard": False}}
    return SpecCluster(scheduler=scheduler, workers=workers, silence_logs=logging.WARNING)


def _arguments(settings: Runner) -> dict[str, Any]:
    if settings.cluster == "local":
        ours: dict[str, Any] = {
            "n_workers": settings.workers,
            "threads_per_worker": 1,
            "processes": True,
            "host": "127.0.0.1",
            "dashboard_address": None,
            "memory_limit": "auto",
        }
    elif settings.cluster == "cuda":
        ours = {"n_workers": settings.workers, "threads_per_worker": 1, "host": "127.0.0.1", "dashboard_address": None}
    else:
        ours = {"n_workers": settings.workers}
    return {**ours, **settings.cluster_settings}


def _cluster_class(name: str) -> Any:
    path = {"local": "distributed:LocalCluster", "cuda": "dask_cuda:LocalCUDACluster"}.get(name, name)
    module, _, attribute = path.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        known = {"local": "pip install distributed", "cuda": "pip install dask-cuda"}
        install = known.get(name, f"install the package that has {module}, or correct the name")
        raise ConfigError(f"execution.runner.cluster: {path} cannot be imported ({error}); {install}") from error
