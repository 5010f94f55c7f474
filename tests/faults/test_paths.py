"""Lists, links and names cannot make a run read local files outside its source, or write outside its store."""

import json
import os
import socket
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from storage.items import SCHEMA, Item
from storage.manifest import ManifestError, place, read_manifest, write_manifest
from storage.names import unsafe_name
from tasks.ingest.entries import SourceError
from tasks.ingest.sources import list_source, look_at_source


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A file that no source below ``tmp_path / "source"`` may reach."""
    path = tmp_path / "secret.jpg"
    path.write_bytes(b"secret")
    return path


@pytest.fixture
def source(tmp_path: Path, outside: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(b"a")
    return folder


def listed(folder: Path, *uris: object, suffix: str = "csv") -> str:
    path = folder / f"list.{suffix}"
    if suffix == "csv":
        path.write_text("\n".join(["uri", *map(str, uris)]) + "\n")
    else:
        pq.write_table(pa.Table.from_pylist([{"uri": uri} for uri in uris]), path)
    return str(path)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
@pytest.mark.parametrize(
    "uri",
    [
        "../secret.jpg",
        "sub/../../secret.jpg",
        "{outside}",
        "/etc/hostname",
        "/proc/self/environ",
        "//server/share/x.jpg",
        "file://{outside}",
        "FILE://{outside}",
        "file:{outside}",
        "file://localhost/etc/hostname",
        "file:///{source}/../secret.jpg",
        "local://{outside}",
        "simplecache::file://{outside}",
        "zip://a.jpg::file://{outside}",
        "C:\\secret.jpg",
        "C:/secret.jpg",
        "\\\\server\\share\\x.jpg",
        "..\\secret.jpg",
        "git://{source}:a.jpg",
        "sftp://host/a.jpg",
        "data:image/png;base64,AAAA",
        "made-up://x/a.jpg",
        "a\x07.jpg",
        "a\x1b[2J.jpg",
        "{long}.jpg",
    ],
)
def test_what_a_list_may_not_name(source: Path, outside: Path, uri: str, suffix: str) -> None:
    named = uri.format(outside=outside, source=source, long="x" * 300)
    with pytest.raises(SourceError, match=r"row 1") as caught:
        list_source(listed(source, named, suffix=suffix))
    assert len(str(caught.value)) < 1000
    assert "\x1b" not in str(caught.value)


def test_a_nul_in_a_list_is_refused(source: Path) -> None:
    (source / "list.csv").write_bytes(b"uri\na\0.jpg\n")
    with pytest.raises(SourceError, match=r"list\.csv"):
        list_source(str(source / "list.csv"))
    with pytest.raises(SourceError, match="row 1: uri"):
        list_source(listed(source, "a\0.jpg", suffix="parquet"))


@pytest.mark.parametrize("value", [7, 1.5, True, b"a.jpg", ["a.jpg"]])
def test_a_uri_is_text(source: Path, value: object) -> None:
    with pytest.raises(SourceError, match="row 1"):
        list_source(listed(source, value, suffix="parquet"))


def test_a_remote_list_names_no_local_file(source: Path) -> None:
    from storage.urls import write_bytes

    write_bytes("memory://lists/list.csv", f"uri\n{source / 'a.jpg'}\n".encode())
    with pytest.raises(SourceError, match="a remote list may not name"):
        list_source("memory://lists/list.csv")


@pytest.mark.parametrize("uri", ["a.jpg", "./a.jpg", "{source}/a.jpg", "file://{source}/a.jpg"])
def test_files_below_the_list_are_its_own(source: Path, uri: str) -> None:
    (entry,) = list_source(listed(source, uri.format(source=source)))
    assert (entry.item, entry.size) == ("a", 1)


def test_links_inside_the_source_are_files_and_links_out_of_it_are_refused(source: Path, outside: Path) -> None:
    (source / "b.jpg").symlink_to("a.jpg")
    assert [entry.item for entry in list_source(str(source))] == ["a", "b"]
    assert [entry.item for entry in list_source(listed(source, "b.jpg"))] == ["b"]
    (source / "c.jpg").symlink_to(outside)
    for url in (str(source), f"{source}/*.jpg", listed(source, "c.jpg")):
        with pytest.raises(SourceError, match="leads out of"):
            list_source(url)


def test_a_folder_that_is_a_link_is_not_entered(source: Path, tmp_path: Path, outside: Path) -> None:
    (source / "up").symlink_to(tmp_path)
    (source / "loop").symlink_to(source)
    assert [entry.item for entry in list_source(str(source))] == ["a"]
    with pytest.raises(SourceError, match="leads out of"):
        list_source(listed(source, "up/secret.jpg"))


def test_a_source_that_is_itself_a_link_is_fine(source: Path, tmp_path: Path) -> None:
    (source / "b.jpg").symlink_to(source / "a.jpg")
    (tmp_path / "alias").symlink_to(source)
    assert [entry.item for entry in list_source(str(tmp_path / "alias"))] == ["a", "b"]


def test_a_sidecar_that_leads_out_is_refused(source: Path, outside: Path) -> None:
    outside.write_text(json.dumps({"password": "x"}))
    (source / "a.json").symlink_to(outside)
    with pytest.raises(SourceError, match="leads out of"):
        list_source(str(source))


def test_pipes_devices_and_folders_are_no_panoramas(source: Path) -> None:
    os.mkfifo(source / "pipe.jpg")
    with pytest.raises(SourceError, match="pipe or device"):
        list_source(str(source))
    (source / "pipe.jpg").unlink()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(source / "s.jpg"))
        with pytest.raises(SourceError, match="pipe or device"):
            list_source(str(source))
    (source / "s.jpg").unlink()
    (source / "folder.jpg").mkdir()
    with pytest.raises(SourceError, match="folder, pipe or device"):
        list_source(listed(source, "folder.jpg"))


@pytest.mark.parametrize(
    "sidecar",
    [
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"a": 1e999}',
        b'{"a": "\\ud800"}',
        b"\xff\xfe",
        b"[1, 2]",
        b'{"a": "' + b"x" * 1_100_000 + b'"}',
    ],
)
def test_sidecars_that_are_no_plain_metadata_are_named_and_cost_nothing_else(source: Path, sidecar: bytes) -> None:
    (source / "a.json").write_bytes(sidecar)
    (source / "b.jpg").write_bytes(b"b")
    (source / "b.json").write_text('{"camera": "mine"}')
    found = look_at_source(str(source))
    assert [(entry.item, entry.metadata) for entry in found.entries] == [("a", {}), ("b", {"camera": "mine"})]
    assert not any(entry.problem for entry in found.entries)
    (note,) = found.notes
    kinds = (
        "JSON files beside images are no capture metadata, and not read: a.json ",
        "values in JSON files beside images are left out",
    )
    assert note.startswith(tuple(f"1 {kind}" for kind in kinds))
    assert len(note) < 1000


def test_dates_and_missing_numbers_in_a_list_become_json(source: Path) -> None:
    from datetime import datetime

    rows = [{"uri": "a.jpg", "captured": datetime(2025, 3, 4, 5, 6), "altitude": float("nan"), "place": None}]
    pq.write_table(pa.Table.from_pylist(rows), source / "list.parquet")
    (entry,) = list_source(str(source / "list.parquet"))
    assert entry.metadata == {"captured": "2025-03-04 05:06:00"}


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" * 100, b"\x00" * 64])
def test_a_damaged_list_is_named(source: Path, content: bytes) -> None:
    (source / "list.parquet").write_bytes(content)
    with pytest.raises(SourceError, match=r"list\.parquet: cannot be read as a list"):
        list_source(str(source / "list.parquet"))


UNSAFE = [
    "",
    "/a",
    "a/",
    "a//b",
    ".",
    "..",
    "../a",
    "a/../b",
    "a/./b",
    "a\\b",
    "..\\a",
    "C:a",
    "C:/a",
    "a\0b",
    "a\nb",
    "a\x1b[31mb",
    "a\x7fb",
    "a\u2028b",
    "a\u202egpj.b",
    "a\ud800b",
    "x" * 241,
    "ä" * 121,
    "/".join(["x" * 100] * 11),
]


@pytest.mark.fault("Unsafe name (`../`, control characters, ...)", expected="refused at the manifest")
@pytest.mark.parametrize("name", UNSAFE)
def test_unsafe_item_names_are_refused_everywhere(name: str, tmp_path: Path) -> None:
    assert unsafe_name(name)
    with pytest.raises(ManifestError, match="item name"):
        place([], [Item(name, "a.jpg", "0", 8, 16, 1, "1")], 4)


@pytest.mark.parametrize(
    "name", ["a", "set/room 1/ünï", "2025-03-04T05:06", "a.b", ".hidden", "全景", "a'b\"c<d>&e", "..a", "🏠"]
)
def test_names_that_photographers_give_are_fine(name: str, tmp_path: Path) -> None:
    (item,) = place([], [Item(name, "a.jpg", "0", 8, 16, 1, "1")], 4)
    url = str(tmp_path / "m.parquet")
    write_manifest(url, [item])
    assert read_manifest(url) == [item]


@pytest.mark.fault("Names that clash by case or Unicode form", expected="refused at the manifest")
@pytest.mark.parametrize(
    ("one", "two"), [("Room", "room"), ("caf\u00e9", "cafe\u0301"), ("STRASSE", "stra\u00dfe"), ("\u212b", "\u00c5")]
)
def test_names_that_are_one_on_some_disks_are_refused(one: str, two: str) -> None:
    items = [Item(name, f"{name}.jpg", "0", 8, 16, 1, "1") for name in (one, two)]
    with pytest.raises(ManifestError, match="would get the same name"):
        place([], items, 4)


@pytest.mark.fault("Duplicate ids", expected="refused at the manifest")
def test_two_rows_of_one_id_are_refused(source: Path) -> None:
    (source / "b.jpg").write_bytes(b"b")
    (source / "list.csv").write_text("uri,item\na.jpg,one\nb.jpg,one\n")
    with pytest.raises(SourceError, match="would both be item 'one'"):
        list_source(str(source / "list.csv"))


def row(**changes: object) -> dict:
    base = {"item": "a", "uri": "a.jpg", "digest": "0", "height": 8, "width": 16, "split": "", "block": 0, "slot": 0}
    return {**base, "size": 1, "stamp": "1", "metadata": "{}", "figures": "{}", "reason": "", **changes}


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([row(item="../../a")], "may not leave"),
        ([row(item=None)], "has no item"),
        ([row(), row(slot=1)], "same name"),
        ([row(), row(item="b")], "same place"),
        ([row(metadata="[]")], "no JSON object"),
        ([row(metadata="{")], "is damaged"),
        ([row(metadata="[" * 100_000)], "is damaged"),
    ],
)
def test_a_manifest_that_was_tampered_with_is_refused(tmp_path: Path, rows: list[dict], reason: str) -> None:
    url = tmp_path / "m.parquet"
    pq.write_table(pa.Table.from_pylist(rows, SCHEMA), url)
    with pytest.raises(ManifestError, match=reason) as caught:
        read_manifest(str(url))
    assert "restore it from a backup" in str(caught.value)


def test_a_manifest_of_other_columns_is_refused(tmp_path: Path) -> None:
    pq.write_table(pa.Table.from_pylist([{"item": "a"}]), tmp_path / "m.parquet")
    with pytest.raises(ManifestError, match="its columns are"):
        read_manifest(str(tmp_path / "m.parquet"))
