"""Items never move; new items make new blocks; names that would collide are refused."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.items import Item, blocks_of
from storage.manifest import ManifestError, place, read_manifest, write_manifest


def item(name: str, digest: str = "d", **more: object) -> Item:
    return Item(name, f"/data/{name}.jpg", digest, 512, 1024, 100, "1", **more)  # type: ignore[arg-type]


@given(st.lists(st.lists(st.integers(0, 30), max_size=12), max_size=5), st.integers(1, 7))
def test_items_never_move_and_blocks_are_never_reopened(batches: list[list[int]], block_size: int) -> None:
    known: list[Item] = []
    for batch in batches:
        before = {one.item: (one.block, one.slot) for one in known}
        closed = {block.index: block.name for block in blocks_of(known)}
        fresh = [item(f"{number:03d}") for number in set(batch) if f"{number:03d}" not in before]
        known = place(known, fresh, block_size)
        after = {one.item: (one.block, one.slot) for one in known}
        assert all(after[name] == place_before for name, place_before in before.items())
        assert len(set(after.values())) == len(after)
        assert all(block.name == closed[block.index] for block in blocks_of(known) if block.index in closed)
        assert all(len(block.items) <= block_size for block in blocks_of(known))


def test_a_changed_file_keeps_its_place_and_renames_its_block() -> None:
    known = place([], [item("a"), item("b"), item("c")], 2)
    changed = place(known, [item("b", digest="other")], 2)
    before, after = blocks_of(known), blocks_of(changed)
    assert [one.item for one in after[0].items] == ["a", "b"]
    assert before[0].name != after[0].name
    assert before[1].name == after[1].name


def test_a_quarantined_item_takes_no_place_and_gets_one_when_mended() -> None:
    known = place([], [item("a"), item("b", reason="broken")], 2)
    assert [[one.item for one in block.items] for block in blocks_of(known)] == [["a"]]
    mended = place(known, [item("b", digest="good")], 2)
    assert [[one.item for one in block.items] for block in blocks_of(mended)] == [["a"], ["b"]]


@pytest.mark.parametrize(("one", "other"), [("Room", "room"), ("caf\u00e9", "cafe\u0301")])
def test_names_equal_but_for_case_or_unicode_form_are_refused(one: str, other: str) -> None:
    with pytest.raises(ManifestError, match="same name"):
        place([], [item(one), item(other)], 4)


def test_a_manifest_survives_the_round_trip(tmp_path: Path) -> None:
    items = place([], [item("a", split="train", metadata={"position": [1.0, 2.0]}), item("b", reason="empty")], 4)
    url = str(tmp_path / "deep" / "manifest.parquet")
    write_manifest(url, items)
    assert read_manifest(url) == items
    assert read_manifest(str(tmp_path / "none.parquet")) == []


def test_columns_of_a_newer_version_are_kept_when_items_are_added(tmp_path: Path) -> None:
    url = str(tmp_path / "manifest.parquet")
    known = place([], [item("a"), item("b")], 2)
    write_manifest(url, known)
    pq.write_table(pq.read_table(url).append_column("pixels", pa.array(["x", "y"])), url)
    assert read_manifest(url) == known
    grown = place(known, [item("c"), item("Z")], 2)
    write_manifest(url, grown)
    assert read_manifest(url) == grown
    table = pq.read_table(url)
    assert dict(zip(table["item"].to_pylist(), table["pixels"].to_pylist())) == {"a": "x", "b": "y", "c": None, "Z": None}


def test_a_manifest_that_lacks_a_column_is_no_manifest(tmp_path: Path) -> None:
    url = str(tmp_path / "manifest.parquet")
    write_manifest(url, place([], [item("a")], 2))
    pq.write_table(pq.read_table(url).drop_columns(["digest"]), url)
    with pytest.raises(ManifestError, match="its columns are"):
        read_manifest(url)
