"""Who does the work: threads of this process, or a Dask cluster that lives as long as the run.

Prefect's Dask runner loses a cluster object when it duplicates itself for a subflow, so the cluster is held here and the
runner gets its address. A task whose worker died is not given to another worker by Dask (it would kill that one too): the
flow sees it, and makes the block in a process of its own.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from prefect.futures import PrefectFuture
from prefect.settings import PREFECT_LOGGING_LEVEL
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from configs.execution import Runner
from configs.settings import ConfigError
from flows.telling.tags import limits_of_server

DEAF = "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n"
"""What workers of our own do first: Ctrl-C reaches the whole group of a terminal, and the flow alone says when to stop."""


@dataclass(frozen=True)
class Workers:
    """The workers of one run; ``address`` is the Dask scheduler's, empty for threads."""

    settings: Runner
    address: str = ""

    @property
    def window(self) -> int:
        """Blocks submitted and not finished."""
        return self.settings.window or 2 * self.settings.workers

    @cached_property
    def limits(self) -> frozenset[str]:
        """Tags that the Prefect server limits, as they were when the run began."""
        return limits_of_server()

    def task_runner(self) -> TaskRunner[Any]:
        """A Prefect task runner for one flow run."""
        if not self.address:
            return ThreadPoolTaskRunner(self.settings.workers)
        from prefect_dask import DaskTaskRunner

        return DaskTaskRunner(address=self.address)

    def resources(self, needs_gpu: bool) -> AbstractContextManager[Any]:
        """Around a submission: what a block takes of its worker."""
        if not (self.address and needs_gpu and self.settings.gpus_per_block):
            return nullcontext()
        import dask

        return dask.annotate(resources={"GPU": self.settings.gpus_per_block})

    def recycle(self) -> None:
        """Give the cluster fresh worker processes if the config asks for it; nothing must be running."""
        if self.address and self.settings.recycle:
            from distributed import Client

            with Client(self.address, set_as_default=False) as client:
                client.restart(wait_for_workers=True)


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
        yield Workers(settings, _reachable(str(settings.address)))
    else:
        with _cluster(settings) as cluster:
            yield Workers(settings, cluster.scheduler_address)


def own_error(future: PrefectFuture[Any]) -> BaseException | None:
    """What went wrong with a finished future before or after its task: Dask could not carry it over, say."""
    wrapped = getattr(future, "wrapped_future", None)
    if wrapped is None or getattr(wrapped, "status", "finished") == "finished":
        return None
    error = wrapped.exception()
    return error if isinstance(error, BaseException) else None


def died_with_its_worker(future: PrefectFuture[Any]) -> bool:
    """Whether a finished future says nothing of its task because the worker is gone."""
    wrapped = getattr(future, "wrapped_future", None)
    if wrapped is None or getattr(wrapped, "status", "finished") == "finished":
        return False
    if wrapped.status == "error":
        return type(wrapped.exception()).__name__ in ("KilledWorker", "CommClosedError", "NoValidWorkerError")
    return True


def _reachable(address: str) -> str:
    from distributed.comm import connect
    from distributed.security import Security

    async def knock() -> None:
        await (await connect(address, timeout=10, **Security().get_connection_args("client"))).close()

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
        _cluster_class(settings.cluster)(**_arguments(settings)) as cluster,
    ):
        yield cluster


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
        install = {"local": "pip install prefect-dask", "cuda": "pip install dask-cuda"}.get(name, f"install {module}")
        raise ConfigError(f"execution.runner.cluster: {path} cannot be imported ({error}); {install}") from error
