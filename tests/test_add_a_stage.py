"""docs/add-a-stage.md is a package that works: its files, literally, installed and run; nothing here imports it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.support import commands
from tests.support.forks import forked

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "add-a-stage.md"
NAMED = re.compile(r"^```\w+\n# ([\w/.]+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
SKY, GROUND = 200, 40
ROWS = {"one": 30, "two": 36}
"""First row of the ground, of 64."""


def write_package(folder: Path, version: str = "0.1.0", **changes: tuple[str, str]) -> Path:
    """The files of the page; ``changes`` replace a text in the module of that name."""
    package = folder / "horizon"
    (package / "panolabel_horizon").mkdir(parents=True)
    (package / "panolabel_horizon" / "__init__.py").write_text("")
    for name, text in NAMED.findall(PAGE.read_text(encoding="utf-8")):
        old, new = changes.get(Path(name).stem, ("", ""))
        assert old in text
        text = text.replace('version = "0.1.0"', f'version = "{version}"')
        (folder / name if name.endswith(".yaml") else package / name).write_text(text.replace(old, new) if old else text)
    return package


def install(package: Path, site: Path) -> Path:
    shutil.rmtree(site, ignore_errors=True)
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "-q",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
        "--target",
        str(site),
    ]
    subprocess.run([*command, str(package)], check=True, capture_output=True, text=True)
    return site


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, prefect_api: str) -> Path:
    """A folder with panoramas, the config of the page, and its package in ``site``, after a run."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "panoramas").mkdir()
    for name, row in ROWS.items():
        pixels = np.full((64, 128, 3), SKY, np.uint8)
        pixels[row:] = GROUND
        cv2.imwrite(str(folder / "panoramas" / f"{name}.png"), pixels)
    install(write_package(folder), folder / "site")
    variables = {"PYTHONPATH": path_of(folder, "site"), "PREFECT_API_URL": prefect_api}
    run = commands.panolabel_anew("run", "horizon.yaml", folder=folder, **variables)
    assert (run.returncode, "horizon" in run.stdout) == (0, True), run.stdout + run.stderr
    return folder


def path_of(folder: Path, site: str) -> str:
    return os.pathsep.join([str(folder / site), str(ROOT)])


def python(folder: Path, code: str, site: str = "site") -> subprocess.CompletedProcess[str]:
    return forked((), {**os.environ, "PYTHONPATH": path_of(folder, site)}, folder, code)


def panolabel(folder: Path, *arguments: str, site: str = "site") -> subprocess.CompletedProcess[str]:
    return commands.panolabel(*arguments, folder=folder, PYTHONPATH=path_of(folder, site))


def succeed(folder: Path, *arguments: str, site: str = "site") -> subprocess.CompletedProcess[str]:
    result = panolabel(folder, *arguments, site=site)
    assert result.returncode == 0, result.stdout + result.stderr
    return result


def told(folder: Path, *arguments: str, site: str = "site") -> Any:
    return json.loads(succeed(folder, *arguments, "--json", site=site).stdout)


def receipts(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted(folder.glob("store/stages/horizon/*/*/receipt.json"))]


def test_the_page_is_a_whole_package() -> None:
    names = [name for name, _ in NAMED.findall(PAGE.read_text(encoding="utf-8"))]
    own = [f"panolabel_horizon/{name}.py" for name in ("find", "stage", "shown")]
    assert sorted(names) == sorted(["pyproject.toml", *own, "horizon.yaml"])


def test_it_finds_what_was_drawn(folder: Path) -> None:
    (receipt,) = receipts(folder)
    found = {row["item"]: row["figures"] for row in receipt["items"]}
    assert {name: figures["latitude"] for name, figures in found.items()} == {
        name: pytest.approx(90 - 180 * row / 64, abs=1e-3) for name, row in ROWS.items()
    }
    assert {figures["contrast"] for figures in found.values()} == {SKY - GROUND}
    assert receipt["made"]["versions"]["panolabel-horizon"] == "0.1.0"
    assert receipt["made"]["identity"]["settings"] == {"reach": 45.0}


def test_every_command_knows_it(folder: Path) -> None:
    plan = told(folder, "plan", "horizon.yaml")
    assert not plan["anything_to_run"]
    assert [stage["stage"] for stage in plan["stages"]] == ["ingest", "horizon"]
    (stage,) = told(folder, "status", "horizon.yaml")["stages"]
    assert (stage["stage"], stage["blocks"], stage["done"]) == ("horizon", 1, 1)
    trace = told(folder, "trace", "horizon.yaml", "one")
    (step,) = trace["steps"]
    assert (step["key"], step["state"], step["figures"]["contrast"]) == ("horizon", "done", SKY - GROUND)
    rows = told(folder, "query", "horizon.yaml", "SELECT stage, gives, items FROM blocks")
    assert rows == [{"stage": "horizon", "gives": "horizons", "items": 2}]
    cost = told(folder, "cost", "horizon.yaml", "--panoramas", "1000")
    assert (cost["not_measured"], cost["to_measure"]) == (["ingest"], [])


