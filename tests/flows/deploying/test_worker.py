"""Every deployment of prefect.yaml through a real worker, by the commands of docs/prefect.md, and what follows a run.

The worker stands elsewhere than the checkout: its pull step brings the processes of runs and hooks there.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import yaml
from prefect import get_client

from configs.pipeline import Config
from flows.plan import make_plan
from flows.publishing.publish import published_versions
from flows.running.server.embedded import _die_with_parent
from tasks.pipeline import load as load_chain
from tests.support.chains import ADAPTATION, ADAPTED, STUDENT, write_chain
from tests.support.faulty import switch
from tests.support.pipelines import load, make_owed, write_pipeline
from tests.support.processes import PATIENCE, holder, until, write_faulty_pipeline

ROOT = Path(__file__).parents[3]
DEPLOYMENTS = {one["name"]: one for one in yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]}
NAMES = {"nightly": "panolabel/nightly"} | {name: f"panolabel-{name}/{name}" for name in ("publish", "verify", "gc")}
BAD = ("Traceback", "ModuleNotFoundError", "ScriptError", "Hook subprocess exited")
PREFECT = [sys.executable, "-m", "prefect"]


class Worker:
    """A worker that runs, and its log."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder, self.environment = folder, environment

    @property
    def log(self) -> str:
        """What it and the processes of its runs have said so far."""
        return (self.folder / "worker.log").read_text()

    def submit(self, name: str, config: Path | None = None, **changes: Any) -> UUID:
        """Have a deployment run, with a config in place of that of prefect.yaml, and other parameters left as they are."""
        config_too = {"config": load(config, **changes).model_dump(mode="json")} if config else {}
        said = self.prefect("deployment", "run", name, "--params", "-", stdin=json.dumps(config_too))
        return UUID(said.split("UUID: ")[1].split()[0])

    def register(self, config: Path, *options: str) -> str:
        """The name of a deployment that the command registers."""
        command = [sys.executable, "-m", "flows.deploying.deployment", str(config), *options]
        done = subprocess.run(command, cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.split()[-1]

    def prefect(self, *arguments: str, stdin: str = "") -> str:
        """What a command of Prefect says, typed in the checkout."""
        done = subprocess.run(
            [*PREFECT, *arguments],
            cwd=ROOT,
            env=self.environment,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory, prefect_api: str) -> Iterator[Worker]:
    folder = tmp_path_factory.mktemp("worker")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "PYTHONPATH"))}
    environment = {**kept, "PREFECT_API_URL": prefect_api, "PREFECT_HOME": str(folder / "home"), "PWD": str(ROOT)}
    one = Worker(folder, environment)
    subprocess.run(
        [*PREFECT, "work-pool", "create", "panolabel", "--type", "process"], env=environment, capture_output=True, check=False
    )
    one.prefect("--no-prompt", "deploy", "--all")
    with (folder / "worker.log").open("wb") as log:
        process = subprocess.Popen(
            [*PREFECT, "worker", "start", "--pool", "panolabel"],
            cwd=folder,
            env={**environment, "PREFECT_WORKER_QUERY_SECONDS": "1", "PREFECT_WORKER_CANCELLATION_POLL_SECONDS": "5"},
            stdout=log,
            stderr=log,
            start_new_session=True,
            preexec_fn=_die_with_parent,
        )
    yield one
    os.killpg(process.pid, signal.SIGINT)
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def ended(worker: Worker, run: UUID, *states: str) -> Any:
    """Wait until a flow run has ended, and see that it did so in one of these states."""
    from prefect.client.orchestration import get_client

    deadline = time.monotonic() + PATIENCE
    with get_client(sync_client=True) as client:
        while time.monotonic() < deadline:
            now = client.read_flow_run(run)
            if now.state and now.state.is_final():
                assert now.state.name in states, f"{now.state}\n{worker.log}"
                return now
            time.sleep(0.5)
    raise AssertionError(f"it did not end\n{worker.log}")


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory, worker: Worker) -> Path:
    """A pipeline that the deployment of every night has run."""
    path = write_pipeline(tmp_path_factory.mktemp("nightly"), 1)
    ended(worker, worker.submit(NAMES["nightly"], path), "Completed")
    return path


