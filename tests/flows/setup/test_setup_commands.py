"""doctor, init, cost and completion, as a user meets them: real processes, stores, servers and exit codes."""

import hashlib
import json
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import cv2
import fsspec
import numpy as np
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from tests.support.commands import panolabel
from tests.support.pipelines import load, write_panoramas, write_pipeline
from tests.support.stages import stage_of

CONFIGS = Path(__file__).resolve().parents[3] / "configs"
STAGES = {"project": "project", "geometry": "label.geometry", "classes": "label.classes", "fuse": "fuse", "evaluate": "evaluate"}
"""Stages of the pipeline by their keys, with the names that they are stored under."""


def rows(result: subprocess.CompletedProcess) -> dict[str, dict[str, str]]:
    assert "Traceback" not in result.stderr, result.stderr
    return {check["name"]: check for check in json.loads(result.stdout)["checks"]}


def database_counts() -> dict[str, int]:
    """Rows of the real server's database, once its recorder has written what it received."""
    path = Path(os.environ["PREFECT_HOME"]) / "prefect.db"
    counts: dict[str, int] = {}
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with sqlite3.connect(path, timeout=10) as database:
            now = {name: database.execute(f"select count(*) from {name}").fetchone()[0] for name in ("task_run", "flow_run")}
        if now == counts:
            break
        counts = now
        time.sleep(1)
    return counts


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory, prefect_api: str) -> tuple[Path, dict[str, int]]:
    """A pipeline of five panoramas after its run, and what the run added to Prefect's database."""
    path = write_pipeline(tmp_path_factory.mktemp("setup"), 5)
    before = database_counts()
    result = panolabel("run", path, PREFECT_API_URL=prefect_api)
    assert result.returncode == 0, result.stderr
    after = database_counts()
    return path, {name: after[name] - before[name] for name in after}


@pytest.fixture(scope="module")
def path(ran: tuple[Path, dict[str, int]]) -> Path:
    return ran[0]


def receipts(path: Path, stage: str) -> list[dict[str, Any]]:
    return [json.loads(file.read_text()) for file in sorted((path.parent / "store/stages" / stage).rglob("receipt.json"))]


def tree(folder: Path) -> dict[str, str]:
    found = sorted(folder.rglob("*"))
    return {str(one): hashlib.sha256(one.read_bytes()).hexdigest() if one.is_file() else "folder" for one in found}


def test_doctor_finds_a_sound_pipeline_sound_and_leaves_the_store_as_it_was(path: Path, prefect_api: str) -> None:
    import prefect

    before = tree(path.parent / "store")
    result = panolabel("doctor", path, "--json", PREFECT_API_URL=prefect_api)
    found = rows(result)
    assert {name for name, row in found.items() if row["state"] == "failure"} == set()
    assert result.returncode == 0
    assert tree(path.parent / "store") == before
    for name in ("geometry", "classes"):
        digest = receipts(path, f"label.{name}")[0]["made"]["identity"]["weights"][name]
        assert digest in found[f"weights of {name}"]["seen"]
    assert found["ingest.source"]["seen"].startswith("5 panoramas")
    assert f"server {prefect.__version__}, client {prefect.__version__}" in found["prefect"]["seen"]
    for name in ("store", "store overwrite", "store listing", "store rename and fsync", "clock", "torch", "device cpu"):
        assert found[name]["state"] == "ok", found[name]


def test_doctor_names_every_failure_and_goes_on(tmp_path: Path) -> None:
    path = write_pipeline(tmp_path, 2)
    (tmp_path / "geometry.json").unlink()
    (tmp_path / "file").write_text("no folder")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound and not listening: nobody answers
        dead = f"http://user:secret@127.0.0.1:{closed.getsockname()[1]}/api"
        result = panolabel("doctor", path, "--root", tmp_path / "file" / "store", "--json", PREFECT_API_URL=dead)
        shown = panolabel("doctor", path, "--root", tmp_path / "file" / "store", PREFECT_API_URL=dead)
    found = rows(result)
    failed = {name for name, row in found.items() if row["state"] == "failure"}
    assert {"prefect", "weights of geometry", "store"} <= failed
    assert {"weights of classes", "ingest.source", "execution.device"}.isdisjoint(failed)
    assert all(found[name]["advice"] for name in failed)
    assert (result.returncode, shown.returncode) == (1, 1)
    assert "no Prefect server answers" in shown.stdout
    assert "secret" not in result.stdout + shown.stdout
    assert (tmp_path / "file").read_text() == "no folder"