def test_verify_finds_a_changed_byte_of_it(folder: Path) -> None:
    assert told(folder, "verify", "horizon.yaml")["blocks"] == 1
    (file,) = folder.glob("store/stages/horizon/*/*/data.zarr/colours/c/0/0/0")
    (receipt,) = folder.glob("store/stages/horizon/*/*/receipt.json")
    kept = {path: path.read_bytes() for path in (file, receipt)}
    file.write_bytes(kept[file][:-1] + bytes([kept[file][-1] ^ 1]))
    result = panolabel(folder, "verify", "horizon.yaml", "--json")
    assert result.returncode == 1
    assert len(json.loads(result.stdout)["broken"]) == 1
    for path, data in kept.items():
        path.write_bytes(data)
    assert not told(folder, "plan", "horizon.yaml")["anything_to_run"]


def test_gc_takes_what_other_settings_made(folder: Path, prefect_api: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", prefect_api)
    (own,) = receipts(folder)
    copy = folder.with_name("copy")
    shutil.copytree(folder, copy)
    succeed(copy, "run", "horizon.yaml", "--set", "horizon.reach=20")
    assert len(receipts(copy)) == 2
    gone = told(copy, "gc", "horizon.yaml", "--keep-runs", "0")
    assert len(gone) == 1
    assert receipts(copy) == [own]


def test_the_run_shows_what_the_stage_found(folder: Path) -> None:
    (record,) = [json.loads(path.read_text()) for path in folder.glob("store/runs/*.json")]
    assert record["found"]["horizon"] == {
        "panoramas": 2, "mean_latitude": pytest.approx(np.mean([90 - 180 * row / 64 for row in ROWS.values()]), abs=1e-3),
    }  # fmt: skip
    (page,) = folder.glob("store/reports/*.html")
    assert "Horizons farthest from the middle" in page.read_text(encoding="utf-8")


def test_a_new_version_makes_its_blocks_owed(folder: Path, tmp_path: Path) -> None:
    package = write_package(tmp_path, "0.2.0", stage=('VERSION = "1"', 'VERSION = "2"'))
    install(package, folder / "newer")
    plan = told(folder, "plan", "horizon.yaml", site="newer")
    (stage,) = [stage for stage in plan["stages"] if stage["stage"] == "horizon"]
    assert (stage["to_run"], stage["reasons"]) == (1, ["code version: 1 -> 2"])
    other = told(folder, "plan", "horizon.yaml", "--set", "horizon.reach=20")
    assert [stage["to_run"] for stage in other["stages"]] == [0, 1]


def test_a_worker_with_other_code_of_the_package_refuses(folder: Path, tmp_path: Path) -> None:
    install(write_package(tmp_path, "0.1.1", find=("best + 1, float", "best + 2, float")), folder / "other")
    plan = """if True:
        import pickle
        from tasks.pipeline import load, steps
        from tasks.ingest import ingest
        from storage.items import blocks_of
        from tasks.stage.job import Job
        config = load("horizon.yaml")
        step = steps(config, lambda stage: blocks_of(ingest.recorded(stage).known))[-1]
        with open("job", "wb") as file:
            pickle.dump(Job(step.stage, step.blocks[0], "run", config.execution), file)
    """
    assert python(folder, plan).returncode == 0
    work = "import pickle; job = pickle.load(open('job', 'rb')); job.stage.make(job)"
    before = receipts(folder)
    refused = python(folder, work, site="other")
    assert "this worker runs other code" in refused.stderr, refused.stderr
    assert "install the same version of panolabel and panolabel-horizon on every worker" in refused.stderr
    assert receipts(folder) == before
    accepted = python(folder, work)
    assert accepted.returncode == 0, accepted.stderr


def write_entry_points(site: Path, package: str, text: str) -> None:
    info = site / f"{package.replace('-', '_')}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[panolabel.stages]\n{text}\n")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        (
            "horizon",
            "elsewhere:KIND",
            r"the stage 'horizon' is given by panolabel-\w+ and by panolabel-\w+; uninstall one",
        ),
        ("fuse", "elsewhere:KIND", r"the stage 'fuse' is given by panolabel-other and by panolabel; uninstall one of them"),
    ],
)
def test_two_packages_that_give_one_name_are_an_error(folder: Path, name: str, value: str, message: str, tmp_path: Path) -> None:
    shutil.copytree(folder / "site", tmp_path / "site")
    write_entry_points(tmp_path / "site", "panolabel-other", f"{name} = {value}")
    result = panolabel(folder, "plan", "horizon.yaml", site=str(tmp_path / "site"))
    assert result.returncode == 2
    assert re.search(message, " ".join(result.stderr.split())), result.stderr


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("no_such_module:KIND", r"the stage 'mine' of the package panolabel-other: no_such_module:KIND cannot be imported"),
        ("json:dumps", r"the stage 'mine' of the package panolabel-other: json:dumps is a function, not a tasks.stage.kind.Kind"),
    ],
)
def test_an_entry_point_of_no_kind_is_told(folder: Path, value: str, message: str, tmp_path: Path) -> None:
    write_entry_points(tmp_path / "site", "panolabel-other", f"mine = {value}")
    (folder / "mine.yaml").write_text((folder / "horizon.yaml").read_text().replace("horizon:", "mine:"))
    result = panolabel(folder, "plan", "mine.yaml", site=str(tmp_path / "site"))
    assert result.returncode == 2
    assert re.search(message, " ".join(result.stderr.split())), result.stderr


def test_without_the_package_the_error_says_so(folder: Path) -> None:
    result = panolabel(folder, "plan", "horizon.yaml", site="nowhere")
    assert result.returncode == 2
    assert "stages.horizon: no stage is of the kind 'horizon'" in result.stderr
