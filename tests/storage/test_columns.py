"""Objects in columns are the same objects: asked one by one, as a part, pickled, or by their columns."""

import pickle
import tracemalloc
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.columns import column_of, found_in, places_in
from storage.items import Block, Item, Items, blocks_of
from storage.manifest import place

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=6)
JSON = st.dictionaries(TEXT, st.one_of(st.integers(-9, 9), TEXT, st.lists(st.floats(-1, 1), max_size=2)), max_size=2)


@st.composite
def items(draw: st.DrawFn) -> list[Item]:
    """Items with distinct names and places, in any order; some have no place."""
    names = draw(st.lists(TEXT, unique=True, max_size=12))
    places = draw(st.permutations([(block, slot) for block in range(4) for slot in range(3)]))
    found = []
    for name, (block, slot) in zip(names, places):
        at = (block, slot) if draw(st.booleans()) else (-1, -1)
        told = (draw(TEXT), draw(TEXT), 8, 16, draw(st.integers(0, 2**40)), draw(TEXT), draw(TEXT))
        found.append(Item(name, *told, *at, draw(st.sampled_from(["", "dark"])), draw(JSON), draw(JSON)))
    return found


@settings(deadline=None)
@given(items(), st.data())
def test_objects_in_columns_are_the_same_objects(own: list[Item], data: st.DataObject) -> None:
    columns = Items.made_of(own)
    rows = np.array(data.draw(st.lists(st.integers(0, len(own) - 1), max_size=8)) if own else [], np.int64)
    assert columns == own
    assert own == columns
    assert list(columns) == own
    assert [columns[row] for row in range(-len(own), len(own))] == own + own
    assert columns[1:4] == own[1:4]
    assert columns.take(rows) == [own[row] for row in rows]
    assert columns.take(rows)[1:].names == [own[row].item for row in rows][1:]
    assert columns.plus(columns.take(rows)) == own + [own[row] for row in rows]
    assert columns.without(rows) == [one for row, one in enumerate(own) if row not in rows]
    assert columns.in_order("item") == sorted(own, key=lambda one: one.item)
    assert pickle.loads(pickle.dumps(columns.take(rows))) == [own[row] for row in rows]
    for name in Item.__slots__:
        assert columns.values(name) == column_of(own, name)


@settings(deadline=None)
@given(items())
def test_blocks_in_columns_have_the_items_and_the_names_of_others(own: list[Item]) -> None:
    one_by_one, in_columns = blocks_of(own), Items.made_of(own).blocks
    assert [(block.index, list(block.items), block.name) for block in in_columns] == [
        (block.index, list(block.items), block.name) for block in one_by_one
    ]
    assert all(isinstance(block.items, Items) for block in in_columns)


def _placed_one_by_one(known: list[Item], checked: list[Item], size: int) -> list[Item]:
    """What :func:`place` promises, item by item."""
    merged = {one.item: one for one in known}
    first = max((one.block for one in known), default=-1) + 1
    came = {one.item: one for one in checked}
    new = sorted(name for name, one in came.items() if not one.reason and (name not in merged or merged[name].block < 0))
    for name, one in came.items():
        before = merged.get(name)
        at = (before.block, before.slot) if before else (-1, -1)
        if name in new:
            at = (first + new.index(name) // size, new.index(name) % size)
        merged[name] = replace(one, block=at[0], slot=at[1])
    return [merged[name] for name in sorted(merged)]


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 30), st.booleans()), max_size=25), st.integers(0, 25), st.integers(1, 5))
def test_places_are_those_that_items_get_one_by_one(came: list[tuple[int, bool]], split: int, size: int) -> None:
    read = [
        Item(f"{name:02d}", f"/{row}", f"d{row}", 1, 2, row, "s", reason="dark" * dark) for row, (name, dark) in enumerate(came)
    ]
    before = place([], read[:split], size)
    assert before == _placed_one_by_one([], read[:split], size)
    assert place(before, read[split:], size) == _placed_one_by_one(list(before), read[split:], size)


def test_an_empty_table_has_no_items_and_no_blocks() -> None:
    none = Items.made_of([])
    assert not none
    assert none.blocks == []
    assert none.plus(none) == []
    with pytest.raises(IndexError):
        none[0]


def test_values_are_found_among_others() -> None:
    columns = Items.made_of(Item(name, "", "", 1, 2, 3, "") for name in "badc")
    assert found_in(columns.column("item"), {"a", "d"}).tolist() == [False, True, True, False]
    assert places_in(columns.column("item"), columns.take(np.array([3, 0])).column("item")).tolist() == [1, -1, -1, 0]


def test_a_block_in_columns_takes_a_fraction_of_the_memory() -> None:
    def made(row: int) -> Item:
        more: dict[str, Any] = {"metadata": {"position": [0.0, float(row)]}, "figures": {"observed": row / 1e6}}
        return Item(f"town/{row:07d}", f"/data/town/{row:07d}.jpg", f"{row:064x}", 512, 1024, row, str(row), **more)

    def held(keep: Any) -> int:
        tracemalloc.start()
        kept = keep(made(row) for row in range(20_000))
        size = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        return size + (kept.table.nbytes if isinstance(kept, Items) else 0)

    assert held(Items.made_of) < held(list) / 3


def test_a_block_stays_what_it_was_when_its_items_are_in_columns() -> None:
    own = [Item(f"p{row}", "", "d", 1, 2, 3, "", block=0, slot=row, reason="gone" * (row == 1)) for row in range(3)]
    assert Block(0, Items.made_of(own)).name == Block(0, tuple(own)).name
    assert Block(0, Items.made_of(own)) == Block(0, tuple(own))
