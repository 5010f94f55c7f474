"""Places that are given while files are read are those that all of them get at once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.items import Item, blocks_of
from storage.manifest import ManifestError, add_placed, parts_url, place, read_manifest, write_manifest
from storage.urls import children
from tasks.ingest.admission import Admission
from tasks.ingest.entries import Entry

NAMES = [f"{letter}{number}" for letter in "ab" for number in range(9)]


def item(name: str, digest: str = "1", reason: str = "") -> Item:
    return Item(name, f"/x/{name}", "" if reason else digest, 4, 8, 9, "s", reason=reason)


def entry(name: str) -> Entry:
    return Entry(name, f"/x/{name}", 9, "t")


@st.composite
def sources(draw: st.DrawFn) -> tuple[list[Item], list[Item], list[Item], int]:
    """Items that are known, those that a stopped run checked, those that are to be read, in the order of reading; block size."""
    states = st.sampled_from(["absent", "known", "bad before", "changed", "checked", "new"])
    said = {name: draw(states) for name in NAMES}
    size = draw(st.integers(1, 4))
    bad = {name: draw(st.booleans()) for name in NAMES}
    old = [
        item(n, reason="no" if said[n] == "bad before" else "") for n in NAMES if said[n] in ("known", "bad before", "changed")
    ]
    read = [item(n, "2", "broken" if bad[n] else "") for n in NAMES if said[n] in ("bad before", "changed", "new")]
    checked = [item(n, "3", "broken" if bad[n] else "") for n in NAMES if said[n] == "checked"]
    return place([], old, size), checked, draw(st.permutations(read)), size


@settings(deadline=None)
@given(source=sources(), data=st.data())
def test_places_do_not_depend_on_when_they_are_given(
    source: tuple[list[Item], list[Item], list[Item], int], data: st.DataObject
) -> None:
    known, checked, to_read, size = source
    whole = place(known, [*checked, *to_read], size)
    admission = Admission(known, checked, [entry(one.item) for one in to_read], size)
    of_all = {block.name for block in blocks_of(whole)}
    taken: list[Item] = []
    while to_read:
        count = data.draw(st.integers(1, len(to_read)))
        admission.note(to_read[:count])
        to_read = to_read[count:]
        if data.draw(st.booleans()):
            blocks = admission.blocks
            now = admission.take()
            assert len({one.block for one in now}) == blocks
            assert not admission.blocks
            taken += now
            assert {block.name for block in blocks_of(admission.settled)} <= of_all, "only whole blocks, by the names they keep"
    admission.take()
    at_once = {one.item: one for one in whole}
    assert all(at_once[one.item] == one for one in [*taken, *admission.settled])
    missing = at_once.keys() - {one.item for one in admission.settled}
    assert len(missing) < size, "all but the last new block, which only those who know that no more comes may close"


@settings(deadline=None)
@given(source=sources())
def test_files_are_read_in_an_order_that_makes_blocks_whole(source: tuple[list[Item], list[Item], list[Item], int]) -> None:
    known, checked, to_read, size = source
    admission = Admission(known, checked, [entry(one.item) for one in to_read], size)
    ordered = [one.item for one in admission.in_order([entry(one.item) for one in to_read])]
    assert sorted(ordered) == sorted(one.item for one in to_read)
    blocks = {one.item: one.block for one in known if one.block >= 0}
    told = [(blocks.get(name, -1) < 0, blocks.get(name, -1), name) for name in ordered]
    assert told == sorted(told)


def test_names_that_would_be_one_are_refused_before_anything_is_read() -> None:
    with pytest.raises(ManifestError, match="'A' and 'a' would get the same name"):
        Admission([item("A")], [], [entry("a")], 2)


def test_a_manifest_knows_what_was_placed_since_it_was_written(tmp_path: Path) -> None:
    url = str(tmp_path / "m.parquet")
    known = place([], [item("a"), item("b")], 2)
    more = [replace(item(name), block=1, slot=slot) for slot, name in enumerate("cd")]
    changed = replace(known[0], digest="9")
    add_placed(url, more)
    assert read_manifest(url) == more, "also where no manifest is written yet"
    write_manifest(url, known)
    add_placed(url, [changed])
    assert read_manifest(url) == [changed, known[1], *more]


def test_of_two_runs_that_place_at_once_one_is_right(tmp_path: Path) -> None:
    url = str(tmp_path / "m.parquet")
    add_placed(url, [replace(item(name), block=0, slot=slot) for slot, name in enumerate("ab")])
    add_placed(url, [replace(item(name), block=0, slot=slot) for slot, name in enumerate("bc")])
    add_placed(url, [replace(item(name), block=2, slot=slot) for slot, name in enumerate("cb")])
    found = read_manifest(url)
    assert len(children(parts_url(url))) == 3
    names = {frozenset(one.item for one in block.items) for block in blocks_of(found)}
    assert names < {frozenset("ab"), frozenset("bc"), frozenset("cb")}
    assert len({one.item for one in found}) == len(found)
    for part in (tmp_path / "m.parts").iterdir():
        part.write_bytes(part.read_bytes()[:-9])
    assert read_manifest(url) == [], "damaged ones count as none"
