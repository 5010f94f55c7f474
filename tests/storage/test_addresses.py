"""A path is taken as it is: what was listed is never parsed again as a chain, a pattern or a query."""

from __future__ import annotations

import tarfile
import zipfile
from pathlib import Path

import fsspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.addresses import AddressError, filesystem, url_at
from storage.urls import is_local, read_bytes, write_bytes
from tasks.ingest.ingest import manifest_url
from tasks.ingest.sources import list_source
from tests.support.object_store import s3_bucket
from tests.support.pipelines import load, write_pipeline
from tests.support.stages import source_of

NAMES = [
    *("shot::1.jpg", "a*b.jpg", "x?y.jpg", "[1].jpg", "50%.jpg", "%41.jpg", "#1.png", "~.jpg", "~root.jpg", "s3:.jpg"),
    *("memory:.jpg", "a b.jpg", "-rf.jpg", "trailing..jpg", "größe 景.jpg", "a+b&c=d.jpg", "x;y.jpg", "{a}.jpg", "'\".jpg"),
]
FOLDERS = ["a::b", "name.zip::", "s3:", "memory:", "what?", "a*b", "[2024]", "50%", "# 1", "zip::x"]


@pytest.mark.parametrize("folder", FOLDERS)
def test_local_names_of_any_characters_are_read(tmp_path: Path, folder: str) -> None:
    for name in NAMES:
        write_bytes(str(tmp_path / folder / name), name.encode())
    entries = list_source(str(tmp_path / folder))
    assert {entry.uri for entry in entries} == {str(tmp_path / folder / name) for name in NAMES}
    assert {read_bytes(entry.uri).decode() for entry in entries} == set(NAMES)


def test_a_relative_folder_of_such_a_name_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("a::b", "s3:", "~x"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "p.jpg").write_bytes(b"p")
        assert [entry.uri for entry in list_source(folder)] == [str(tmp_path / folder / "p.jpg")]


def test_a_list_may_name_them_too(tmp_path: Path) -> None:
    names = [name for name in NAMES if '"' not in name]
    for name in names:
        (tmp_path / name).write_bytes(name.encode())
    (tmp_path / "list.jsonl").write_text("".join(f'{{"uri": "{name}"}}\n' for name in names))
    entries = list_source(str(tmp_path / "list.jsonl"))
    assert {read_bytes(entry.uri).decode() for entry in entries} == set(names)


@given(st.text(st.characters(blacklist_characters="/\0", blacklist_categories=["Cs"]), min_size=1, max_size=20))
def test_an_absolute_path_is_itself(name: str) -> None:
    path = f"/data/{name}/x"
    files, found = filesystem(path)
    assert found == path
    assert is_local(path)
    assert filesystem(url_at(path)(found)) == (files, found)


def test_keys_of_a_bucket_of_any_characters_are_read() -> None:
    names = ["a?b.jpg", "a#b.jpg", "50%.jpg", "shot::b.jpg", "a b+c.jpg", "[x].jpg", "*.jpg", "größe.jpg"]
    with s3_bucket("odd") as bucket:
        files, _ = filesystem(bucket)
        for name in names:
            files.pipe_file(f"odd/set ::1/{name}", name.encode())
        entries = list_source(f"{bucket}/set ::1")
        assert sorted(read_bytes(entry.uri).decode() for entry in entries) == sorted(names)
        assert all(entry.stamp and entry.size == len(read_bytes(entry.uri)) for entry in entries)


def test_archives_and_memory_are_sources(tmp_path: Path) -> None:
    (tmp_path / "p.jpg").write_bytes(b"pixels")
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        archive.write(tmp_path / "p.jpg", "deep/pano::1.jpg")
        archive.writestr("__MACOSX/deep/._p.jpg", b"fork")
    with tarfile.open(tmp_path / "set.tar", "w") as archive:
        archive.add(tmp_path / "p.jpg", "deep/p.jpg")
    fsspec.filesystem("memory").pipe_file("/mem/pano::1.jpg", b"pixels")
    for url, item in (
        (f"zip://::{tmp_path}/set.zip", "deep/pano::1"),
        (f"zip://deep::{tmp_path}/set.zip", "pano::1"),
        (f"tar://::{tmp_path}/set.tar", "deep/p"),
        ("memory://mem", "pano::1"),
        (f"file://{tmp_path}/p.jpg", "p"),
    ):
        (entry,) = list_source(url)
        assert (entry.item, read_bytes(entry.uri)) == (item, b"pixels"), url
        assert entry.stamp, url


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("gs://bucket/x", "pip install gcsfs"),
        ("abfs://box@account/x", "pip install adlfs"),
        ("made-up://x", "there is no kind of URL made-up://"),
        ("zip://x.jpg", "must name an archive"),
        ("zip://x.jpg::/a::b/x.zip", "must name an archive whose path has no '::'"),
    ],
)
def test_what_cannot_be_opened_is_said_with_what_to_do(url: str, told: str) -> None:
    with pytest.raises(AddressError) as caught:
        filesystem(url)
    assert told in str(caught.value)


def test_two_archives_have_two_manifests(tmp_path: Path) -> None:
    for name in ("one", "two"):
        with zipfile.ZipFile(tmp_path / f"{name}.zip", "w") as archive:
            archive.writestr("a.jpg", name)
    path = write_pipeline(tmp_path, 1)
    urls = {manifest_url(source_of(load(path, source__url=f"zip://::{tmp_path}/{name}.zip"))) for name in ("one", "two")}
    assert len(urls) == 2
