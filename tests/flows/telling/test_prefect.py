"""What a Prefect server shows of a run: structure, names, tags, artifacts, the run form's schema, deployments and events."""

from __future__ import annotations

import threading
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from prefect import flow, get_client
from prefect.exceptions import ParameterTypeError
from prefect.states import Cancelling, Paused
from prefect.utilities.importtools import import_object

from configs.trial import Trial
from flows.pipeline import pipeline
from flows.plan import make_plan
from flows.running import watch
from flows.running.block_task import cached_task, submit
from flows.running.subflow import in_subflow
from flows.telling.events import QUARANTINED
from storage.records.runs import latest_run
from tasks.pipeline import load as load_pipeline
from tasks.pipeline import validated
from tasks.stage.attempts import stopping
from tests.support.faulty import switch
from tests.support.pipelines import load, run_pipeline, write_pipeline
from tests.support.prefect_runs import flow_run_of, graph_of, task_runs_of
from tests.support.processes import holder, write_faulty_pipeline

ROOT = Path(__file__).parents[3]
STAGES = ["ingest", "project", "geometry", "classes", "fuse", "evaluate"]


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory, prefect_api: str) -> dict[str, Any]:
    """The record of a run over four panoramas in two blocks, one of them no image."""
    folder = tmp_path_factory.mktemp("prefect_run")
    path = write_pipeline(folder, 4)
    (folder / "images" / "p01.png").write_bytes(b"no image")
    return run_pipeline(load(path))


def _read(api: str, what: str, **wanted: Any) -> list[dict[str, Any]]:
    answer = httpx.post(f"{api}/{what}/filter", json=wanted)
    answer.raise_for_status()
    return answer.json()


@pytest.fixture(scope="module")
def shown(record: dict[str, Any], prefect_api: str) -> dict[str, Any]:
    """The run as the server knows it."""
    [run] = _read(prefect_api, "flow_runs", flow_runs={"name": {"any_": [record["run"]]}})
    return run


def test_a_run_is_one_flow_run_with_a_task_run_a_block_and_stage(
    record: dict[str, Any], shown: dict[str, Any], prefect_api: str
) -> None:
    assert "config:small" in shown["tags"]
    assert not _read(prefect_api, "flow_runs", flow_runs={"parent_flow_run_id": {"any_": [shown["id"]]}})
    tasks = {task.name: task for task in task_runs_of(record["run"])}
    blocks = [f"{stage} {block}" for stage in STAGES[1:] for block in record["blocks"]["ingest"]]
    assert tasks.keys() == {*blocks, "ingest files 1", "ingest 4"}
    assert {task.state_name for task in tasks.values()} == {"Completed"}
    assert not any(task.tags for task in tasks.values()), "every tag of a task run costs a second, so only limits are tags"


@pytest.mark.parametrize("runner", [{}, pytest.param({"kind": "dask", "workers": 1}, marks=pytest.mark.slow)])
def test_every_edge_is_drawn(tmp_path: Path, prefect_api: str, runner: dict[str, Any]) -> None:
    path = write_pipeline(tmp_path, 4)
    config = load(path, **({"execution__runner": runner} if runner else {}))
    record = run_pipeline(config)
    first, second = record["blocks"]["ingest"]
    task_runs_of(record["run"])
    graph = graph_of(record["run"], prefect_api)
    assert graph["ingest 4"] == {"ingest files 1"}
    for block in (first, second):
        assert graph[f"project {block}"] == {"ingest 4"}
        for teacher in ("geometry", "classes"):
            assert graph[f"{teacher} {block}"] == {f"project {block}"}
        assert graph[f"fuse {block}"] >= {f"geometry {block}", f"classes {block}"}
        assert graph[f"evaluate {block}"] >= {f"fuse {block}"}


def test_what_was_there_is_one_task_run_a_stage_that_tells_its_count(tmp_path: Path, prefect_api: str) -> None:
    path = write_pipeline(tmp_path, 4)
    run_pipeline(load(path))
    record = run_pipeline(load(path, fuse__edge_feather=0.3))
    first, second = record["blocks"]["ingest"]
    states = {task.name: task.state_name for task in task_runs_of(record["run"])}
    cached = ["ingest 4", "project cached 2", "geometry cached 2", "classes cached 2"]
    made = [f"{stage} {block}" for stage in ("fuse", "evaluate") for block in (first, second)]
    assert states == dict.fromkeys(cached, "Cached") | dict.fromkeys(made, "Completed")
    graph = graph_of(record["run"], prefect_api)
    assert graph[f"fuse {first}"] >= {"geometry cached 2", "classes cached 2"}
    assert graph["geometry cached 2"] >= {"project cached 2"}


