"""What others use, versions of labels and models, is told to the server as Prefect's assets are: once, with its place."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from flows.deploying.publishing import publish
from tests.support.pipelines import load, make_owed, run_pipeline, write_pipeline
from tests.support.streets import write_street

EVENT = "prefect.asset.materialization.succeeded"


def told(api: str, place: str, count: int) -> list[dict[str, Any]]:
    """Events of assets below a place, once there are so many."""
    deadline = time.monotonic() + 15
    while True:
        wanted = {"limit": 50, "filter": {"event": {"name": [EVENT]}}}
        found = httpx.post(f"{api}/events/filter", json=wanted).json()["events"]
        own = [event for event in found if event["resource"]["prefect.resource.id"].startswith(place)]
        if len(own) >= count or time.monotonic() > deadline:
            return own
        time.sleep(0.2)


def test_a_new_version_is_told_once(tmp_path: Path, prefect_api: str) -> None:
    config = load(write_pipeline(tmp_path, 2))
    make_owed(config)
    record = publish(config)
    publish(config)
    (event,) = told(prefect_api, tmp_path.as_uri(), 1)
    assert event["resource"]["prefect.resource.id"].endswith(record["version"])
    assert event["payload"] == {"config": "small", "version": record["version"], "panoramas": 2}


@pytest.mark.slow
def test_a_model_is_told_by_the_run_that_made_it(tmp_path: Path, prefect_api: str) -> None:
    config = load(write_street(tmp_path, 5))
    record = run_pipeline(config)
    (event,) = told(prefect_api, tmp_path.as_uri(), 1)
    assert (event["payload"]["stage"], event["payload"]["run"]) == ("train", record["run"])
    assert Path(event["resource"]["prefect.resource.id"].removeprefix("file://")).joinpath("receipt.json").is_file()
    run_pipeline(config)
    time.sleep(2)
    assert len(told(prefect_api, tmp_path.as_uri(), 1)) == 1, "it was not made again"
