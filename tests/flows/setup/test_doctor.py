"""What doctor tries of the machine and of a config's execution: each check ends in time, with a row that says what to do."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.setup import hub as doctor_hub
from flows.setup.checks import Check, guarded
from flows.setup.machine import check_packages, shared_names
from flows.setup.runner import _check_versions, check_gpus, check_runner
from tests.flows.running.test_server_settings import serving
from tests.support.pipelines import load, write_pipeline
from tests.support.processes import cluster


def test_a_check_that_hangs_becomes_a_row_and_keeps_what_it_had_found() -> None:
    never = threading.Event()

    def probe() -> Iterator[Check]:
        yield Check("disk", "ok", "there")
        never.wait(60)

    started = time.monotonic()
    first, second = guarded("disk", probe, "look at the mount", seconds=0.3)
    assert time.monotonic() - started < 10
    assert (first.state, second.state, second.advice) == ("ok", "failure", "look at the mount")
    assert "no answer in" in second.seen
    never.set()


@pytest.fixture
def online(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The hub is asked, without a token and without proxies of the machine."""
    from huggingface_hub import constants

    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_TOKEN_PATH", "/no/such/token")
    monkeypatch.delenv("HF_TOKEN", raising=False)
    return monkeypatch


@pytest.mark.parametrize(("status", "state"), [(200, "ok"), (503, "warning")])
def test_the_hub_is_asked_once(status: int, state: str, online: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    with serving(status, "") as (url, seen):
        online.setattr(constants, "ENDPOINT", url)
        (row,) = doctor_hub.check_hub()
    assert (row.state, len(seen)) == (state, 1)
    assert url in row.seen


def test_a_hub_that_is_away_is_told_in_time_with_the_proxy_on_the_way(online: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    online.setattr(constants, "ENDPOINT", "http://192.0.2.1")  # TEST-NET-1: nobody is there
    online.setenv("HTTP_PROXY", "http://me:secret@127.0.0.1:9")
    (row,) = doctor_hub.check_hub()
    assert row.state == "warning"
    assert "HTTP_PROXY = http://127.0.0.1:9" in row.seen
    assert "secret" not in row.seen
    assert "HF_HUB_OFFLINE" in row.advice


def test_offline_the_hub_is_not_asked(online: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    online.setattr(constants, "HF_HUB_OFFLINE", True)
    with serving(200, "") as (url, seen):
        online.setattr(constants, "ENDPOINT", url)
        (row,) = doctor_hub.check_hub()
    assert (row.state, seen) == ("ok", [])


def test_proxies_are_told_and_those_that_cannot_be_used(online: pytest.MonkeyPatch) -> None:
    assert list(doctor_hub.check_proxies()) == []
    online.setenv("HTTPS_PROXY", "proxy.example.org:3128")
    online.setenv("ALL_PROXY", "socks://127.0.0.1:9")
    rows = {row.seen.split(" = ")[0]: row.state for row in doctor_hub.check_proxies()}
    assert rows == {"HTTPS_PROXY": "ok", "ALL_PROXY": "warning"}


def test_several_distributions_in_one_folder_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "cv2" not in shared_names()
    about = tmp_path / "opencv_python-4.99.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: opencv-python\nVersion: 4.99.0\n")
    (about / "RECORD").write_text("cv2/part.py,,\n")
    (tmp_path / "cv2").mkdir()
    (tmp_path / "cv2" / "part.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    (row,) = (row for row in check_packages() if row.name == "import cv2")
    assert row.state == "warning"
    assert "opencv-python 4.99.0" in row.seen
    assert "pip uninstall -y opencv-python opencv-python-headless" in row.advice


def test_the_threads_of_a_config_do_a_task(tmp_path: Path) -> None:
    (row,) = check_runner(load(write_pipeline(tmp_path, 1)))
    assert (row.state, row.seen) == ("ok", "2 threads of this process")


def test_a_cluster_of_gpus_without_any_is_two_failures(tmp_path: Path) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has GPUs")
    config = load(write_pipeline(tmp_path, 1), execution__runner={"kind": "dask", "cluster": "cuda", "workers": 4})
    rows = {row.name: row for row in check_gpus(config)}
    assert rows["gpus"].state == "failure"
    assert "4 workers want a GPU each; there are 0" in rows["gpus"].seen
    assert {row.state for row in rows.values()} == {"failure"}


def test_a_cluster_that_is_there_does_a_task_and_is_compared(tmp_path: Path) -> None:
    path = write_pipeline(tmp_path, 1)
    with cluster(tmp_path) as (address, _, _):
        there = {"kind": "dask", "cluster": "address", "address": address}
        found = {row.name: row for row in check_runner(load(path, execution__runner={**there, "workers": 2}))}
        more = {row.name: row for row in check_runner(load(path, execution__runner={**there, "workers": 3, "gpus_per_block": 1}))}
        pooled = {row.name: row for row in check_runner(load(path, execution__runner={**there, "pools": {"gpu": 1, "cpu": 1}}))}
    assert (pooled["pools"].state, pooled["pools"].seen) == ("failure", "0 workers offer GPU, 0 CPU")
    assert {name: row.state for name, row in found.items()} == {"execution.runner": "ok", "dask versions": "ok"}
    assert {name: row.state for name, row in more.items()} == {
        "execution.runner": "warning",
        "dask versions": "ok",
        "gpus": "failure",
    }
    assert "offer less than 1 GPU" in more["gpus"].seen


def test_another_version_on_a_worker_is_told() -> None:
    def process(numpy: str) -> dict[str, object]:
        packages = dict.fromkeys(("dask", "distributed", "msgpack", "cloudpickle"), "1")
        return {"packages": {**packages, "numpy": numpy}, "host": {"python": sys.version}}

    versions = {"client": process("2"), "scheduler": process("2"), "workers": {"tcp://a:1": process("1")}}
    (row,) = _check_versions(versions)
    assert (row.state, row.seen) == ("warning", "tcp://a:1 has numpy 1, not 2")
    (row,) = _check_versions({**versions, "workers": {}})
    assert row.state == "ok"
