"""What a Prefect server shows of a run: structure, names, tags, artifacts, the run form's schema, deployments and events."""

from __future__ import annotations

import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from prefect import get_client
from prefect.exceptions import ParameterTypeError
from prefect.utilities.importtools import import_object

from flows.pipeline import pipeline
from flows.telling.events import QUARANTINED
from tests.support.pipelines import load, run_pipeline, write_pipeline

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


def test_a_run_has_a_subflow_a_stage_and_a_task_run_a_block(
    record: dict[str, Any], shown: dict[str, Any], prefect_api: str
) -> None:
    assert "config:small" in shown["tags"]
    children = _read(prefect_api, "flow_runs", flow_runs={"parent_flow_run_id": {"any_": [shown["id"]]}})
    subflows = {run["name"]: run for run in children}
    assert sorted(subflows) == sorted(STAGES)
    assert set(subflows["geometry"]["tags"]) == {"config:small", "stage:label", "teacher:geometry"}
    for stage in STAGES[1:]:
        within = {"flow_run_id": {"any_": [subflows[stage]["id"]]}}
        tasks = _read(prefect_api, "task_runs", task_runs=within)
        assert sorted(task["name"] for task in tasks) == sorted(f"{stage} {block}" for block in record["blocks"]["ingest"])
        assert not any(task["tags"] for task in tasks), "every tag of a task run costs a second, so only limits are tags"


def test_blocks_keep_to_the_limits_of_the_server(tmp_path: Path, prefect_api: str) -> None:
    with get_client(sync_client=True) as client:
        client.create_concurrency_limit("gpu", 1)
    try:
        record = run_pipeline(load(write_pipeline(tmp_path, 4), execution__runner__workers=2))
    finally:
        with get_client(sync_client=True) as client:
            client.delete_concurrency_limit_by_tag("gpu")
    [run] = _read(prefect_api, "flow_runs", flow_runs={"name": {"any_": [record["run"]]}})
    children = _read(prefect_api, "flow_runs", flow_runs={"parent_flow_run_id": {"any_": [run["id"]]}})
    for child in children:
        tasks = _read(prefect_api, "task_runs", task_runs={"flow_run_id": {"any_": [child["id"]]}})
        wants_gpu = child["name"] in ("geometry", "classes")
        assert {tuple(task["tags"]) for task in tasks} == {("gpu",) if wants_gpu else ()}
        spans = sorted((task["start_time"], task["end_time"]) for task in tasks)
        assert not wants_gpu or all(former[1] <= latter[0] for former, latter in pairwise(spans)), "one at a time"


def test_artifacts_are_a_few_a_run(shown: dict[str, Any], prefect_api: str) -> None:
    found = _read(prefect_api, "artifacts", artifacts={"flow_run_id": {"any_": [shown["id"]]}})
    by_key = {artifact["key"]: artifact for artifact in found}
    assert {"plan", "stages", "quarantined", "report", "preview"} <= set(by_key)
    assert "p01" in str(by_key["quarantined"]["data"])
    assert "data:image/webp;base64," in str(by_key["preview"]["data"])


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
    assert declared["definitions"]["demo"] == yaml.safe_load((ROOT / "configs" / "demo.yaml").read_text())
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
