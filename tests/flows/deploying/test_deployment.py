"""A config registered on a Prefect server runs where a worker runs it: in a process that knows nothing but the run's id."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from prefect import get_client
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterName,
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateName,
)
from prefect.client.schemas.objects import StateType

from configs.settings import ConfigError
from configs.trial import Trial
from flows.deploying.deployment import FLOWS, anywhere, deploy
from flows.plan import make_plan
from storage.records.runs import latest_run
from tasks.pipeline import load, stages, validated
from tests.support.pipelines import write_pipeline

ROOT = Path(__file__).parents[3]
NOBODY = "nobody"
"""A pool that no worker of any test polls."""


def write_relative(folder: Path) -> Path:
    """A pipeline whose file lies in ``folder/configs``, and which names all places as seen from there."""
    path = write_pipeline(folder, 2)
    (folder / "configs").mkdir()
    moved = folder / "configs" / path.name
    moved.write_text(path.read_text().replace(str(folder), ".."))
    path.unlink()
    return moved


@pytest.mark.slow
def test_a_registered_config_runs_as_a_worker_runs_it(tmp_path: Path, prefect_api: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker stands elsewhere: what it makes has the fingerprints, and lies at the places, that the command knows."""
    monkeypatch.setenv("PREFECT_API_URL", prefect_api)
    path = write_relative(tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    config = load(path.relative_to(tmp_path / "here"))
    assert (config.folder, str(config.root)) == ("configs", "store")
    name = deploy(config, "panolabel")
    assert deploy(config, "panolabel") == name == "panolabel/small", "registering again updates"
    (tmp_path / "elsewhere").mkdir()
    with get_client(sync_client=True) as client:
        registered = client.read_deployment_by_name(name)
        assert registered.work_pool_name == "panolabel"
        run = client.create_flow_run_from_deployment(registered.id)
        environment = {**os.environ, "PREFECT_API_URL": prefect_api, "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "prefect", "flow-run", "execute", str(run.id)]
        done = subprocess.run(
            command, cwd=tmp_path / "elsewhere", env=environment, capture_output=True, text=True, timeout=120, check=False
        )
        assert client.read_flow_run(run.id).state_name == "Completed", done.stdout + done.stderr
    assert list((tmp_path / "elsewhere").iterdir()) == []
    plan = make_plan(config)
    assert not plan.anything_to_run
    record = latest_run(config.root, config.name)
    assert record is not None
    made = {key: one["fingerprint"] for key, one in record["identities"].items()}
    assert made == {stage.key: stage.identity.fingerprint for stage in plan.definitions}
    assert list((tmp_path / "here" / "store" / "reports").glob("*.html"))


def test_parameters_mean_the_same_wherever_a_worker_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stages of another file, which lies in a folder of its own, among them; and the values survive JSON."""
    write_relative(tmp_path / "labels")
    of = {"stage": "from", "config": "../labels/configs/small.yaml", "of": "fuse"}
    values = {"name": "student", "root": "students", "stages": {"labels": of, "train": {"steps": 5}}}
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "student.yaml").write_text(yaml.safe_dump(values, sort_keys=False))
    monkeypatch.chdir(tmp_path)
    config = load("files/student.yaml")
    own = [(stage.key, stage.identity, os.path.abspath(stage.root)) for stage in stages(config)]
    parameters = json.loads(json.dumps(anywhere(config.model_dump(mode="json"))))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert [(stage.key, stage.identity, stage.root) for stage in stages(validated(parameters))] == own
    assert [Path(root) for _, _, root in own] == [tmp_path / "labels" / "store", tmp_path / "files" / "students"]


def test_the_demo_of_the_deployments_is_that_of_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    declared = yaml.safe_load((ROOT / "prefect.yaml").read_text())["definitions"]["demo"]
    assert validated(declared) == load("configs/demo.yaml")


def test_stages_that_are_not_there_are_refused_before_the_server_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    config = load(write_pipeline(tmp_path, 1))
    for wrong, said in (
        ({"trial": Trial(stage="fuze")}, "fuze"),
        ({"flow": "publich"}, "--flow publich: must be one of pipeline, publish, verify, gc"),
        ({"flow": "gc", "trial": Trial(limit=1)}, "--limit 1: is for --flow pipeline"),
        ({"cron": "every day"}, "--cron 'every day': is no schedule"),
    ):
        with pytest.raises(ConfigError, match=said):
            deploy(config, "panolabel", **wrong)  # type: ignore[arg-type]


def test_every_flow_can_be_registered_for_a_config(tmp_path: Path, prefect_api: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one that trains and adapts; the server checks the parameters by the flow's schema."""
    monkeypatch.setenv("PREFECT_API_URL", prefect_api)
    config = load(ROOT / "configs" / "street.yaml")
    names = [deploy(config, NOBODY, "0 3 * * *", flow) for flow in FLOWS]
    names.append(deploy(config, NOBODY, trial=Trial(stage="adapt", limit=2)))
    assert names[0] == "panolabel/street"
    assert names[-1] == "panolabel/street-adapt-trial"
    with get_client(sync_client=True) as client:
        for name, place in zip(names, [*FLOWS.values(), FLOWS["pipeline"]], strict=True):
            one = client.read_deployment_by_name(name)
            assert one.entrypoint == place
            assert client.create_flow_run_from_deployment(one.id).state_type == StateType.SCHEDULED
        assert one.parameters["trial"] == {"stage": "adapt", "limit": 2}
        assert one.global_concurrency_limit is not None
        assert one.global_concurrency_limit.limit == 1, "as in prefect.yaml: a run that is late waits for the one before"
        by_schedule = FlowRunFilter(state=FlowRunFilterState(name=FlowRunFilterStateName(any_=["Scheduled"])))
        of_first = DeploymentFilter(name=DeploymentFilterName(any_=["street"]))
        deadline = time.monotonic() + 90
        while not [
            run for run in client.read_flow_runs(flow_run_filter=by_schedule, deployment_filter=of_first) if run.auto_scheduled
        ]:
            assert time.monotonic() < deadline, "the server schedules nothing"
            time.sleep(1)


@pytest.mark.slow
def test_registering_needs_a_server_that_stays(tmp_path: Path) -> None:
    """Prefect itself would start one for the command, and keep the deployment in the user's database, where no worker looks."""
    path, home = write_pipeline(tmp_path, 1), tmp_path / "home"
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    environment = {**kept, "PREFECT_HOME": str(home), "PYTHONPATH": str(ROOT)}
    for url, said in (("", "no Prefect server is named"), ("http://127.0.0.1:9/api", "PREFECT_API_URL in the environment")):
        done = subprocess.run(
            [sys.executable, "-m", "flows.deploying.deployment", str(path)],
            env={**environment, "PREFECT_API_URL": url},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 2
        assert done.stderr.startswith("error: ")
        assert said in done.stderr
        assert not home.exists()
