"""Published versions: what readers see, while writers work and die."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import icechunk
import numpy as np
import pytest
import yaml
import zarr

from configs.settings import ConfigError
from flows.publishing.publish import publish
from flows.stores.finished import NotFinished
from flows.stores.garbage import collect, find_garbage
from storage.arrays import BlockReader
from storage.published import open_published
from storage.published.plain import latest_version, versions
from storage.published.repository import lock
from storage.urls import files_below
from tests.support.commands import panolabel
from tests.support.pipelines import load, run_pipeline, write_panoramas, write_pipeline
from tests.support.publications import put

PUBLISH = """
import sys
from pathlib import Path
from tests.support.pipelines import load
from flows.publishing.publish import publish
config = load(Path(sys.argv[1]))
print("ready", flush=True)
publish(config)
"""


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory, prefect_api: str) -> Path:
    """A pipeline of five panoramas in three blocks; the geometry teacher gave up the first one."""
    path = write_pipeline(tmp_path_factory.mktemp("publish"), 5)
    data = yaml.safe_load(path.read_text())
    data["stages"]["geometry"]["settings"]["fail_on"] = "p00"
    path.write_text(yaml.safe_dump(data, sort_keys=False))
    run_pipeline(load(path))
    return path


def test_arrays_are_those_of_the_store_and_publishing_twice_is_a_no_op(path: Path) -> None:
    config = load(path)
    first, again = publish(config), publish(config)
    assert (first["new"], again["new"], first["version"]) == (True, False, again["version"])
    folder = path.parent / "store" / "published" / "small"
    group = open_published(str(folder))
    assert group.metadata.consolidated_metadata is not None
    assert group["item"][:].tolist() == [f"p{number:02d}" for number in range(5)]
    assert group["valid"][:].tolist() == [False, True, True, True, True]
    assert "too much for the teacher" in str(group["reason"][0])
    assert group.attrs["classes"] == ["dark", "bright"]
    errors = {"depth": "0.05 % at most", "normals": "0.2 degrees in the mean, 0.5 at most"}
    assert {name: array.attrs["error"] for name, array in group.arrays() if "error" in array.attrs} == errors
    position = 0
    for receipt in sorted((path.parent / "store/stages/fuse").rglob("receipt.json")):
        reader = BlockReader(str(receipt.parent))
        for slot in range(len(json.loads(receipt.read_text())["items"])):
            for name, value in reader.item(slot).items():
                np.testing.assert_array_equal(group[name][position], value)
                assert group[name].dtype == value.dtype
            position += 1
    assert position == 5
    with pytest.raises(ValueError, match="read-only"):
        group["depth"][0] = 0
    before = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    collect(config, find_garbage(config, keep_runs=0, older_than_hours=0))
    assert {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()} == before


def test_icechunk_holds_the_same_and_publishing_twice_is_a_no_op(path: Path) -> None:
    config, folder = load(path), path.parent / "store" / "published"
    plain, first, again = publish(config), publish(config, to="icechunk"), publish(config, to="icechunk")
    assert (first["new"], again) == (True, {**first, "new": False})
    assert (first["url"], first["version"]) == (str(folder / "small.icechunk"), plain["version"])
    left, right = open_published(first["url"]), open_published(str(folder / "small"))
    assert {**left.attrs, "created": ""} == {**right.attrs, "created": ""}
    assert {name: array[:].tolist() for name, array in left.arrays()} == {
        name: array[:].tolist() for name, array in right.arrays()
    }
    shown = json.loads(panolabel("publish", path, "--to", "icechunk", "--list", "--json").stdout)
    assert [(one["version"], one["run"], one["latest"]) for one in shown] == [(first["version"], plain["run"], True)]
    before = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    collect(config, find_garbage(config, keep_runs=0, older_than_hours=0))
    assert {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()} == before


def test_the_slower_one_of_two_publishers_is_told(path: Path) -> None:
    url = str(path.parent / "store" / "published" / "raced.icechunk")
    put(url, "former")
    held = len(files_below(url))
    command = [sys.executable, "-m", "flows.cli", "publish", str(path), "--to", "icechunk", "--name", "raced"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        with lock(url):  # so it can write, but not commit
            while process.poll() is None and len(files_below(url)) == held:
                time.sleep(0.01)
            faster = icechunk.Repository.open(icechunk.local_filesystem_storage(url)).writable_session("main")
            zarr.open_group(faster.store, mode="a").attrs["note"] = "changed by hand"
            faster.commit("by hand")
        assert process.stderr is not None
        message = process.stderr.read()
    assert (process.returncode, "Publish from one place at a time" in message) == (1, True), message
    repository = icechunk.Repository.open(icechunk.local_filesystem_storage(url))
    assert [one.message for one in repository.ancestry(branch="main")][:2] == ["by hand", "version former"]


def test_what_icechunk_needs_is_said(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="zarr, icechunk"):
        publish(load(path), to="parquet")
    with pytest.raises(ConfigError, match="--name"):
        publish(load(path), name="demo.icechunk")
    for module in ("storage.published.icechunk", "storage.published.repository"):
        monkeypatch.delitem(sys.modules, module, raising=False)
        monkeypatch.delattr(module, raising=False)
    monkeypatch.setitem(sys.modules, "icechunk", None)  # as if it were not installed
    with pytest.raises(ConfigError, match=r"pip install 'panolabel\[icechunk\]'"):
        publish(load(path), to="icechunk")
    with pytest.raises(ModuleNotFoundError, match="pip install"):
        open_published("published/demo.icechunk")


def test_owed_or_damaged_labels_are_refused(tmp_path: Path, prefect_api: str) -> None:
    path = write_pipeline(tmp_path, 2)
    refused = panolabel("publish", path)
    assert (refused.returncode, "owed by stage: ingest 2" in refused.stderr) == (2, True)
    run_pipeline(load(path))
    write_panoramas(tmp_path / "images", ["p50"])
    with pytest.raises(NotFinished, match="panolabel run"):
        publish(load(path))
    partial = json.loads(panolabel("publish", path, "--allow-incomplete", "--json").stdout)
    assert (partial["complete"], partial["panoramas"]) == (False, 2)
    assert partial["version"] in panolabel("publish", path, "--list").stdout
    (tmp_path / "images" / "p50.png").unlink()
    chunk = next((tmp_path / "store/stages/fuse").rglob("depth/c/0/0/0"))
    chunk.write_bytes(chunk.read_bytes()[:-1] + b"?")
    with pytest.raises(NotFinished, match="bytes differ"):
        publish(load(path))
    assert latest_version(str(tmp_path / "store/published/small")) == partial["version"]
    with pytest.raises(ConfigError, match="--name"):
        publish(load(path), name="../elsewhere")


@pytest.mark.slow
def test_killed_while_publishing_the_former_version_stays(path: Path) -> None:
    folder = path.parent / "store" / "published" / "small"
    former = publish(load(path))["version"]
    changed = path.with_name("changed.yaml")
    changed.write_text(path.read_text().replace("height: 32", "height: 40"))
    run_pipeline(load(changed))
    expected = publish(load(changed), name="undisturbed")["version"]
    kills, partial = 0, 0
    for wanted in (0, 1, 2, 4, 8, 12):  # files of the new version that are there when the kill comes
        process = subprocess.Popen([sys.executable, "-c", PUBLISH, str(changed)], stdout=subprocess.PIPE, env=dict(os.environ))
        assert process.stdout is not None
        process.stdout.readline()
        while process.poll() is None and len(list((folder / expected).rglob("*"))) < wanted:
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
        if process.wait() == 0 or latest_version(str(folder)) != former:
            break
        kills += 1
        partial += (folder / expected).exists()
        assert open_published(str(folder))["valid"].shape == (5,)
    assert kills, "no kill came before the end"
    assert partial, "no kill came in the middle"
    assert publish(load(changed))["version"] == expected
    left, right = (open_published(str(folder.parent / name)) for name in ("small", "undisturbed"))
    for name, array in left.arrays():
        np.testing.assert_array_equal(array[:], right[name][:])
    assert {one["version"] for one in versions(str(folder))} == {former, expected}


def test_the_example_of_the_docs_runs(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(load(path))
    example = re.search(r"```python\n(.*?)```", Path("docs/publish.md").read_text(), re.S)
    assert example is not None
    names: dict = {}
    exec(example[1].replace("work/demo/store/published/demo", str(path.parent / "store/published/small")), names)
    image_depth = names["dataset"][0]
    assert image_depth["depth"].shape[1] == 2 * image_depth["depth"].shape[0]
    assert len(names["dataset"]) == 4
