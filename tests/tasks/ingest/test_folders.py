"""What lies beside panoramas is not taken for one, and told; every way of there being nothing has a message of its own."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from flows.setup.init import look_at as survey
from storage.items import Item
from storage.retries import StoreError
from storage.urls import filesystem
from tasks.ingest.check import check_entry
from tasks.ingest.datasets.listing import list_entries, look_at
from tasks.ingest.entries import SourceError
from tasks.ingest.ingest import _again, save, scan
from tasks.ingest.settings import Ingest, Source
from tasks.ingest.sources import list_source, look_at_source
from tasks.ingest.stamps import stamp_of
from tests.support.object_store import s3_bucket
from tests.support.pipelines import load, write_pipeline
from tests.support.stages import source_of

LEFT = [
    *(
        "._a.jpg",
        ".hidden.jpg",
        "~$a.jpg",
        "__MACOSX/a.jpg",
        ".thumbnails/a.jpg",
        "@eaDir/a.jpg/SYNOPHOTO_THUMB.jpg",
        "@eaDir/a.jpg",
    ),
    *("@Recycle/a.jpg", "@Recently-Snapshot/x/a.jpg", "Recycled/a.jpg", "RECYCLER/a.jpg", "Network Trash Folder/a.jpg"),
    *("FOUND.000/a.jpg", "Catalog Previews.lrdata/a.jpg", "Mine.photoslibrary/a.jpg", "_gsdata_/a.jpg"),
    *(".ipynb_checkpoints/a.jpg", "lost+found/#1.jpg", "#recycle/a.jpg", "deep/$RECYCLE.BIN/a.jpg", ".git/annex/objects/a.jpg"),
]


def filled(folder: Path, *names: str) -> str:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.is_dir():
            path.write_bytes(b"x")
    return str(folder)


@pytest.mark.parametrize("name", LEFT)
def test_what_systems_leave_is_no_panorama_and_is_told(tmp_path: Path, name: str) -> None:
    (tmp_path / Path(name)).parent.mkdir(parents=True, exist_ok=True)
    found = look_at_source(filled(tmp_path, "a.jpg", "deep/b.jpg", name, "Thumbs.db", ".DS_Store"))
    assert [entry.item for entry in found.entries] == ["a", "deep/b"]
    if "SYNOPHOTO" not in name and ".git" not in name and "Recently" not in name:  # told by the folder that is not entered
        assert any(
            note.startswith("1 files that systems and tools left are passed over") and name in note for note in found.notes
        )


def test_hidden_and_odd_folders_may_be_the_source_itself(tmp_path: Path) -> None:
    assert [entry.item for entry in list_source(filled(tmp_path / ".cache/@eaDir", "a.jpg"))] == ["a"]


def test_unfinished_and_other_kinds_are_counted(tmp_path: Path) -> None:
    names = ("a.jpg", "b.jpg.part", "c.jpg.tmp", "d.jpg.dvc", "e.insp", "f.insp", "g.dng", "notes.txt", "h.JXL")
    notes = " | ".join(look_at_source(filled(tmp_path, *names)).notes)
    assert "4 files of other kinds are not read: 2 .insp (" in notes
    assert "1 .dng (" in notes
    assert "1 .jxl (" in notes
    assert "notes.txt" not in notes
    assert "3 files are not there yet" in notes


def test_a_linked_folder_is_not_entered_and_told(tmp_path: Path) -> None:
    filled(tmp_path / "other", "b.jpg")
    filled(tmp_path / "in", "a.jpg")
    (tmp_path / "in/more").symlink_to(tmp_path / "other")
    found = look_at_source(str(tmp_path / "in"))
    assert [entry.item for entry in found.entries] == ["a"]
    assert found.notes == ("1 folders are links, and not entered; a list can name their files: more",)


def test_a_snapshot_of_the_hub_is_a_source(tmp_path: Path) -> None:
    filled(tmp_path / "blobs", "0123")
    filled(tmp_path / "secret", "s.jpg")
    deep = tmp_path / "snapshots/rev/deep"
    deep.mkdir(parents=True)
    (deep / "a.jpg").symlink_to("../../../blobs/0123")
    for source in (deep, deep.parent):
        (entry,) = list_source(str(source))
        assert (entry.size, Path(entry.uri).read_bytes()) == (1, b"x")
    (deep / "b.jpg").symlink_to("../../../secret/s.jpg")
    with pytest.raises(SourceError, match="leads out of"):
        list_source(str(deep))
    assert len(list_source(str(deep), [str(tmp_path / "secret")])) == 2


@pytest.mark.parametrize(
    ("store", "way"), [(".dvc/cache/files/md5/01", "dvc checkout"), (".git/annex/objects/x", "git annex unlock")]
)
def test_links_of_other_tools_name_the_way_out(tmp_path: Path, store: str, way: str) -> None:
    filled(tmp_path, f"{store}/23.jpg")
    (tmp_path / "images").mkdir()
    (tmp_path / "images/a.jpg").symlink_to(tmp_path / store / "23.jpg")
    with pytest.raises(SourceError, match=way):
        list_source(str(tmp_path / "images"))
    assert len(list_source(str(tmp_path / "images"), [str(tmp_path / store)])) == 1
    assert len(list_source(str(tmp_path))) == 1, "the whole repository holds both"


def test_what_is_kept_elsewhere_costs_its_item_only(tmp_path: Path) -> None:
    filled(tmp_path, "a.jpg")
    (tmp_path / "b.jpg").symlink_to("gone.jpg")
    (tmp_path / "c.jpg").write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    items = {entry.item: check_entry(entry, Ingest()).reason for entry in list_source(str(tmp_path))}
    assert "which is not there" in items["b"]
    assert "git annex get" in items["b"]
    assert "git lfs pull" in items["c"]


def test_a_sidecar_that_states_nonsense_costs_its_item(tmp_path: Path) -> None:
    filled(tmp_path, "a.jpg", "b.jpg")
    (tmp_path / "a.json").write_text('{"vertical_degrees": "wide"}')
    (tmp_path / "b.json").write_text('{"vertical_degrees": "70.5", "split": 0}')
    first, second = list_source(str(tmp_path))
    assert check_entry(first, Ingest()).reason.startswith("a.json: vertical_degrees 'wide' is not a number")
    assert (second.problem, second.split, second.metadata) == ("", "0", {"vertical_degrees": 70.5})


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda root: root / "nowhere" / "deep", "there is no such folder or file"),
        (lambda root: root / "empty", "the folder is empty; if a disk or share belongs there, mount it"),
        (lambda root: root / "other", "no panoramas found among 2 files; .* 1 .insp"),
        (lambda root: root / "other" / "notes.txt", "lists of this kind are not read"),
        (lambda root: root / "other" / "x.insp", "it is one file, no folder and no list"),
        (lambda root: root / "other" / "*.png", "0 files match this pattern"),
        (lambda root: root / "nowhere.csv", "there is no such list"),
        (lambda root: root / "folder.csv", "the folder is empty"),
        (lambda root: f"zip://x.png::{root}/gone.zip", r"there is no such file or folder \(FileNotFoundError: .*gone\.zip"),
        (lambda root: "ftp://127.0.0.1:9/x", r"its server cannot be reached \(ConnectionRefusedError"),
        (lambda root: root / "pipe", "is a pipe or device"),
    ],
)
def test_each_way_of_there_being_nothing_has_its_message(tmp_path: Path, make, told: str) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "empty").mkdir()
    (tmp_path / "folder.csv").mkdir()
    os.mkfifo(tmp_path / "pipe")
    filled(tmp_path / "other", "notes.txt", "x.insp")
    with pytest.raises(SourceError, match=told):
        list_source(str(make(tmp_path)))


def test_a_data_sets_root_that_is_a_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="is a file, and a data set is a folder"):
        list_entries(Source(kind="structured3d", url=filled(tmp_path, "x") + "/x"))


def is_to_be_read_again(item: Item) -> bool:
    """What :func:`tasks.ingest.ingest.scan` asks of an item whose file has the size and the time that it had."""
    return _again(False, Ingest(), item)


def test_a_folder_without_rights_does_not_pass_for_an_empty_one() -> None:
    """As another user where the tests run as root, who may read anything."""
    user = os.geteuid()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        filled(folder, "a.jpg", "closed/b.jpg", "lost+found/c.jpg")
        (folder / "file.jpg").write_bytes(b"x")
        for closed in ("closed", "lost+found", "file.jpg"):
            (folder / closed).chmod(0o000)
        try:
            if user == 0:
                os.seteuid(65534)
            with pytest.raises(SourceError, match=r"closed cannot be listed \(Permission denied\); give the user"):
                list_source(name)
            os.seteuid(user)
            (folder / "closed").chmod(0o755)
            if user == 0:
                os.seteuid(65534)
            entries = list_source(name)
            assert [entry.item for entry in entries] == ["a", "closed/b", "file"]
            given_up = check_entry(entries[2], Ingest())
            assert given_up.reason.startswith("may not be read by the user who runs this (Permission denied); give the right")
            assert not is_to_be_read_again(given_up)
            os.seteuid(user)
            (folder / "file.jpg").chmod(0o644)
            (folder / "closed").chmod(0o000)
            if user == 0:
                os.seteuid(65534)
            assert is_to_be_read_again(given_up)
            with pytest.raises(SourceError, match=r"may not be entered by the user who runs this \(Permission denied\)"):
                list_source(f"{name}/closed/deep")
        finally:
            os.seteuid(user)
            for closed in ("closed", "lost+found"):
                (folder / closed).chmod(0o755)


def test_buckets_tell_what_is_wrong_with_them() -> None:
    with s3_bucket("there") as bucket:
        with pytest.raises(SourceError, match="the bucket or folder is empty, or the URL is wrong"):
            list_source(f"{bucket}/nothing")
        with pytest.raises((SourceError, StoreError), match=r"no such bucket|the bucket or folder is empty"):
            list_source("s3://not-there-at-all/x")


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The URL of a folder on a web server that lists it."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def test_a_folder_of_a_web_server_is_a_source_and_its_changes_are_seen(tmp_path: Path) -> None:
    filled(tmp_path / "set", "a.jpg", "deep/b.jpg")
    with served(tmp_path) as url:
        before = {entry.item: entry.stamp for entry in list_source(f"{url}/set/")}
        assert list(before) == ["a", "deep/b"]
        assert all(before.values())
        (tmp_path / "set/a.jpg").write_bytes(b"y")
        os.utime(tmp_path / "set/a.jpg", (2_000_000_000, 2_000_000_000))
        after = {entry.item: entry.stamp for entry in list_source(f"{url}/set/")}
        assert before["a"] != after["a"]
        assert before["deep/b"] == after["deep/b"]
        with pytest.raises(SourceError, match="the server gives no listing"):
            list_source(f"{url}/nothing/")


def test_a_rewrite_within_one_second_is_seen(tmp_path: Path) -> None:
    filled(tmp_path, "a.jpg")
    os.utime(tmp_path / "a.jpg", ns=(1_700_000_000_100_000_000,) * 2)
    (before,) = list_source(str(tmp_path))
    os.utime(tmp_path / "a.jpg", ns=(1_700_000_000_100_000_001,) * 2)
    (after,) = list_source(str(tmp_path))
    assert before.stamp != after.stamp


@pytest.mark.parametrize(
    "about",
    [
        {"ETag": '"1"', "LastModified": "x"},
        {"etag": "1", "last_modified": "x", "content_settings": {}},
        {"md5Hash": "1", "updated": "x"},
        {"Last-Modified": "x"},
        {"Content-MD5": "x"},
        {"sha": "1", "mode": "100644"},
        {"blob_id": "1", "last_commit": None},
        {"CRC": 7, "date_time": (2026, 1, 1, 0, 0, 0)},
        {"mtime": 0},
        {"modify": "20260101"},
        {"created": "x"},
    ],
)
def test_each_stores_words_are_understood(about: dict) -> None:
    assert stamp_of({"name": "a", "size": 1, "type": "file", **about})


def test_source_allow_reaches_links_of_folders_and_data_sets(tmp_path: Path) -> None:
    filled(tmp_path / "elsewhere", "a.jpg")
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.jpg").symlink_to(tmp_path / "elsewhere/a.jpg")
    assert len(look_at(Source(url=str(tmp_path / "in"), allow=(str(tmp_path / "elsewhere"),))).entries) == 1
    room = tmp_path / "set/scene_00000/2D_rendering/r/panorama/full"
    room.mkdir(parents=True)
    (room / "rgb_rawlight.png").symlink_to(tmp_path / "elsewhere/a.jpg")
    source = {"kind": "structured3d", "root": str(tmp_path / "set")}
    with pytest.raises(SourceError, match=r"source\.allow"):
        look_at(Source.model_validate(source))
    assert len(look_at(Source.model_validate({**source, "allow": [str(tmp_path / "elsewhere")]})).entries) == 1
    assert json.loads(Source.model_validate(source).model_dump_json())["allow"] == []


@pytest.mark.parametrize(
    "empty", ['{"vertical_degrees": null, "x": 1}', '{"vertical_degrees": "", "x": 1}', '{"vertical_degrees": NaN, "x": 1}']
)
def test_what_is_missing_in_a_sidecar_is_missing(tmp_path: Path, empty: str) -> None:
    filled(tmp_path, "a.jpg")
    (tmp_path / "a.json").write_text(empty)
    found = look_at_source(str(tmp_path))
    assert [(entry.metadata, entry.problem) for entry in found.entries] == [({"x": 1}, "")]
    assert found.notes == ()


@pytest.mark.parametrize(
    ("odd", "told"),
    [
        ('"x": [NaN]', "a.json: x [nan] has no form in JSON"),
        ('"split": true', "a.json: split True is neither text nor a whole number"),
        ('"x": 1, "x": 2', "a.json: x is there twice; remove one"),
        ('"x": {"y": 1, "y": 2}', "has no form in JSON (it has a key twice)"),
        ('"split": "test", "split": "train"', "a.json: split is there twice"),
    ],
)
def test_an_odd_value_in_a_sidecar_costs_its_key_and_is_told(tmp_path: Path, odd: str, told: str) -> None:
    filled(tmp_path, "a.jpg")
    (tmp_path / "a.json").write_text(f'{{"vertical_degrees": 70, {odd}}}')
    found = look_at_source(str(tmp_path))
    assert [(entry.metadata, entry.split, entry.problem) for entry in found.entries] == [({"vertical_degrees": 70.0}, "", "")]
    assert any(note.startswith("1 values in JSON files beside images are left out") and told in note for note in found.notes)


def test_a_number_that_a_sidecar_states_twice_costs_its_item(tmp_path: Path) -> None:
    filled(tmp_path, "a.jpg")
    (tmp_path / "a.json").write_text('{"vertical_degrees": 70, "vertical_degrees": 80}')
    (entry,) = list_source(str(tmp_path))
    assert entry.problem == "a.json: vertical_degrees is there twice; remove one"


@pytest.mark.parametrize(
    ("name", "item"),
    [("two\nlines.jpg", "two%0Alines"), ("back\\slash.jpg", "back%5Cslash"), (os.fsdecode(b"latin\xf6.jpg"), None)],
)
def test_a_name_that_no_item_can_have_costs_its_file_only(tmp_path: Path, name: str, item: str | None) -> None:
    filled(tmp_path, "a.jpg", name)
    source = source_of(load(write_pipeline(tmp_path / "other", 1, source={"url": str(tmp_path / "*.jpg")})))
    first, second = scan(source).to_read
    assert (first.item, first.problem) == ("a", "")
    assert item in (None, second.item)
    given_up = check_entry(second, Ingest())
    assert "rename the file" in given_up.reason
    save(source, [], [given_up])
    assert [entry.item for entry in scan(source).to_read] == ["a"], "it is known, and not read again"


def test_keys_of_buckets_that_no_item_can_have_cost_their_file_only() -> None:
    files = filesystem("memory://")[0]
    for key in ("a.png", "dir//dd.png", "b::c.png"):
        files.pipe_file(f"/keys/pre/{key}", b"x")
    found = {entry.item: entry.problem for entry in list_source("memory:///keys/pre")}
    assert found.keys() == {"a", "b::c", "dir%2F%2Fdd"}
    assert [item for item, problem in found.items() if problem] == ["dir%2F%2Fdd"]


def test_a_source_that_is_empty_text_is_refused() -> None:
    for url in ("", " "):
        with pytest.raises(ValueError, match=r"is empty; name a folder"):
            Source(url=url)
        with pytest.raises(SourceError, match=r"is empty; name a folder"):
            survey(url)


def test_a_link_that_leads_nowhere_costs_its_own_item(tmp_path: Path) -> None:
    filled(tmp_path, "a.jpg")
    (tmp_path / "dangling.jpg").symlink_to("/nowhere/else.jpg")
    found = {entry.item: entry.problem for entry in look_at_source(str(tmp_path)).entries}
    assert found["a"] == ""
    assert "the link leads to /nowhere/else.jpg, which is not there" in found["dangling"]
