"""Whether those who do the work can be had: GPUs, a cluster that starts or answers, and workers like this process."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from typing import Any

from configs.execution import Pools, Runner
from configs.pipeline import Config
from flows.setup.checks import Check
from tasks.pipeline import plain_stages
from tasks.stage.code import code_digest, packages_of

TASK_SECONDS = 30
CLUSTER = "execution.runner"


def check_gpus(config: Config) -> Iterator[Check]:
    """One GPU for every worker that wants one, and dask-cuda where it starts them."""
    import torch

    runner = config.execution.runner
    if runner.cluster != "cuda":
        return
    if find_spec("dask_cuda") is None:
        yield Check("dask-cuda", "failure", "cluster: cuda needs dask-cuda, which is not installed", "pip install dask-cuda")
    there = torch.cuda.device_count() if torch.cuda.is_available() else 0
    seen = f"{runner.workers} workers want a GPU each; there are {there}"
    if there < runner.workers:
        yield Check("gpus", "failure", seen, f"set execution.runner.workers to {there}" if there else "use cluster: local")
    else:
        yield Check("gpus", "ok", seen)


def check_runner(config: Config) -> Iterator[Check]:
    """The workers of the config are had as a run has them, and one of them does a trivial task."""
    runner, packages = config.execution.runner, packages_of(*plain_stages(config))
    if runner.kind == "threads":
        with ThreadPoolExecutor(runner.workers) as pool:
            same = pool.submit(code_digest, *packages).result(TASK_SECONDS) == code_digest(*packages)
        yield Check(CLUSTER, "ok" if same else "failure", f"{runner.workers} threads of this process")
        return
    from flows.running.workers import start_workers

    with start_workers(runner) as workers:
        client: Any = workers.client
        yield from _check_cluster(runner, client.scheduler.address, client, packages)


def _check_cluster(runner: Runner, address: str, client: Any, packages: Sequence[str]) -> Iterator[Check]:
    there = client.scheduler_info(n_workers=-1)["workers"]
    if not there:
        yield Check(
            CLUSTER, "failure", f"the scheduler at {address} answers and has no workers", f"dask worker {address} --nthreads 1"
        )
        return
    codes = client.run(code_digest, *packages)
    client.submit(os.getpid, pure=False).result(timeout=TASK_SECONDS)
    seen = f"{len(there)} workers of {address} answer, and one did a task"
    if strangers := [name for name, code in codes.items() if code != code_digest(*packages)]:
        text = f"{seen}; {len(strangers)} have other code than this process, such as {strangers[0]}"
        yield Check(
            CLUSTER,
            "failure",
            text,
            f"install the same {' and '.join(['panolabel', *packages])} on all, and start the workers again",
        )
    elif len(there) < runner.workers:
        yield Check(
            CLUSTER, "warning", f"{seen}; the config counts on {runner.workers}", "start more workers, or correct `workers`"
        )
    else:
        yield Check(CLUSTER, "ok", seen)
    yield from _check_versions(client.get_versions())
    if runner.pools:
        yield _check_pools(runner.pools, there)
    lacking = [name for name, one in there.items() if (one.get("resources") or {}).get("GPU", 0) < (runner.gpus_per_block or 0)]
    if lacking:
        text = f"{len(lacking)} of {len(there)} workers offer less than {runner.gpus_per_block:g} GPU, such as {lacking[0]}"
        state: Any = "failure" if len(lacking) == len(there) else "warning"
        yield Check("gpus", state, text, "start them with --resources GPU=1, or remove gpus_per_block")


def _check_pools(pools: Pools, there: Mapping[str, Any]) -> Check:
    """Whether workers of both pools are there."""
    offered = {name: sum((one.get("resources") or {}).get(name, 0) >= 1 for one in there.values()) for name in ("GPU", "CPU")}
    seen = f"{offered['GPU']} workers offer GPU, {offered['CPU']} CPU"
    if offered["GPU"] and offered["CPU"]:
        return Check("pools", "ok" if (offered["GPU"], offered["CPU"]) == (pools.gpu, pools.cpu) else "warning", seen, "")
    return Check("pools", "failure", seen, "start workers with --resources GPU=1, and others with --resources CPU=1")


def _check_versions(versions: Mapping[str, Any]) -> Iterator[Check]:
    """Scheduler and workers have the Python and packages that must be alike on both sides of a wire."""
    alike = ("python", "dask", "distributed", "msgpack", "cloudpickle", "numpy")
    ours = {**versions["client"]["packages"], "python": versions["client"]["host"]["python"]}
    others = {"the scheduler": versions["scheduler"], **versions["workers"]}
    wrong = []
    for name, other in others.items():
        theirs = {**other["packages"], "python": other["host"]["python"]}
        wrong += [f"{name} has {one} {theirs.get(one)}, not {ours.get(one)}" for one in alike if theirs.get(one) != ours.get(one)]
    if wrong:
        more = f", and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        yield Check("dask versions", "warning", wrong[0] + more, "install the same versions everywhere: constraints.txt")
    else:
        yield Check("dask versions", "ok", f"the same on {len(others)} processes: distributed {ours['distributed']}")
