"""The pipeline on a Dask cluster: the same bytes, and an item that kills its worker costs itself only."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from configs.execution import Pools, Runner
from configs.settings import ConfigError
from flows.plan import make_plan
from flows.plan_words import binding_pool
from flows.running import workers
from flows.running.workers import start_workers
from flows.text import duration
from storage.receipts import read_receipt
from tests.support.pipelines import load, run_pipeline, without_fingerprints, write_pipeline
from tests.support.prefect_runs import blocks_made

pytestmark = pytest.mark.usefixtures("prefect_api")

DASK = {"kind": "dask", "workers": 2}


@pytest.mark.slow
def test_a_cluster_makes_the_bytes_of_threads(tmp_path: Path) -> None:
    threads, cluster = write_pipeline(tmp_path / "threads"), write_pipeline(tmp_path / "cluster")
    run_pipeline(load(threads))
    record = run_pipeline(load(cluster, execution__runner=DASK))
    assert without_fingerprints(threads.parent / "store") == without_fingerprints(cluster.parent / "store")
    assert sum(blocks_made(record["run"]).values()) == 15
    processes = {read_receipt(str(path.parent)).made["process"] for path in (tmp_path / "cluster").rglob("receipt.json")}  # type: ignore[union-attr]
    assert len(processes) == 2, "both workers must have worked"


@pytest.mark.slow
def test_a_joined_teacher_works_on_the_gpu_of_its_reader(tmp_path: Path) -> None:
    threads, pools = write_pipeline(tmp_path / "threads"), write_pipeline(tmp_path / "pools")
    run_pipeline(load(threads))
    never = {"geometry__keep": "never", "classes__keep": "never"}
    run_pipeline(load(pools, **never, execution__runner={"kind": "dask", "pools": {"gpu": 1, "cpu": 1}}))
    fused, joined = (
        {name: data for name, data in without_fingerprints(path.parent / "store").items() if "fuse/" in name}
        for path in (threads, pools)
    )
    assert fused == joined
    made = {
        stage: {
            read_receipt(str(path.parent)).made["process"] for path in (tmp_path / "pools").rglob(f"{stage}/*/*/receipt.json")
        }  # type: ignore[union-attr]
        for stage in ("fuse", "evaluate")
    }
    assert (len(made["fuse"]), made["fuse"] & made["evaluate"]) == (1, set()), "where there is a GPU, since it runs a network"


@pytest.mark.slow
def test_networks_and_all_else_go_to_workers_of_their_own(tmp_path: Path) -> None:
    threads, pools = write_pipeline(tmp_path / "threads"), write_pipeline(tmp_path / "pools")
    run_pipeline(load(threads))
    config = load(pools, execution__runner={"kind": "dask", "pools": {"gpu": 1, "cpu": 1}})
    run_pipeline(config)
    assert without_fingerprints(threads.parent / "store") == without_fingerprints(pools.parent / "store")
    processes: dict[bool, set[int]] = {True: set(), False: set()}
    for path in (tmp_path / "pools").rglob("receipt.json"):
        processes["label." in str(path)].add(read_receipt(str(path.parent)).made["process"])  # type: ignore[union-attr]
    assert (len(processes[True]), len(processes[False]), processes[True] & processes[False]) == (1, 1, set())


@pytest.mark.parametrize(
    ("runner", "message"),
    [
        ({"kind": "dask", "workers": 3, "pools": {"gpu": 1, "cpu": 1}}, "workers: is 3, but pools have 2"),
        ({"pools": {"gpu": 1, "cpu": 1}}, "pools: are for kind: dask with cluster: local or address"),
        ({"kind": "dask", "pools": {"gpu": 1, "cpu": 1}, "gpus_per_block": 1}, "a block takes a whole worker of its pool"),
        ({"kind": "dask", "pools": {"gpu": 0, "cpu": 1}}, "greater than or equal to 1"),
    ],
)
def test_pools_that_cannot_be_are_told(tmp_path: Path, runner: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load(write_pipeline(tmp_path, 1), execution__runner=runner)


@pytest.mark.parametrize("pools", [{"gpu": 4.0, "cpu": "30"}, Pools(gpu=4, cpu=30)])
def test_pools_say_how_many_workers_there_are_however_they_are_written(pools: Any) -> None:
    assert Runner.model_validate({"kind": "dask", "pools": pools}).workers == 34


def test_the_pool_that_a_run_waits_for_is_told(tmp_path: Path, prefect_api: str) -> None:
    path = write_pipeline(tmp_path, 2)
    run_pipeline(load(path))
    plan = make_plan(load(path, fuse__edge_feather=0.3))
    rows = {row.stage: row.seconds or 0.0 for row in plan.stages}
    binds = binding_pool(plan, Pools(gpu=1, cpu=2))
    each = duration((rows["fuse"] + rows["evaluate"]) / 2)
    assert binds == f"pool cpu binds: {each} for each of its workers, {duration(0.0)} for each of pool gpu"
    assert not binding_pool(make_plan(load(path)), Pools(gpu=1, cpu=2))


@pytest.mark.slow
@pytest.mark.fault("Poison item on a Dask worker", expected="found, quarantined; the others done")
def test_an_item_that_kills_its_worker_is_found_and_the_others_are_done_once(tmp_path: Path) -> None:
    path = write_pipeline(tmp_path, 6)
    config = load(path, geometry__settings__kill_on="p02", execution__runner=DASK)
    record = run_pipeline(config)
    assert record["quarantined"] == [{"item": "p02", "stage": "geometry", "reason": "killed its process twice (SIGKILL)"}]
    assert not make_plan(config).anything_to_run
    folder = tmp_path / "store" / "stages" / "label.geometry"
    receipts = [json.loads(file.read_text()) for file in sorted(folder.rglob("receipt.json"))]
    assert [[row["state"] for row in receipt["items"]] for receipt in receipts] == [
        ["done", "done"],
        ["quarantined", "done"],
        ["done", "done"],
    ]
    assert not list(folder.rglob("attempts.json"))


def test_a_cluster_that_is_not_there_is_an_error_that_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    from configs.execution import Runner

    monkeypatch.setattr(workers, "KNOCK_SECONDS", 1)
    runner = Runner(kind="dask", cluster="address", address="tcp://127.0.0.1:9")
    with pytest.raises(ConfigError, match="no Dask scheduler answers at"), start_workers(runner):
        pass
    with (
        pytest.raises(ConfigError, match="cannot be imported"),
        start_workers(Runner(kind="dask", cluster="no_such_module:Cluster")),
    ):
        pass


@pytest.mark.parametrize(
    ("runner", "message"),
    [
        ({"kind": "threads", "cluster": "cuda"}, "are for kind: dask"),
        ({"kind": "dask", "cluster": "address"}, "address: is required"),
        ({"kind": "dask", "address": "tcp://a:1"}, "write cluster: address"),
        ({"kind": "dask", "cluster": "kubernetes"}, "must be local, cuda, address or package.module:Class"),
    ],
)
def test_contradictions_name_the_key(tmp_path: Path, runner: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load(write_pipeline(tmp_path, 1), execution__runner=runner)
