"""A config registered on a Prefect server runs where a worker runs it: in a process that knows nothing but the run's id."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from flows.deploying.deployment import deploy
from flows.plan import make_plan
from tests.support.pipelines import load, write_pipeline


@pytest.mark.slow
def test_a_registered_config_runs_as_a_worker_runs_it(tmp_path: Path, prefect_api: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from prefect.client.orchestration import get_client

    monkeypatch.setenv("PREFECT_API_URL", prefect_api)
    config = load(write_pipeline(tmp_path, 2))
    name = deploy(config, "panolabel")
    assert deploy(config, "panolabel") == name == "panolabel/small", "registering again updates"
    with get_client(sync_client=True) as client:
        registered = client.read_deployment_by_name(name)
        assert registered.work_pool_name == "panolabel"
        run = client.create_flow_run_from_deployment(registered.id)
        environment = {**os.environ, "PREFECT_API_URL": prefect_api, "PYTHONPATH": str(Path(__file__).parents[3])}
        command = [sys.executable, "-m", "prefect", "flow-run", "execute", str(run.id)]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
        assert client.read_flow_run(run.id).state_name == "Completed", done.stdout + done.stderr
    assert not make_plan(config).anything_to_run
    assert list((tmp_path / "store" / "reports").glob("*.html"))


def test_registering_needs_a_server_that_stays(tmp_path: Path) -> None:
    """Prefect itself would start one for the command, and keep the deployment in the user's database, where no worker looks."""
    path, home = write_pipeline(tmp_path, 1), tmp_path / "home"
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    environment = {**kept, "PREFECT_HOME": str(home), "PYTHONPATH": str(Path(__file__).parents[3])}
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
