"""Folders, globs, buckets and lists name the same panoramas the same way."""

import hashlib
import json
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.ingest.datasets.listing import list_entries
from tasks.ingest.entries import SourceError
from tasks.ingest.ingest import manifest_url
from tasks.ingest.settings import Source
from tasks.ingest.sources import list_source, look_at_source
from tests.support.pipelines import load, write_pipeline
from tests.support.stages import source_of


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.jpg", "deep/b.PNG", "deep/c.hdr", "notes.txt", ".hidden.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x" * 10)
    (tmp_path / "a.json").write_text(json.dumps({"split": "test", "position": [1, 2, 3]}))
    return tmp_path


def test_a_folder_is_searched_and_sidecars_are_read(folder: Path) -> None:
    entries = list_source(str(folder))
    assert [entry.item for entry in entries] == ["a", "deep/b", "deep/c"]
    assert (entries[0].split, entries[0].metadata) == ("test", {"position": [1, 2, 3]})
    assert entries[0].uri == str(folder / "a.jpg")
    assert all(entry.size == 10 and entry.stamp for entry in entries)


def test_a_glob_takes_only_what_it_names(folder: Path) -> None:
    assert [entry.item for entry in list_source(f"{folder}/deep/*.hdr")] == ["c"]


def test_a_single_file_is_a_source(folder: Path) -> None:
    assert [entry.item for entry in list_source(str(folder / "a.jpg"))] == ["a"]


def test_a_bucket_like_store_is_a_source() -> None:
    files = fsspec.filesystem("memory")
    files.pipe_file("/bucket/set/x.png", b"1")
    files.pipe_file("/bucket/set/sub/y.png", b"2")
    entries = list_source("memory://bucket/set")
    assert [entry.item for entry in entries] == ["sub/y", "x"]
    assert entries[1].uri == "memory:///bucket/set/x.png"


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_list_gives_ids_splits_and_metadata(folder: Path, suffix: str) -> None:
    path = folder / f"list.{suffix}"
    rows = [
        {"uri": "a.jpg", "item": "first", "split": "train", "camera": "theta"},
        {"uri": str(folder / "deep/b.PNG"), "item": "second", "split": "", "camera": "insta"},
    ]
    if suffix == "csv":
        lines = ["uri,item,split,camera", *(",".join(row.values()) for row in rows)]
        path.write_text("\n".join(lines))
    else:
        pq.write_table(pa.Table.from_pylist(rows), path)
    entries = list_source(str(path))
    assert [(entry.item, entry.split, entry.metadata) for entry in entries] == [
        ("first", "train", {"camera": "theta"}),
        ("second", "", {"camera": "insta"}),
    ]
    assert entries[0].uri == str(folder / "a.jpg")


def test_two_files_of_one_name_are_refused(folder: Path) -> None:
    (folder / "a.png").write_bytes(b"y")
    with pytest.raises(SourceError, match="would both be item 'a'"):
        list_source(str(folder))


def test_an_empty_source_says_what_it_looked_for(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"no panoramas found: the folder is empty; .* files must end in one of \.jpg"):
        list_source(str(tmp_path))


def test_a_list_without_uris_is_refused(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("path\na.jpg\n")
    with pytest.raises(SourceError, match="row 1 has no `uri`"):
        list_source(str(tmp_path / "list.csv"))


def test_names_may_not_leave_their_folder(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"x")
    (tmp_path / "list.csv").write_text("uri,item\na.jpg,../../etc/a\n")
    with pytest.raises(SourceError, match="may not leave its folder"):
        list_source(str(tmp_path / "list.csv"))


def test_a_broken_sidecar_is_named(folder: Path) -> None:
    (folder / "a.json").write_text("{")
    found = look_at_source(str(folder))
    assert [entry.item for entry in found.entries] == ["a", "deep/b", "deep/c"]
    assert any("a.json is not valid JSON" in note for note in found.notes)


def test_one_split_of_a_folder_can_be_taken(folder: Path) -> None:
    assert [entry.item for entry in list_entries(Source(url=str(folder), split="test"))] == ["a"]
    with pytest.raises(SourceError, match=r"is in the split 'val'; there are '' \(2\), 'test' \(1\)"):
        list_entries(Source(url=str(folder), split="val"))


def test_a_manifest_belongs_to_a_source_of_one_kind_and_split(tmp_path: Path) -> None:
    path = write_pipeline(tmp_path, 1)
    plain = manifest_url(source_of(load(path)))
    assert plain.endswith(f"/{hashlib.sha256(f'file://{tmp_path}/images'.encode()).hexdigest()[:12]}.parquet")
    changes = [{"source__split": "test"}, {"source__kind": "structured3d"}, {"source__kind": "zuripano", "source__split": "test"}]
    assert len({plain, *(manifest_url(source_of(load(path, **change))) for change in changes)}) == 4
