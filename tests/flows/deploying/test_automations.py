"""Automations on a real server post to a real webhook: of runs of a deployment, as Prefect's own services see them."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from prefect import get_client
from prefect.client.schemas.objects import FlowRun
from prefect.flow_engine import run_flow
from typer.testing import CliRunner

from flows.deploying.automations import app, start_notifying
from flows.deploying.deployment import deploy
from flows.pipeline import pipeline
from tests.support.faulty import switch
from tests.support.pipelines import load, write_pipeline
from tests.support.processes import PATIENCE, holder, write_faulty_pipeline

ROOT = Path(__file__).parents[3]
SECRET = "T0KEN"
POOL = "nobody"
"""A pool that no worker of any test polls."""


class Webhook:
    """A web server that keeps what is posted to it."""

    def __init__(self) -> None:
        got: queue.Queue[dict[str, Any]] = queue.Queue()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                got.put({"path": self.path, "type": self.headers["Content-Type"], **json.loads(body)})
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Nothing is logged."""

        self.got = got
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://me:{SECRET}@127.0.0.1:{self.server.server_address[1]}/hooks/{SECRET}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def next(self, count: int, patience: float = PATIENCE) -> dict[str, dict[str, Any]]:
        """So many posts, by the state that they tell."""
        posts = [self.got.get(timeout=patience) for _ in range(count)]
        return {post["state"]: post for post in posts}


@pytest.fixture
def webhook(prefect_api: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Webhook]:
    monkeypatch.setenv("PREFECT_API_URL", prefect_api)
    one = Webhook()
    yield one
    one.server.shutdown()


def automate(*arguments: object) -> str:
    """What the command says."""
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert done.exit_code == 0, done.output
    return done.output


def scheduled(name: str) -> FlowRun:
    """A run of a deployment that nobody has begun."""
    with get_client(sync_client=True) as client:
        return client.create_flow_run_from_deployment(client.read_deployment_by_name(name).id)


def test_what_cannot_be_registered_is_refused_and_shows_no_secret(tmp_path: Path, webhook: Webhook) -> None:
    path = write_pipeline(tmp_path, 1, name="told")
    refused = {
        "is missing": [path],
        "must be an http(s) URL": [path, "--notify", f"ftp://me:{SECRET}@example.com"],
        "no such": [tmp_path / "nowhere.yaml", "--notify", webhook.url],
    }
    for said, arguments in refused.items():
        done = CliRunner().invoke(app, [str(argument) for argument in arguments])
        assert done.exit_code == 2
        assert said in done.output.lower() or said in done.output
        assert SECRET not in done.output
    assert names_of_automations("told") == []


def names_of_automations(config: str) -> list[str]:
    with get_client(sync_client=True) as client:
        return sorted(one.name for one in client.read_automations(limit=200) if one.name.startswith(f"panolabel {config}:"))


def test_done_quarantined_and_failed_runs_are_told(tmp_path: Path, webhook: Webhook) -> None:
    path = write_pipeline(tmp_path, 2, name="told")
    (tmp_path / "images" / "p01.png").write_bytes(b"no image")
    config = load(path)
    said = [automate(path, "--notify", webhook.url) for _ in range(2)]
    assert said[0] == said[1]
    assert said[0].startswith("http://127.0.0.1 is told of these: panolabel told: failed, ")
    assert SECRET not in said[0]
    assert names_of_automations("told") == [
        f"panolabel told: {what}" for what in ("dead", "done", "failed", "quarantined", "waiting")
    ]

    run = scheduled(deploy(config, POOL))
    run_flow(pipeline, run, parameters={"config": config, "run": "first", "trial": {"until": ["project"]}})
    told = webhook.next(2)
    assert {post["path"] for post in told.values()} == {f"/hooks/{SECRET}"}
    assert {post["type"] for post in told.values()} == {"application/json"}
    assert {post["pipeline"] for post in told.values()} == {"told"}
    assert told["Completed"]["run"] == run.name
    assert told["Completed"]["message"].startswith("1 block made, 0 there before, 1 given up, in ")
    assert told["Completed"]["id"] == str(run.id)
    assert (told["Quarantined"]["run"], told["Quarantined"]["new"], told["Quarantined"]["all"]) == ("first", 1, 1)
    assert told["Quarantined"]["first"][0]["item"] == "p01"
    assert told["Quarantined"]["text"].startswith("told: run first gave up 1 items, 1 in all; the first: p01, ")

    (tmp_path / "geometry.json").unlink()
    failing = scheduled("panolabel/told")
    run_flow(pipeline, failing, parameters={"config": config}, return_type="state")
    told = webhook.next(1)
    assert "geometry.json" in told["Failed"]["message"]
    assert told["Failed"]["text"].startswith(f"told: run {failing.name} is Failed: ")

    assert automate(path, "--remove") == automate(path, "--remove")
    assert names_of_automations("told") == []
    with get_client(sync_client=True) as client:
        assert "panolabel-told" not in {one.name for one in client.read_block_documents()}
    assert webhook.got.empty()


@pytest.mark.slow
def test_a_run_of_which_nothing_is_heard_is_dead_and_told(tmp_path: Path, webhook: Webhook, prefect_api: str) -> None:
    """Its process, and the one that looks after it, are killed: as if the machine had gone. What is over is never dead."""
    path = write_faulty_pipeline(tmp_path, 2)
    start_notifying("small", webhook.url, timedelta(seconds=10))  # nobody would: it is shorter than a heartbeat takes
    run = scheduled(deploy(load(path), POOL))
    switch(tmp_path, hold_on="p00")
    environment = {**os.environ, "PREFECT_API_URL": prefect_api, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "prefect", "flow-run", "execute", str(run.id)]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
    flow = holder(tmp_path, "p00")
    time.sleep(2)  # the first heartbeat is on its way
    os.killpg(process.pid, signal.SIGKILL)
    with suppress(ProcessLookupError):
        os.kill(flow, signal.SIGKILL)
    process.wait()
    [post] = webhook.next(1).values()
    assert (post["state"], post["id"]) == ("Dead", str(run.id))
    assert "no sign of life for 10.0 s: " in post["message"]
    with get_client(sync_client=True) as client:
        state = client.read_flow_run(run.id).state
    assert state is not None
    assert state.is_crashed()

    switch(tmp_path)
    again = scheduled("panolabel/small")
    run_flow(pipeline, again, parameters={"config": load(path)})
    assert webhook.next(1)["Completed"]["id"] == str(again.id)
    time.sleep(20)  # of which nothing is heard since
    automate(path, "--remove")
    assert webhook.got.empty()
