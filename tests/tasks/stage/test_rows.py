"""Row keys: each thing that a row is made of changes its key, and nothing else does; and where known rows are found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from models.teachers import facts_read
from scenes.teacher import CAPTURE
from storage.fingerprint import Identity
from storage.items import Block, Item
from storage.receipts import Receipt
from storage.rows import ItemRow
from tasks.catalogue import KINDS, kind_named
from tasks.stage.kind import Edge, Facts, Inputs, Kind, Nothing, Stage
from tasks.stage.reuse import rows
from tasks.stage.reuse.rows import facts_of, known_rows, row_keys

ITEM = Item(
    "a",
    "/a.png",
    "d" * 64,
    32,
    64,
    9,
    "then",
    "train",
    0,
    0,
    metadata={"position": [0, 1], "camera": "x"},
    figures={"observed": 0.5},
)


def declaring(*facts: str) -> Callable[[Any, Inputs], Facts]:
    return lambda _settings, _inputs: facts


def stage(name: str = "label", kind: Kind | None = None, version: str = "1", **inputs: Stage) -> Stage:
    own = kind or Kind(name, version, Nothing, {}, "labels", facts=declaring("name", "metadata.position"))
    identity = Identity(name, version, upstream={one.name: one.identity.fingerprint for one in inputs.values()})
    return Stage(name, own, Nothing(), {key: (one,) for key, one in inputs.items()}, identity, "store")


def key(of: Stage, item: Item = ITEM) -> str:
    (found,) = row_keys(of, [item])
    return found


@pytest.mark.parametrize(
    "changed",
    [{"digest": "e" * 64}, {"item": "b"}, {"metadata": {"position": [0, 2], "camera": "x"}}, {"metadata": {"camera": "x"}}],
    ids=["pixels", "name", "declared value", "declared value gone"],
)
def test_what_a_row_is_made_of_changes_its_key(changed: dict[str, Any]) -> None:
    assert key(stage()) not in ("", key(stage(), replace(ITEM, **changed)))


def test_the_fingerprint_changes_the_key() -> None:
    assert key(stage()) != key(stage(version="2"))


def test_a_model_that_was_read_changes_the_key_of_its_reader_and_of_what_reads_that(monkeypatch: pytest.MonkeyPatch) -> None:
    model = stage("train", Kind("train", "1", Nothing, {}, "model", grain="all"))
    predict = stage("predict", model=model)
    evaluate = stage("evaluate", labels=predict)
    before = key(predict), key(evaluate)
    monkeypatch.setattr(rows, "models_now", lambda _stage: {"model": "made anew"})
    assert key(predict) not in ("", before[0])
    assert key(evaluate) not in ("", before[1])


@pytest.mark.parametrize(
    "changed",
    [
        {"metadata": {"position": [0, 1], "camera": "y"}},
        {"metadata": {"position": [0, 1], "camera": "x", "new": 1}},
        {"uri": "/moved/a.png", "stamp": "now", "size": 10},
        {"split": "val"},
        {"block": 7, "slot": 3},
    ],
    ids=["other value", "new column", "place and time", "split", "block"],
)
def test_what_is_not_declared_does_not_change_the_key(changed: dict[str, Any]) -> None:
    assert key(stage()) == key(stage(), replace(ITEM, **changed))


def test_a_kind_that_declares_nothing_reads_the_name_and_all_metadata() -> None:
    silent = stage(kind=Kind("label", "1", Nothing, {}, "labels"))
    for changed in ({"item": "b"}, {"metadata": {**ITEM.metadata, "new": 1}}):
        assert key(silent) != key(silent, replace(ITEM, **changed))  # type: ignore[arg-type]


def test_what_an_earlier_stage_reads_of_an_item_is_read_by_those_after_it() -> None:
    first = stage("first", Kind("first", "1", Nothing, {}, "views", facts=declaring("name")))
    second = stage("second", Kind("second", "1", Nothing, {}, "labels", facts=declaring()), views=first)
    assert facts_of(second) == ("name",)
    assert key(second) != key(second, replace(ITEM, item="b"))


@pytest.mark.parametrize("changed", [{"reason": "torn"}, {"digest": ""}, {"uri": ""}], ids=["given up", "not read", "no file"])
def test_what_cannot_be_known_has_no_key(changed: dict[str, Any]) -> None:
    assert key(stage(), replace(ITEM, **changed)) == ""


@pytest.mark.parametrize("grain", ["all", "derived"])
def test_a_row_that_depends_on_other_items_has_no_key(grain: Any) -> None:
    whole = stage("whole", Kind("whole", "1", Nothing, {"x": Edge("y")}, "thresholds", grain=grain))
    reader = stage("reader", thresholds=whole)
    assert [key(one) for one in (whole, reader, stage("last", labels=reader))] == ["", "", ""]


def test_a_fact_that_there_is_not_is_told() -> None:
    odd = stage(kind=Kind("label", "1", Nothing, {}, "labels", facts=declaring("uri")))
    with pytest.raises(
        ValueError, match=r"stage label: 'uri' is no fact of an item; declare `name`, `metadata` or `metadata\.KEY`"
    ):
        key(odd)


def test_networks_read_pixels_and_the_scenes_what_a_capture_says() -> None:
    assert facts_read("transformers") == facts_read("onnx") == facts_read("litert") == ()
    assert set(facts_read("scenes")) == {"name", *(f"metadata.{one}" for one in CAPTURE)}
    assert facts_read("tests.support.counting_teacher:load") == ()
    assert facts_read("tests.support.brightness:load") == ("name", "metadata"), "it declares nothing"


def test_every_kind_that_reads_panoramas_says_what_else_it_reads() -> None:
    decoding = [kind_named(name) for name in KINDS if "panoramas" in kind_named(name).reads]
    default = Kind.__dataclass_fields__["facts"].default
    assert [kind.name for kind in decoding if kind.make and kind.grain == "block" and kind.facts is default] == []


def receipt(name: str, keys: list[str], started: float = 0.0, **more: Any) -> Receipt:
    done = tuple(ItemRow(f"{name} {slot}", "done" if own else "quarantined", key=own) for slot, own in enumerate(keys))
    given = {"files": {}, "about": {"unit": "metre"}, **more}
    return Receipt("label", "f", name, done, made={"started": started}, **given)


def found(*receipts: Receipt, items: int = 2, number: int = 1) -> dict[int, tuple[str, int]]:
    block = Block(number, tuple(replace(ITEM, item=f"p{slot}") for slot in range(items)))
    copies = known_rows(stage(), [block], {one.block: one for one in receipts})
    return dict(copies.get(block.name, {}))


@pytest.fixture
def keys() -> list[str]:
    return row_keys(stage(), [replace(ITEM, item=f"p{slot}") for slot in range(2)])


def test_known_rows_come_from_the_block_of_the_same_number_that_was_made_last(keys: list[str]) -> None:
    near, older, far = receipt("000001-b", keys, 2.0), receipt("000001-a", keys, 1.0), receipt("000000-c", keys, 3.0)
    assert found(far, older, near) == {0: ("000001-b", 0), 1: ("000001-b", 1)}
    assert found(far, older) == {0: ("000001-a", 0), 1: ("000001-a", 1)}
    assert found(receipt("000000-c", ["", keys[1]])) == {1: ("000000-c", 1)}


def test_rows_without_a_key_or_of_files_of_their_own_are_never_copied(keys: list[str]) -> None:
    assert found(receipt("000001-a", ["", ""])) == {}
    own = {"pool.json": {"bytes": 1, "sha256": "0" * 64}}
    assert found(receipt("000001-a", keys, files=own)) == {}


def test_a_block_copies_only_from_blocks_that_say_the_same_of_their_outputs(keys: list[str]) -> None:
    other = receipt("000000-b", ["", keys[1]], about={"unit": "scale"})
    assert found(receipt("000001-a", [keys[0], ""]), other) == {0: ("000001-a", 0)}


def test_a_block_that_is_owed_itself_is_a_source_for_itself_alone(keys: list[str]) -> None:
    block, other = (Block(index, tuple(replace(ITEM, item=f"p{slot}") for slot in range(2))) for index in (1, 2))
    found = known_rows(stage(), [block, other], {block.name: receipt(block.name, keys)})
    assert found == {block.name: {0: (block.name, 0), 1: (block.name, 1)}}
