"""Nothing is published of a config that wants to be asked first until somebody answers the form of a real server with yes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from prefect import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterName, FlowRunFilterState, FlowRunFilterStateType
from prefect.client.schemas.objects import FlowRun, StateType

from configs.execution import Approval
from configs.settings import ConfigError
from flows.deploying import approval
from flows.deploying.asked_first import publish_when_approved
from flows.deploying.publishing import publish
from flows.publishing.publish import publish as publish_labels
from flows.publishing.publish import published_versions
from flows.running.server import embedded
from storage.published import open_published
from tests.support.pipelines import load, make_owed, write_pipeline
from tests.support.processes import until

PATIENCE_SECONDS = 60


@pytest.fixture
def path(tmp_path: Path, prefect_api: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A pipeline of two panoramas whose labels are made, and a server that was named and stays."""
    monkeypatch.setattr(approval, "POLL_SECONDS", 0.1)
    monkeypatch.setattr(embedded, "_embedded", set())
    path = write_pipeline(tmp_path, 2, name="asks")
    make_owed(load(path))
    return path


def answered(make: Callable[[], Any], answer: dict[str, str]) -> tuple[Any, FlowRun]:
    """What comes of a publication, whose form is answered as the UI does it; and its flow run as it was while it waited."""
    came: list[Any] = []
    thread = threading.Thread(target=lambda: came.append(make()))
    thread.start()
    with get_client(sync_client=True) as client:

        def waiting() -> list[FlowRun]:
            assert thread.is_alive(), came
            paused = FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.PAUSED]))
            named = FlowRunFilter(name=FlowRunFilterName(any_=["publish asks"]), state=paused)
            return client.read_flow_runs(flow_run_filter=named)

        until(waiting)
        [run] = waiting()
        time.sleep(0.2)  # the form is saved after the state
        assert client.resume_flow_run(run.id, run_input=answer).status.value == "ACCEPT"
    thread.join(PATIENCE_SECONDS)
    return came[0], run


def test_labels_are_published_once_somebody_says_yes_and_never_after_a_no(
    path: Path, prefect_api: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = load(path, execution__approval__hours=1)
    answers = {"decision": "no", "reason": "depth is odd"}
    state, run = answered(lambda: publish(config, return_state=True), answers)
    assert (state.type.value, state.name, state.message) == ("CANCELLED", "Refused", "not published: depth is odd")
    assert published_versions(config) == []
    assert run.state is not None
    assert run.state.state_details.run_input_keyset

    monkeypatch.setenv("PREFECT_API_URL", prefect_api)  # as for the command
    record, run = answered(lambda: publish_when_approved(config), {"decision": "yes", "reason": "seen"})
    assert record["new"]
    assert [one["version"] for one in published_versions(config)] == [record["version"]]
    kept = open_published(record["url"].rsplit("/", 1)[0]).attrs["approval"]
    assert (kept["reason"], kept["flow_run"]) == ("seen", str(run.id))

    again = publish(config, return_state=True)
    assert again.message == f"2 panoramas are published already: version {record['version']}", "nothing is asked"


def test_without_an_answer_nothing_is_published(path: Path) -> None:
    state = publish(load(path), approval=Approval(hours=0.5 / 3600), return_state=True)
    assert (state.type.value, state.message) == ("CANCELLED", "not published: nobody answered within 0.5 s")
    assert published_versions(load(path)) == []


def test_who_does_not_want_to_be_asked_is_not(path: Path) -> None:
    assert publish(load(path))["new"]
    assert publish_labels(load(path))["new"] is False


def test_a_server_that_ends_with_the_run_is_refused(path: Path, prefect_api: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "_embedded", {prefect_api})
    config = load(path, execution__approval__hours=1)
    with pytest.raises(ConfigError, match=r"execution\.approval: somebody must answer"):
        publish(config)
    monkeypatch.setenv("PREFECT_API_URL", "")
    with pytest.raises(ConfigError, match=r"no Prefect server is named.*--set execution\.approval=null"):
        publish_when_approved(config)
    assert published_versions(config) == []