def test_more_task_runs_than_a_flow_run_should_have_go_into_several(tmp_path: Path, prefect_api: str) -> None:
    record = run_pipeline(load(write_pipeline(tmp_path, 4), execution__task_runs_per_flow_run=5))
    run = flow_run_of(record["run"])
    children = _read(prefect_api, "flow_runs", flow_runs={"parent_flow_run_id": {"any_": [str(run.id)]}})
    first, second = record["blocks"]["ingest"]
    assert sorted(child["name"] for child in children) == [f"{record['run']} {number} of 2" for number in (1, 2)]
    by_flow_run: dict[str, set[str]] = {child["name"]: set() for child in children} | {run.name: set()}
    names = {child["id"]: child["name"] for child in children} | {str(run.id): run.name}
    for task in task_runs_of(record["run"]):
        by_flow_run[names[str(task.flow_run_id)]].add(task.name)
    assert by_flow_run[f"{record['run']} 1 of 2"] == {f"{stage} {first}" for stage in STAGES[1:]}
    assert by_flow_run[f"{record['run']} 2 of 2"] == {f"{stage} {second}" for stage in STAGES[1:]}
    graph = graph_of(record["run"], prefect_api)
    assert [graph[f"blocks / {record['run']} {number} of 2"] for number in (1, 2)] == [{"ingest 4"}] * 2


def test_flow_runs_within_a_run_come_after_the_files_that_they_need(tmp_path: Path, prefect_api: str) -> None:
    """The last files are read while blocks of the first ones are made, in a flow run within the run."""
    config = load(write_pipeline(tmp_path, 80), execution__task_runs_per_flow_run=8)
    pipeline(config, "read-meanwhile", trial=Trial(until=("project",)))
    task_runs_of("read-meanwhile")
    graph = graph_of("read-meanwhile", prefect_api)
    parts = {name: before for name, before in graph.items() if name.startswith("blocks / ")}
    assert len(parts) > 3
    assert all(before and before <= {name for name in graph if name.startswith("ingest ")} for before in parts.values())


def test_an_edge_leads_from_a_flow_run_within_a_run_to_what_reads_it(prefect_api: str) -> None:
    @flow(flow_run_name="around")
    def around() -> None:
        node = in_subflow("blocks", "a part", 1, lambda: None)
        assert node is not None
        submit(cached_task, "after", {"stage": "train", "blocks": 1, "after": None}, {node}).wait()

    around()
    task_runs_of("around")
    assert graph_of("around", prefect_api)["train cached 1"] == {"blocks / a part"}


def test_blocks_keep_to_the_limits_of_the_server(tmp_path: Path, prefect_api: str) -> None:
    with get_client(sync_client=True) as client:
        client.create_concurrency_limit("gpu", 1)
    try:
        record = run_pipeline(load(write_pipeline(tmp_path, 4), execution__runner__workers=2))
    finally:
        with get_client(sync_client=True) as client:
            client.delete_concurrency_limit_by_tag("gpu")
    on_gpu = [task for task in task_runs_of(record["run"]) if task.tags]
    assert {task.name.split()[0] for task in on_gpu} == {"geometry", "classes"}
    assert {tuple(task.tags) for task in on_gpu} == {("gpu",)}
    spans = sorted((task.start_time, task.end_time) for task in on_gpu if task.start_time and task.end_time)
    assert len(spans) == 4
    assert all(former[1] <= latter[0] for former, latter in pairwise(spans)), "one at a time"


def test_artifacts_are_a_few_a_run(shown: dict[str, Any], prefect_api: str) -> None:
    found = _read(prefect_api, "artifacts", artifacts={"flow_run_id": {"any_": [shown["id"]]}})
    by_key = {artifact["key"]: artifact for artifact in found}
    assert {f"small-{key}" for key in ("plan", "stages", "quarantined", "report", "preview")} <= set(by_key)
    assert "p01" in str(by_key["small-quarantined"]["data"])
    assert "data:image/webp;base64," in str(by_key["small-preview"]["data"])
    bars = {key: artifact["data"] for key, artifact in by_key.items() if key.startswith("small-progress-")}
    assert "small-progress-fuse" in bars
    assert set(bars.values()) == {100.0}


