"""The pipeline on a Dask cluster: the same bytes, and an item that kills its worker costs itself only."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from configs.settings import ConfigError
from flows.plan import make_plan
from flows.running.workers import start_workers
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


def test_a_cluster_that_is_not_there_is_an_error_that_says_so() -> None:
    from configs.execution import Runner

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