@pytest.mark.slow
def test_the_nightly_deployment_labels(labelled: Path, worker: Worker) -> None:
    assert list((labelled.parent / "store" / "reports").glob("*.html"))
    assert not [bad for bad in BAD if bad in worker.log], worker.log


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(DEPLOYMENTS))
def test_every_deployment_runs(name: str, labelled: Path, worker: Worker) -> None:
    assert set(NAMES) == set(DEPLOYMENTS)
    ended(worker, worker.submit(NAMES[name], labelled), "Completed")
    assert not [bad for bad in BAD if bad in worker.log], worker.log


@pytest.mark.slow
@pytest.mark.parametrize(("deed", "state"), [("cancel", "Cancelled"), ("kill", "Crashed")])
def test_the_end_of_a_run_finds_its_flow_too(deed: str, state: str, worker: Worker, tmp_path: Path) -> None:
    """Prefect loads a flow anew for its hooks, in a process of their own."""
    path = write_faulty_pipeline(tmp_path, 2)
    switch(tmp_path, hold_on="p00")
    before = len(worker.log)
    run = worker.submit(NAMES["nightly"], path)
    process = holder(tmp_path, "p00")
    if deed == "cancel":
        worker.prefect("flow-run", "cancel", str(run))
    else:
        os.kill(process, signal.SIGKILL)
    ended(worker, run, state)
    time.sleep(3)  # the hooks follow the state
    said = worker.log[before:]
    assert "ModuleNotFoundError" not in said
    assert "ScriptError" not in said
    assert "Hook subprocess exited" not in said


@pytest.mark.slow
def test_a_deployment_that_fails_says_why_in_its_own_words(worker: Worker, tmp_path: Path) -> None:
    path = write_pipeline(tmp_path, 1)
    run = worker.submit(NAMES["nightly"], path)
    ended(worker, run, "Completed")
    block = next((tmp_path / "store/stages/fuse").rglob("receipt.json")).parent
    victim = next(file for file in block.rglob("*") if file.is_file() and file.name != "receipt.json")
    victim.write_bytes(b"broken")
    before = len(worker.log)
    failed = ended(worker, worker.submit(NAMES["verify"], path), "Failed")
    assert "1 of" in failed.state.message
    assert "Hook subprocess exited" not in worker.log[before:]


def owed_by(config: Config) -> set[str]:
    return {row.stage for row in make_plan(config).stages if row.to_run}


@pytest.mark.slow
def test_stages_of_a_training_and_an_adaptation_and_then_all_of_it_run_as_deployments(worker: Worker, tmp_path: Path) -> None:
    path = write_chain(tmp_path)
    config = load_chain(path)
    name = worker.register(path, "--until", "train", "--cron", "0 4 * * *")
    assert name == "panolabel/chain-train"
    with get_client(sync_client=True) as client:
        registered = client.read_deployment_by_name(name)
        assert [str(one.schedule.cron) for one in registered.schedules] == ["0 4 * * *"]  # type: ignore[union-attr]
        assert {"panolabel", "config:chain"} == set(registered.tags)
    ended(worker, worker.submit(name), "Completed")
    owed = {"evaluate", *STUDENT, *ADAPTATION, *ADAPTED}
    assert {row.stage for row in make_plan(config).stages if row.to_run} == owed | {"target"}, (
        "what the training is made from, and no more"
    )
    ended(worker, worker.submit(worker.register(path, "--until", "student")), "Completed")
    assert owed_by(config) == owed - {"student"}
    ended(worker, worker.submit(worker.register(path, "--stage", "evaluate")), "Completed")
    ended(worker, worker.submit(worker.register(path)), "Completed")
    assert not make_plan(config).anything_to_run


@pytest.mark.slow
def test_the_deployment_that_publishes_waits_for_somebody_to_say_yes(worker: Worker, tmp_path: Path) -> None:
    labels = write_pipeline(tmp_path, 1, name="asks")
    make_owed(load(labels))
    config = load(labels, execution__approval__hours=1)
    run = worker.submit(NAMES["publish"], labels, execution__approval__hours=1)
    with get_client(sync_client=True) as client:
        until(lambda: (state := client.read_flow_run(run).state) and state.is_paused())
        time.sleep(1)  # the form is saved after the state
        assert published_versions(config) == []
        client.resume_flow_run(run, run_input={"decision": "yes", "reason": "seen"})
    ended(worker, run, "Completed")
    assert [one["latest"] for one in published_versions(config)] == [True]