def test_the_run_form_knows_the_config_and_a_mistake_is_told_in_its_words(tmp_path: Path, prefect_api: str) -> None:
    from prefect.utilities.callables import parameter_schema

    schema = parameter_schema(pipeline).model_dump_for_openapi()
    assert schema["properties"]["config"]["$ref"] == "#/definitions/Config"
    assert set(type(load(write_pipeline(tmp_path, 1))).model_fields) == set(schema["definitions"]["Config"]["properties"])
    wrong = yaml.safe_load((ROOT / "configs" / "demo.yaml").read_text())
    wrong["stages"]["fuse"] = {"hieght": 64}
    with pytest.raises(ParameterTypeError, match=r"stages\.fuse\.hieght: unknown key; did you mean 'height'\?"):
        pipeline(wrong)  # type: ignore[arg-type]


def test_deployments_name_real_flows_and_fit_them(prefect_api: str) -> None:
    declared = yaml.safe_load((ROOT / "prefect.yaml").read_text())
    assert validated(declared["definitions"]["demo"]) == load_pipeline("configs/demo.yaml")
    for deployment in declared["deployments"]:
        entry = import_object(deployment["entrypoint"])
        entry.validate_parameters(deployment["parameters"])
        assert not any(schedule["active"] for schedule in deployment["schedules"])


def test_given_up_items_reach_the_server_as_an_event(record: dict[str, Any], prefect_api: str) -> None:
    wanted = {"limit": 10, "filter": {"event": {"name": [QUARANTINED]}}}
    deadline = time.monotonic() + 15
    events: list[dict[str, Any]] = []
    while not events and time.monotonic() < deadline:
        answer = httpx.post(f"{prefect_api}/events/filter", json=wanted).json()["events"]
        events = [event for event in answer if event["payload"]["run"] == record["run"]]
        time.sleep(0.2)
    [event] = events
    assert (event["payload"]["new"], event["payload"]["first"][0]["item"]) == (1, "p01")
    assert event["resource"]["prefect.resource.id"] == "panolabel.config.small"


@pytest.mark.parametrize("by", ["server", "signal"])
def test_a_run_that_is_cancelled_drains_and_is_cancelled_and_goes_on(
    by: str, tmp_path: Path, prefect_api: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the UI a run that no worker holds is cancelled at once: the run must see that and stop by itself."""
    monkeypatch.setattr(watch, "LOOK_SECONDS", 0.05)
    path = write_faulty_pipeline(tmp_path, 6)
    switch(tmp_path, hold_on="p02")
    config, name = load(path), f"cancelled-by-{by}"
    ended: list[Any] = []
    thread = threading.Thread(target=lambda: ended.append(pipeline(config, name, return_state=True)))
    thread.start()
    holder(tmp_path, "p02")
    if by == "server":
        with get_client(sync_client=True) as client:
            client.set_flow_run_state(flow_run_of(name).id, Cancelling())
        deadline = time.monotonic() + 20
        while not stopping.asked_to_stop() and time.monotonic() < deadline:
            time.sleep(0.02)
    else:
        stopping.ask_to_stop()
    switch(tmp_path)
    thread.join(60)
    stopping.go_on()
    assert ended[0].is_cancelled()
    assert flow_run_of(name).state_name == "Cancelled"
    record = latest_run(config.root)
    assert record is not None
    assert record["state"] == "interrupted"
    assert make_plan(config).anything_to_run
    assert run_pipeline(config)["state"] == "completed"


def test_a_run_that_is_paused_begins_nothing_until_it_is_resumed(
    tmp_path: Path, prefect_api: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "LOOK_SECONDS", 0.05)
    path = write_faulty_pipeline(tmp_path, 6)
    switch(tmp_path, hold_on="p00")
    ended: list[Any] = []
    thread = threading.Thread(target=lambda: ended.append(pipeline(load(path), "paused-run", return_state=True)))
    thread.start()
    holder(tmp_path, "p00")
    with get_client(sync_client=True) as client:
        client.set_flow_run_state(flow_run_of("paused-run").id, Paused(timeout_seconds=600))
        time.sleep(1)
        switch(tmp_path)
        time.sleep(2)
        before = len(list((tmp_path / "store").rglob("receipt.json")))
        time.sleep(1)
        assert len(list((tmp_path / "store").rglob("receipt.json"))) == before, "nothing is begun"
        assert thread.is_alive()
        client.resume_flow_run(flow_run_of("paused-run").id)
    thread.join(60)
    assert ended[0].is_completed()
    assert not make_plan(load(path)).anything_to_run