def test_doctor_leaves_no_trace_of_a_store_that_was_not_there(tmp_path: Path) -> None:
    path = write_pipeline(tmp_path, 1)
    before = tree(tmp_path)
    result = panolabel("doctor", path, "--root", tmp_path / "a" / "b", "--json", XDG_CACHE_HOME=str(tmp_path / "cache"))
    found = rows(result)
    assert found["store"]["state"] == "ok"
    assert "a server of its own" in found["prefect"]["seen"]
    assert tree(tmp_path) == before


def test_doctor_tells_what_is_wrong_with_a_config_and_still_checks_the_machine(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("name: bad\nroot: store\nstages: {fuse: {hieght: 1}}\n")
    result = panolabel("doctor", tmp_path / "bad.yaml", "--json")
    found = rows(result)
    assert result.returncode == 1
    assert "stages.fuse.hieght: unknown key; did you mean 'height'?" in found["config"]["seen"]
    assert found["torch"]["state"] == "ok"


def test_doctor_compares_the_plan_with_the_free_disk(path: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    shutil.copytree(path.parent / "store", store)
    for file in (store / "stages" / "fuse").rglob("receipt.json"):
        data = json.loads(file.read_text())
        next(iter(data["files"].values()))["bytes"] = 10**18
        file.write_text(json.dumps(data))
    arguments = ("doctor", path, "--root", store, "--json", "--set", "fuse.edge_feather=0.4")
    assert rows(panolabel(*arguments))["disk"]["state"] == "failure"


class TornFileSystem(MemoryFileSystem):
    """A store whose writers are seen at work: half of a file, then all of it."""

    protocol = "torn"
    store: dict[str, Any] = {}  # noqa: RUF012 (fsspec keeps it so)
    pseudo_dirs = [""]  # noqa: RUF012

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **more: Any) -> None:
        super().pipe_file(path, value[: len(value) // 2])
        time.sleep(0.01)
        super().pipe_file(path, value)


@pytest.mark.parametrize(("scheme", "state"), [("torn", "failure"), ("memory", "ok")])
def test_doctor_sees_a_store_that_tears_files(tmp_path: Path, scheme: str, state: str) -> None:
    from flows.setup.store import check_store

    fsspec.register_implementation("torn", TornFileSystem, clobber=True)
    config = load(write_pipeline(tmp_path, 1), root=f"{scheme}://doctor/store")
    found = {check.name: check for check in check_store(config)}
    assert found["store overwrite"].state == state
    assert found["store listing"].state == "ok"


def test_versions_outside_the_declared_ranges_fail() -> None:
    from packaging.requirements import Requirement

    from flows.setup.machine import _check_requirement

    def states(line: str) -> list[str]:
        return [check.state for check in _check_requirement(Requirement(line))]

    assert states("numpy<1") == ["failure"]
    assert states("numpy<1; extra == 'onnx'") == ["warning"]
    assert states("no-such-package-at-all>=1") == ["failure"]
    assert states("no-such-package-at-all>=1; extra == 'onnx'") == []


def test_init_then_plan_then_run(tmp_path: Path, prefect_api: str) -> None:
    write_panoramas(tmp_path / "Living Room" / "images", ["a", "b"], height=64)
    (tmp_path / "Living Room" / "images" / "a.json").write_text(json.dumps({"lens": "x"}))
    out = tmp_path / "first.yaml"
    made = panolabel("init", tmp_path / "Living Room" / "images", "--out", out, "--json")
    assert made.returncode == 0, made.stderr
    survey = json.loads(made.stdout)
    assert (survey["panoramas"], survey["sizes"], survey["with_metadata"]) == (2, {"128x64": 2}, 1)
    config = load(out)
    assert (config.name, stage_of(config, "fuse").settings.height) == ("living_room", 64)
    plan = json.loads(panolabel("plan", out, "--json").stdout)
    assert plan["files"] == {"ingest": ["a", "b"]}
    result = panolabel("run", out, "--json", PREFECT_API_URL=prefect_api)
    assert result.returncode == 0, result.stderr
    assert [row["quarantined"] for row in json.loads(result.stdout)["stages"]] == [0, 0, 0, 0]
    before = out.read_bytes()
    again = panolabel("init", tmp_path / "Living Room" / "images", "--out", out)
    assert again.returncode == 2
    assert "is there already" in again.stderr
    assert out.read_bytes() == before


def test_init_keeps_the_store_out_of_the_source(tmp_path: Path) -> None:
    write_panoramas(tmp_path / "panos", ["a"])
    assert panolabel("init", tmp_path / "panos", "--out", tmp_path / "panos" / "x.yaml").returncode == 0
    root = Path(load(tmp_path / "panos" / "x.yaml").root)
    assert (tmp_path / "panos").resolve() not in root.parents


@pytest.mark.parametrize(("shape", "expected"), [(None, ".jfif, .jpe, .png"), ((64, 64, 3), "equirectangular images of 2:1")])
def test_init_says_what_is_accepted(tmp_path: Path, shape: tuple[int, ...] | None, expected: str) -> None:
    (tmp_path / "photos").mkdir()
    if shape:
        cv2.imwrite(str(tmp_path / "photos" / "a.png"), np.zeros(shape, np.uint8))
    result = panolabel("init", tmp_path / "photos", "--out", tmp_path / "x.yaml")
    assert result.returncode == 2
    assert expected in result.stderr
    assert not (tmp_path / "x.yaml").exists()


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp", "bmp", "hdr", "exr"])
def test_headers_tell_the_size_that_was_written(tmp_path: Path, suffix: str) -> None:
    from tasks.ingest.images.headers import read_size

    path = tmp_path / f"a.{suffix}"
    pixels = np.random.default_rng(0).random((20, 40, 3), np.float32)
    if suffix == "exr":
        import OpenEXR

        OpenEXR.File({"compression": OpenEXR.ZIP_COMPRESSION}, {"RGB": pixels}).write(str(path))
    else:
        cv2.imwrite(str(path), pixels if suffix == "hdr" else (255 * pixels).astype(np.uint8))
    assert read_size(str(path)) == (40, 20)


def test_cost_is_what_the_receipts_add_up_to(path: Path) -> None:
    result = panolabel("cost", path, "--panoramas", 1001, "--workers", 3, "--json")
    estimate = json.loads(result.stdout)
    by_stage = {row["stage"]: row for row in estimate["stages"]}
    assert list(by_stage) == ["ingest", *STAGES]
    for stage, stored in STAGES.items():
        found = receipts(path, stored)
        seconds = sum(receipt["made"]["seconds"] for receipt in found) / 5
        size = sum(file["bytes"] for receipt in found for file in receipt["files"].values()) / 5
        row = by_stage[stage]
        assert row["worker_seconds"] == pytest.approx(1001 * seconds)
        assert row["wall_seconds"] == pytest.approx(1001 * seconds / 3)
        assert row["bytes"] == pytest.approx(1001 * size, abs=1)
        assert row["task_runs"] == 501
    total = estimate["total"]
    assert total["bytes"] == sum(by_stage[stage]["bytes"] for stage in STAGES)
    assert (total["task_runs"], total["flow_runs"]) == (4 + 1 + 5 * 501 + 3, 1 + 3)
    assert total["database_bytes"] == 19_000 * total["task_runs"]
    assert total["gpu_hours"] is None  # nothing was measured on a GPU
    views = by_stage["geometry"]["bytes"] + by_stage["classes"]["bytes"]
    begun = 2 * 2 * 2  # blocks of two, of which twice as many are begun as there are workers
    assert estimate["store"] == {
        "always": total["bytes"],
        "until_read": pytest.approx(total["bytes"] - views * (1 - begun / 1001), abs=2),
        "never": total["bytes"] - views,
    }
    joined = json.loads(panolabel("cost", path, "--panoramas", 1001, "--set", "geometry.keep=never", "--json").stdout)
    assert joined["total"]["bytes"] == total["bytes"] - by_stage["geometry"]["bytes"]
    assert joined["store"] == estimate["store"]
    assert "with `keep: never` in geometry, classes" in " ".join(panolabel("cost", path, "--panoramas", 1001).stdout.split())


def test_cost_counts_the_runs_that_prefect_counts(ran: tuple[Path, dict[str, int]]) -> None:
    path, added = ran
    total = json.loads(panolabel("cost", path, "--panoramas", 5, "--json").stdout)["total"]
    assert {"task_run": total["task_runs"], "flow_run": total["flow_runs"]} == added


def test_cost_prices_gpu_hours_measured_on_a_gpu(path: Path, tmp_path: Path) -> None:
    """The receipts of a GPU run, as far as cost reads them: the same ones with the name of the device."""
    store = tmp_path / "store"
    shutil.copytree(path.parent / "store", store)
    seconds = 0.0
    for file in (store / "stages").glob("label.*/*/*/receipt.json"):
        data = json.loads(file.read_text())
        data["made"]["device"] = "cuda:0"
        seconds += data["made"]["seconds"]
        file.write_text(json.dumps(data))
    result = panolabel("cost", path, "--root", store, "--panoramas", 1000, "--price-per-gpu-hour", 2.5, "--json")
    total = json.loads(result.stdout)["total"]
    assert total["gpu_hours"] == pytest.approx(1000 * seconds / 5 / 3600)
    assert total["price"] == pytest.approx(2.5 * 1000 * seconds / 5 / 3600)


def test_cost_leaves_out_what_was_not_measured(path: Path) -> None:
    arguments = ("cost", path, "--panoramas", 10, "--set", "fuse.edge_feather=0.4")
    estimate = json.loads(panolabel(*arguments, "--json").stdout)
    assert estimate["not_measured"] == ["ingest", "fuse", "evaluate"]
    fuse = next(row for row in estimate["stages"] if row["stage"] == "fuse")
    assert (fuse["worker_seconds"], fuse["bytes"]) == (None, None)
    assert "on a few panoramas first" in " ".join(panolabel(*arguments).stdout.split())
    assert panolabel("cost", path, "--panoramas", 0).returncode == 2


def complete(words: str, folder: Path) -> list[str]:
    """What bash is told, with the cursor after the last word."""
    code = "import sys; sys.argv = ['panolabel']; from flows.cli import main; main()"
    variables = {
        **os.environ,
        "PYTHONPATH": str(CONFIGS.parent),
        "_PANOLABEL_COMPLETE": "complete_bash",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split(" ")) - 1),
    }
    told = subprocess.run([sys.executable, "-c", code], cwd=folder, env=variables, capture_output=True, text=True, check=True)
    return told.stdout.split()


def test_the_shell_completes_configs_panoramas_and_stages(path: Path) -> None:
    folder = path.parent
    assert complete("panolabel do", folder) == ["doctor"]
    assert complete("panolabel run s", folder) == ["small.yaml", "store/"]
    assert sorted(complete("panolabel trace small.yaml p", folder)) == [f"p0{number}" for number in range(5)]
    assert complete("panolabel trace small.yaml p00 --stage ", folder) == ["ingest", *STAGES]
    assert complete("panolabel publish small.yaml --stage fu", folder) == ["fuse"]
    assert complete("panolabel trace no.yaml p", folder) == []
