"""What becomes of panoramas is told by their bytes: new, changed, renamed, removed, doubled; what is gone is not published."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from flows.plan import make_plan
from flows.publishing.publish import publish
from flows.stores.failures import causes, failed, items_to_retry
from flows.stores.life import items_told
from flows.stores.status import store_status
from storage.published import open_published
from tasks.ingest import life
from tests.support.commands import panolabel
from tests.support.pipelines import keep, load, restore, run_pipeline, write_panoramas, write_pipeline

pytestmark = pytest.mark.usefixtures("prefect_api")


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory, prefect_api: str) -> Path:
    path = write_pipeline(tmp_path_factory.mktemp("life"), 4)
    (path.parent / "images" / "bad.png").write_bytes(b"no image")
    run_pipeline(load(path))
    keep(path)
    return path


@pytest.fixture
def path(ran: Path) -> Path:
    """A pipeline of four good panoramas in two blocks, and a bad file, that has run once."""
    return restore(ran)


def told(path: Path) -> dict[str, Any]:
    (found,) = items_told(make_plan(load(path)))
    return {word: one["first"] for word, one in found.items() if word != "source" and one and one["count"]}


def test_nothing_is_told_where_all_is_as_it_was(path: Path) -> None:
    assert told(path) == {"quarantined": ["bad"]}


def test_what_came_changed_and_went_is_told_before_and_after_a_run(path: Path) -> None:
    images = path.parent / "images"
    (images / "p00.png").rename(images / "q00.png")
    (images / "p01.png").unlink()
    write_panoramas(images, ["p02x", "new"])
    (images / "p02x.png").replace(images / "p02.png")
    shutil.copy(images / "p03.png", images / "twin.png")
    (images / "bad.png").unlink()
    before = told(path)
    assert before == {
        "new": ["new", "twin"],
        "changed": ["p02"],
        "renamed": ["p00 -> q00"],
        "removed": ["bad", "p01"],
        "leaving": ["p00", "p01"],
    }, "that twin is one is known once it was read"
    record = run_pipeline(load(path))
    (of_run,) = record["life"]
    assert of_run["new"]["first"] == ["new", "twin"]
    assert of_run["changed"]["first"] == ["p02"]
    assert of_run["renamed"]["first"] == ["p00 -> q00"]
    assert of_run["doubled"]["first"] == ["p03 = twin"]
    assert record["quarantined"] == [], "the bad file is gone"
    assert "p00 -&gt; q00" in Path(record["report"]).read_text()
    after = told(path)
    assert after == {
        "renamed": ["p00 -> q00"],
        "removed": ["bad", "p01"],
        "doubled": ["p03 = twin"],
        "leaving": ["p00", "p01"],
    }
    assert [one["life"] for one in (store_status(load(path)),)] == [items_told(make_plan(load(path)))]


def test_a_double_that_lost_its_other_is_no_rename(path: Path) -> None:
    images = path.parent / "images"
    shutil.copy(images / "p03.png", images / "twin.png")
    run_pipeline(load(path))
    (images / "p03.png").unlink()
    assert told(path) == {"removed": ["p03"], "quarantined": ["bad"], "leaving": ["p03"]}


def test_few_files_are_read_to_tell_renames(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(life, "MOST_LOOKED_AT", 1)
    images = path.parent / "images"
    for number in range(2):
        (images / f"p0{number}.png").rename(images / f"q0{number}.png")
    found = told(path)
    assert (len(found["renamed"]), len(found["new"])) == (1, 1)


def test_a_source_that_cannot_be_listed_is_never_all_removed(path: Path) -> None:
    shutil.rmtree(path.parent / "images")
    (path.parent / "images").mkdir()
    state = store_status(load(path))
    (found,) = state["life"]
    assert {word for word, one in found.items() if one is None} == {"new", "changed", "renamed", "removed", "doubled", "leaving"}
    assert state["sources"][0]["not_looked_at"]
    with pytest.raises(ValueError, match="no panoramas found"):
        publish(load(path))
    assert [row["item"] for row in failed(load(path))["items"]] == ["bad"], "nor is anything else taken for gone"


def test_removed_panoramas_leave_the_next_version_or_stay_by_choice(path: Path) -> None:
    config, folder = load(path), str(path.parent / "store" / "published" / "small")
    first = publish(config)
    assert (first["left_out"], first["kept_removed"]) == ([], [])
    (path.parent / "images" / "p01.png").unlink()
    second = publish(config)
    assert (second["left_out"], second["panoramas"]) == (["p01"], 3)
    group = open_published(folder)
    assert group["item"][:].tolist() == ["p00", "p02", "p03"]
    whole = open_published(folder, first["version"])
    for name in ("depth", "semantics"):
        assert (group[name][:] == whole[name][:][[0, 2, 3]]).all()
    kept = publish(config, keep_removed=True)
    assert kept["kept_removed"] == ["p01"]
    assert kept["version"] not in (first["version"], second["version"]), "its metadata say that somebody chose so"
    assert open_published(folder).attrs["kept_removed"] == ["p01"]
    assert open_published(folder)["item"].shape == (4,)
    said = panolabel("publish", path, "--keep-removed").stdout
    assert "kept, though gone from the source (--keep-removed): 1 (p01)" in said
    assert "left out, gone from the source or forgotten: 1 (p01)" in panolabel("publish", path).stdout
    assert "1 leave the next published version: p01" in panolabel("status", path).stdout
    assert "1 leave the next published version: p01" in panolabel("plan", path).stdout
    (leaving,) = json.loads(panolabel("plan", path, "--json").stdout)["life"]
    assert leaving["leaving"] == {"count": 1, "first": ["p01"]}


def test_quarantines_of_files_that_are_gone_leave_the_list(path: Path) -> None:
    assert items_to_retry(load(path), []) == ["bad"]
    (path.parent / "images" / "bad.png").unlink()
    assert failed(load(path))["items"] == []
    assert items_to_retry(load(path), []) == []
    assert store_status(load(path))["quarantined"] == []


def test_causes_are_one_whatever_their_numbers() -> None:
    rows = [{"stage": "fuse", "reason": f"expected 512x256, got {width}x200"} for width in (300, 301)]
    rows += [{"stage": "ingest", "reason": "not 2:1"}] * 2
    assert causes(rows) == {"fuse: expected #x#, got #x#": 2, "ingest: not 2:1": 2}
