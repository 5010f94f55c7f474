"""Commands about a store need its manifest, not its source: the disk may be unmounted, the bucket gone."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from flows.cli import app
from flows.publishing.export import export
from flows.publishing.points import Solids, write_points
from flows.publishing.publish import publish
from flows.stores.finished import NotFinished
from flows.stores.status import store_status
from tasks.ingest import ingest
from tasks.pipeline import stages
from tests.support.pipelines import load, run_pipeline, write_panoramas, write_pipeline
from tests.support.stages import source_of

ABOUT_A_STORE = {
    "status": ["status"],
    "trace": ["trace", "CONFIG", "p00"],
    "failures": ["failures", "list"],
    "verify": ["verify"],
    "gc": ["gc", "CONFIG", "--dry-run"],
    "query": ["query", "CONFIG", "--ask", "failed-items"],
    "points": ["points", "CONFIG", "OUT"],
}


def call(path: Path, words: list[str], *more: str) -> Result:
    words = words if "CONFIG" in words else [*words, "CONFIG"]
    named = [str(path) if word == "CONFIG" else str(path.parent / "points") if word == "OUT" else word for word in words]
    return CliRunner().invoke(app, [*named, *more])


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, prefect_api: str) -> Path:
    """A finished store of a list with metadata, whose source is gone."""
    folder = tmp_path_factory.mktemp("gone")
    path = write_pipeline(folder, 3, source={"url": str(folder / "images" / "list.csv")})
    (folder / "images" / "list.csv").write_text("uri,split,camera\np00.png,train,theta\np01.png,test,\np02.png,test,insta\n")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("PREFECT_API_URL", prefect_api)
        run_pipeline(load(path))
    shutil.rmtree(folder / "images")
    return path


@pytest.mark.parametrize("command", ABOUT_A_STORE)
def test_a_store_is_asked_without_its_source(finished: Path, command: str) -> None:
    result = call(finished, ABOUT_A_STORE[command])
    assert result.exit_code == 0, result.output + repr(result.exception)


@pytest.mark.parametrize("command", ABOUT_A_STORE)
def test_a_store_that_is_not_there_is_exit_code_2(tmp_path: Path, command: str) -> None:
    path = write_pipeline(tmp_path, 1)
    result = call(path, ABOUT_A_STORE[command])
    assert result.exit_code == 1, "main() makes 2 of the error"
    assert isinstance(result.exception, ValueError)
    assert str(tmp_path / "store") in str(result.exception)
    assert not (tmp_path / "store").exists()


def test_status_says_that_the_source_was_not_looked_at(finished: Path) -> None:
    said = json.loads(call(finished, ["status"], "--json").stdout)
    (source,) = said["sources"]
    assert (said["items"], source["items"], source["not_ingested"], source["gone_from_source"]) == (3, 3, None, None)
    assert "there is no such list" in source["not_looked_at"]
    assert "list.csv, which was not looked at: source" in call(finished, ["status"]).stdout


def test_plan_needs_the_source(finished: Path) -> None:
    assert "there is no such list" in str(call(finished, ["plan"]).exception)


def test_points_are_grey_where_the_picture_is_gone(finished: Path) -> None:
    said = json.loads(call(finished, ABOUT_A_STORE["points"], "--json").stdout)
    assert [(file["item"], file["coloured"]) for file in said["files"]] == [(f"p{n:02d}", False) for n in range(3)]


def test_metadata_stand_in_the_lineage_and_in_the_tables(finished: Path) -> None:
    source = json.loads(call(finished, ABOUT_A_STORE["trace"], "--json").stdout)["source"]
    assert (source["split"], source["metadata"], source["figures"].get("observed", 1)) == ("train", {"camera": "theta"}, 1)
    assert (
        'camera: "theta"' in call(finished, ABOUT_A_STORE["trace"]).stdout
        or "camera: theta" in call(finished, ABOUT_A_STORE["trace"]).stdout
    )
    sql = (
        "SELECT item, split, json_extract_string(metadata, '$.camera') AS camera FROM items WHERE stage = 'ingest' ORDER BY item"
    )
    rows = json.loads(call(finished, ["query", "CONFIG", sql], "--json").stdout)
    values = [list(row.values()) if isinstance(row, dict) else row for row in (rows["rows"] if isinstance(rows, dict) else rows)]
    assert values == [["p00", "train", "theta"], ["p01", "test", None], ["p02", "test", "insta"]]


def test_what_is_finished_stays_so_under_rehash(tmp_path: Path, prefect_api: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """That a run would read every file anew makes no label owed; the run that is advised would never end that."""
    monkeypatch.setenv("PREFECT_API_URL", prefect_api)
    path = write_pipeline(tmp_path, 2)
    rehash = load(path, ingest__rehash=True)
    assert run_pipeline(rehash)["state"] == "completed"
    assert publish(rehash)["complete"]
    assert len(write_points(rehash, str(tmp_path / "points"), Solids())["files"]) == 2
    assert export(rehash, "webdataset", str(tmp_path / "out"))["complete"]
    assert [source["not_ingested"] for source in store_status(rehash)["sources"]] == [0]
    assert call(path, ["audit"], "--set", "ingest.rehash=true", "--json").exit_code == 0
    assert call(path, ["plan"], "--check").exit_code == 0
    asked = call(path, ["plan"], "--check", "--json", "--set", "ingest.rehash=true")
    assert (asked.exit_code, "files to read again (ingest.rehash)" in asked.output) == (1, True), "a run does read them"
    assert call(path, ["run"], "--set", "ingest.rehash=true").exit_code == 0
    write_panoramas(tmp_path / "images", ["p00b"])
    with pytest.raises(NotFinished, match="owed by stage: ingest 1"):
        publish(rehash)


def test_allowed_folders_and_rehash_are_in_no_fingerprint(tmp_path: Path) -> None:
    path = write_pipeline(tmp_path, 1)
    plain, other = load(path), load(path, source__allow=["/data"], ingest__rehash=True)
    assert ingest.manifest_url(source_of(plain)) == ingest.manifest_url(source_of(other))
    assert [stage.identity for stage in stages(plain)] == [stage.identity for stage in stages(other)]
