"""A run that ends in the middle of ingest has not read in vain, and what comes of the next one is as if nothing had happened."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from flows.plan import make_plan
from flows.running.files.groups import file_groups
from storage.manifest import read_manifest
from tasks.ingest import ingest
from tasks.ingest.check import check
from tasks.ingest.entries import Entry
from tests.support.gate import Gate, listed
from tests.support.pipelines import load, write_panoramas, write_pipeline
from tests.support.processes import until
from tests.support.stages import source_of

FILES = 100
"""Four groups of 25, of which two are in flight."""
RUN = """
import sys
from pathlib import Path
from flows.running.drain import draining_in_flow, draining_on_signals
from prefect import flow
from configs.trial import WHOLE
from flows.running.files.reading import reading_of
from flows.running.workers import start_workers
from flows.telling.lineage_events import RunEvents
from tests.support.pipelines import load
config = load(Path(sys.argv[1]), execution__runner__workers=2)
@flow
def reading():
    with draining_in_flow(), start_workers(config.execution.runner) as workers:
        found = reading_of(config, {}, False, WHOLE, RunEvents(config, "reading"), workers)
        while not found.over:
            found.go_on()
            if not found.ready:
                found.refuse_end()
            found.place()
with draining_on_signals():
    reading()
"""


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    with listed(tmp_path, FILES, "p30.png") as gate:
        yield gate


def start(path: Path, prefect_api: str) -> subprocess.Popen[bytes]:
    with (path.parent / "stderr").open("a") as errors:
        environment = {**os.environ, "PREFECT_API_URL": prefect_api}
        return subprocess.Popen([sys.executable, "-c", RUN, str(path)], stdout=errors, stderr=errors, env=environment)


@pytest.mark.fault("A run ends in the middle of ingest", expected="what was read is kept; the manifest is that of one run")
@pytest.mark.parametrize(
    "number",
    [signal.SIGKILL, *(pytest.param(one, marks=pytest.mark.slow) for one in (signal.SIGINT, signal.SIGTERM))],
    ids=lambda number: number.name,
)
def test_what_was_read_is_not_read_again(
    number: signal.Signals, tmp_path: Path, prefect_api: str, gate: Gate, seen: Callable[[str], None]
) -> None:
    path = write_pipeline(tmp_path, 1, source={"url": str(tmp_path / "list.csv")})
    run = start(path, prefect_api)
    until(gate.reached.is_set, run, folder=tmp_path)
    parts = tmp_path / "store" / "stages" / "ingest"
    until(lambda: len(list(parts.rglob("*.parts/*.parquet"))) >= 1, run, folder=tmp_path)  # p30 is in the second group
    run.send_signal(number)
    if number != signal.SIGKILL:
        until(lambda: "blocks in work are being finished" in (tmp_path / "stderr").read_text(), run, folder=tmp_path)
    else:
        run.wait(60)
    gate.open.set()
    assert run.wait(120) != 0
    if number != signal.SIGKILL:
        assert "stopped at stage ingest; files that were read need not be read again" in (tmp_path / "stderr").read_text()
    config = load(path)
    stage = source_of(config)
    placed = read_manifest(ingest.manifest_url(stage))
    kept = FILES - len(ingest.scan(stage).to_read)
    assert 25 <= kept < FILES
    assert len(placed) <= 2 * (kept // 2), "whole blocks alone have their places before all is read"
    assert make_plan(config).as_json()["stages"][0]["items"] == FILES - kept
    before = Counter(gate.read)
    assert start(path, prefect_api).wait(120) == 0, (tmp_path / "stderr").read_text()
    again = [name for name in gate.read if before[name] and gate.read[name] > before[name]]
    assert len(again) <= (50 if number == signal.SIGKILL else 0), "at most the groups that were in work"
    manifest = Path(ingest.manifest_url(stage)).read_bytes()
    assert not list(parts.rglob("*.parts/*.parquet"))
    assert {(one.item, one.block, one.slot) for one in placed} <= {
        (one.item, one.block, one.slot) for one in read_manifest(ingest.manifest_url(stage))
    }

    undisturbed = write_pipeline(tmp_path / "other", 1, source={"url": str(tmp_path / "list.csv")})
    assert start(undisturbed, prefect_api).wait(120) == 0
    assert Path(ingest.manifest_url(source_of(load(undisturbed)))).read_bytes() == manifest
    seen(f"{kept} of {FILES} files kept; {len(again)} read twice; the manifest is byte-identical")


def test_a_damaged_part_counts_as_none_and_a_changed_file_is_read_again(tmp_path: Path) -> None:
    stage = source_of(load(write_pipeline(tmp_path, 4)))
    scan = ingest.scan(stage)
    ingest.keep(stage, [check(entry, stage.settings) for entry in scan.to_read[:2]])
    ingest.keep(stage, [check(entry, stage.settings) for entry in scan.to_read[2:3]])
    assert [entry.item for entry in ingest.scan(stage).to_read] == ["p03"]
    os.utime(tmp_path / "images" / "p00.png", (1, 1))
    assert [entry.item for entry in ingest.scan(stage).to_read] == ["p00", "p03"]
    for part in (tmp_path / "store").rglob("*.parts/*.parquet"):
        part.write_bytes(part.read_bytes()[:-9])
    assert [entry.item for entry in ingest.scan(stage).to_read] == ["p00", "p01", "p02", "p03"]


def test_rehash_reads_everything_and_finds_what_no_stamp_tells(tmp_path: Path) -> None:
    path = write_pipeline(tmp_path, 3)
    stage = source_of(load(path))
    scan = ingest.scan(stage)
    before = ingest.save(stage, [], [check(entry, stage.settings) for entry in scan.to_read])
    picture = tmp_path / "images" / "p01.png"
    about, data = picture.stat(), picture.read_bytes()
    other = bytes([*data[:-20], *(tmp_path / "images" / "p01.png").read_bytes()[-20:]])
    write_panoramas(tmp_path / "more", ["q"])
    other = (tmp_path / "more" / "q.png").read_bytes()
    size = max(len(data), len(other))
    picture.write_bytes(data.ljust(size, b"\0"))
    os.utime(picture, ns=(about.st_atime_ns, about.st_mtime_ns))
    known = ingest.save(stage, before, [check(entry, stage.settings) for entry in ingest.scan(stage).to_read])
    picture.write_bytes(other.ljust(size, b"\0"))
    os.utime(picture, ns=(about.st_atime_ns, about.st_mtime_ns))
    assert not ingest.scan(stage).to_read, "the stamp says nothing"

    rehash = source_of(load(path, ingest__rehash=True))
    assert rehash.identity == stage.identity
    scan = ingest.scan(rehash)
    assert [entry.item for entry in scan.to_read] == ["p00", "p01", "p02"]
    assert make_plan(load(path, ingest__rehash=True)).stages[0].reasons == ("files to read again (ingest.rehash): p00, p01, p02",)
    of = {item.item: item for item in scan.known}
    after = ingest.save(rehash, scan.known, [check(entry, rehash.settings, of[entry.item]) for entry in scan.to_read])
    changed = [one.item for one, two in zip(known, after, strict=True) if one.digest != two.digest]
    assert changed == ["p01"]
    assert [(one.block, one.slot) for one in known] == [(two.block, two.slot) for two in after]
    assert [one for one in known if one.item != "p01"] == [two for two in after if two.item != "p01"]


def test_where_a_store_tells_nothing_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = load(write_pipeline(tmp_path, 2))
    assert not ingest.scan(source_of(config)).notes
    monkeypatch.setattr("tasks.ingest.folders.plain_entries", lambda base, names: (ingest.Entries.made_of([]), list(names)))
    monkeypatch.setattr("tasks.ingest.folders.stamp_of", lambda about: "")
    (note,) = make_plan(config).notes
    assert re.match("changes of 2 files cannot be seen, .* --set ingest.rehash=true", note)


def test_groups_hold_many_files_but_not_too_many_bytes() -> None:
    def sizes(files: int, size: int, window: int = 4) -> list[int]:
        return [len(group) for group in file_groups([Entry(str(n), str(n), size, "") for n in range(files)], window)]

    assert sizes(5, 10) == [5]
    assert sizes(100_000, 1000)[:2] == [256, 256]
    assert sum(sizes(1000, 1000)) == 1000
    assert sizes(200, 1000) == [25] * 8
    assert max(sizes(10_000, 50_000_000)) == 10, "half a gigabyte"
    assert sizes(3, 1 << 40) == [1, 1, 1]
    assert sizes(0, 1) == []
