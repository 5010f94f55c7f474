"""Versions in an Icechunk repository, on a local disk and on an S3 server: what readers see, and who is refused."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import icechunk
import pytest
import zarr
from numpy.typing import NDArray

from storage.published import open_published
from storage.published import plain as published
from storage.published.icechunk import PublishConflict, _commit, is_published, point_at, versions
from storage.published.repository import CREATION, FIRST_FILE, open_repository
from storage.retries import StoreError
from storage.urls import exists, files_below, is_local, join, write_bytes
from tests.support.flaky_proxy import FlakyProxy, flaky_bucket
from tests.support.object_store import s3_bucket
from tests.support.publications import labels, put, shows


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    with s3_bucket("published") as url:
        yield url


@pytest.fixture(params=["local", "s3"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    root = str(tmp_path) if request.param == "local" else request.getfixturevalue("bucket")
    return join(root, request.node.name.partition("[")[0], "demo.icechunk")


def told(url: str) -> list[tuple[str, bool]]:
    return [(one["version"], one["latest"]) for one in versions(url)]


def contents(group: zarr.Group) -> dict[str, tuple]:
    return {name: (array[:].tolist(), array.metadata.to_dict()) for name, array in group.arrays()}


def test_every_version_is_a_tagged_snapshot_and_readers_keep_theirs(url: str, tmp_path: Path) -> None:
    assert (versions(url), is_published(url, "a"), exists(url)) == ([], False, False)
    with pytest.raises(FileNotFoundError, match="nothing is published there"):
        open_published(url)
    put(url, "a")
    reader = open_published(url)
    put(url, "b", count=5)
    assert (is_published(url, "a"), is_published(url, "b"), is_published(url, "c")) == (True, True, False)
    assert shows(reader, "a")
    assert shows(open_published(url), "b", 5)
    assert shows(open_published(url, "a"), "a")
    with pytest.raises(FileNotFoundError, match="no version c"):
        open_published(url, "c")
    with pytest.raises(icechunk.IcechunkError, match="read-only"):
        reader["depth"][0] = 0
    put(str(tmp_path / "plain"), "b", count=5, kind=published)
    plain, group = open_published(str(tmp_path / "plain"), "b"), open_published(url)
    assert {**group.attrs, "created": ""} == {**plain.attrs, "created": ""}
    assert contents(group) == contents(plain)


def test_metadata_of_the_commits_says_what_was_published(tmp_path: Path) -> None:
    url = str(tmp_path / "demo.icechunk")
    put(url, "a")
    put(url, "b", count=5)
    repository = icechunk.Repository.open(icechunk.local_filesystem_storage(url))
    history = list(repository.ancestry(branch="main"))
    assert [one.metadata.get("version") for one in history] == ["b", "a", None]
    assert {tag: repository.lookup_tag(tag) for tag in repository.list_tags()} == {"b": history[0].id, "a": history[1].id}
    about = history[0].metadata
    assert (about["panoramas"], about["run"], about["fingerprints"]) == (5, "run-b", {"fuse": "f-b"})
    chunks = sum(path.stat().st_size for path in (tmp_path / "demo.icechunk/chunks").iterdir())
    assert sum(one["bytes"] for one in versions(url)) == pytest.approx(chunks, rel=0.02)  # Icechunk keeps tiny ones elsewhere


def test_an_older_version_becomes_the_latest_again(tmp_path: Path) -> None:
    url = str(tmp_path / "demo.icechunk")
    put(url, "a")
    put(url, "b")
    before = set(files_below(url))
    point_at(url, "a")
    assert told(url) == [("a", True), ("b", False)]
    assert set(files_below(url)) == before, "nothing was written anew"
    put(url, "c")
    assert told(url) == [("a", False), ("b", False), ("c", True)]
    assert shows(open_published(url, "b"), "b")


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_readers_in_other_processes_read_or_are_told(tmp_path: Path, method: str) -> None:
    url = str(tmp_path / "demo.icechunk")
    put(url, "a")
    group = open_published(url)
    context = multiprocessing.get_context(method)
    answers = context.Queue()
    process = context.Process(
        target=report, args=(group, answers), daemon=True
    )  # a fork inherits the group, a spawn unpickles it
    process.start()
    answer = answers.get(timeout=60)
    process.join(60)
    assert ("multiprocessing_context" if method == "fork" else "depth as published") in answer


def report(group: zarr.Group, answers: Any) -> None:
    """Tell what reading gives in this process."""
    try:
        answers.put("depth as published" if shows(group, "a") else "other values")
    except RuntimeError as error:
        answers.put(str(error))


def test_versions_that_icechunk_expired_may_come_again(tmp_path: Path) -> None:
    url = str(tmp_path / "demo.icechunk")
    put(url, "a")
    old = datetime.now(UTC)
    put(url, "b")
    repository = open_repository(url)
    assert repository is not None
    repository.expire_snapshots(old, delete_expired_tags=True)
    assert repository.garbage_collect(old).chunks_deleted > 0
    assert told(url) == [("b", True)]
    assert shows(open_published(url), "b")
    put(url, "a")
    put(url, "c")
    assert told(url) == [("b", False), ("a", False), ("c", True)]
    assert shows(open_published(url, "a"), "a")


def test_the_slower_one_of_two_publishers_is_refused(url: str) -> None:
    put(url, "a")

    def overtaken() -> Iterator[Mapping[str, NDArray]]:
        yield from labels("slow")
        put(url, "fast")

    with pytest.raises(PublishConflict, match="Publish from one place at a time"):
        put(url, "slow", items=overtaken())
    assert told(url) == [("a", False), ("fast", True)]
    assert shows(open_published(url), "fast")
    put(url, "slow")
    assert shows(open_published(url), "slow")


def test_of_commits_at_the_same_moment_none_is_lost(url: str) -> None:
    put(url, "a")
    moment, kept, refused = threading.Barrier(4, timeout=60), [], []

    def publisher(number: int) -> None:
        for turn in range(5):
            moment.wait()
            repository = open_repository(url)
            assert repository is not None
            session = repository.writable_session("main")
            zarr.open_group(session.store, mode="a").attrs.put({"version": f"{turn}-{number}"})
            moment.wait()
            try:
                _commit(url, repository, session, {"version": f"{turn}-{number}"})
                kept.append(f"{turn}-{number}")
            except icechunk.ConflictError:
                refused.append(f"{turn}-{number}")

    threads = [threading.Thread(target=publisher, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    repository = open_repository(url)
    assert repository is not None
    history = [one.metadata.get("version") for one in repository.ancestry(branch="main")]
    assert history == [*reversed(kept), "a", None]
    assert (len(kept), len(refused)) == (5, 15)


def test_killed_in_the_middle_readers_stay_with_the_former_version(url: str) -> None:
    put(url, "former")
    command, kills = [sys.executable, "-m", "tests.support.publications", url, "next", "48"], []
    for wanted in (1, 5, 7) if is_local(url) else (5,):  # new files that are there when the kill comes
        held = len(files_below(url))
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            while process.poll() is None and len(files_below(url)) < held + wanted:
                time.sleep(0.001)
            process.send_signal(signal.SIGKILL)
        if told(url) != [("former", True)]:
            break  # it came after the commit
        kills.append(process.returncode)
        assert shows(open_published(url), "former")
    assert set(kills) == {-signal.SIGKILL}, "no kill came in the middle"
    if not is_published(url, "next"):
        put(url, "next", count=48)
    assert told(url) == [("former", False), ("next", True)]
    assert shows(open_published(url), "next", 48)


def test_killed_between_commit_and_tag_the_version_is_not_lost(tmp_path: Path) -> None:
    url = str(tmp_path / "demo.icechunk")
    put(url, "a")
    shutil.rmtree(tmp_path / "demo.icechunk/refs/tag.a")
    assert (is_published(url, "a"), told(url)) == (True, [("a", True)])
    put(url, "b")
    assert told(url) == [("a", False), ("b", True)]
    assert shows(open_published(url, "a"), "a")


def test_killed_while_making_the_repository_it_is_made_anew(tmp_path: Path) -> None:
    url = str(tmp_path / "demo.icechunk")
    put(url, "a")
    for name in files_below(url):
        if name != FIRST_FILE:
            (tmp_path / "demo.icechunk" / name).unlink()
    with pytest.raises(StoreError, match="in a minute"):
        put(url, "b")
    stale = time.time() - CREATION.total_seconds() - 5
    os.utime(join(url, FIRST_FILE), (stale, stale))
    put(url, "b")
    assert told(url) == [("b", True)]


def test_files_of_others_are_left_alone(tmp_path: Path) -> None:
    url = str(tmp_path / "demo.icechunk")
    write_bytes(join(url, "notes.txt"), b"mine")
    with pytest.raises(StoreError, match="clean prefixes"):
        put(url, "a")
    assert list(files_below(url)) == ["notes.txt"]


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[str, FlakyProxy]]:
    with flaky_bucket("flaky-versions") as served:
        yield served


@pytest.mark.parametrize("fault", ["lost", "unavailable"])
def test_a_commit_whose_answer_was_lost_counts(served: tuple[str, FlakyProxy], fault: str) -> None:
    root, proxy = served
    url = join(root, fault, "demo.icechunk")
    put(url, "a")
    broken: list[str] = []

    def choose(_number: int, method: str, path: str) -> str:
        if method != "PUT" or "branch.main" not in path or broken:
            return ""
        broken.append(path)
        return fault

    proxy.choose = choose
    try:
        put(url, "b")
    finally:
        proxy.choose = lambda *_: ""
    assert broken
    assert told(url) == [("a", False), ("b", True)]
    assert shows(open_published(url), "b")


def test_stores_that_cannot_hold_one_are_refused_by_name(bucket: str) -> None:
    with pytest.raises(ValueError, match="local disk or S3"):
        put("memory://published/demo.icechunk", "a")
    with pytest.raises(StoreError, match="no such bucket"):
        put("s3://no-such-bucket/demo.icechunk", "a")
