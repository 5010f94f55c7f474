"""A damaged receipt is no receipt, or one that can be used: the block is made again, and no run falls over it."""

import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

from storage.receipts import Receipt, block_url, damage, read_receipt, write_receipt
from storage.rows import ItemRow
from tests.fuzz.support import bounded, corpus, fuzz, mutated
from tests.fuzz.test_fuzz_manifest import JSON

ROWS = [ItemRow("a", "done", "", {"depth_valid": 0.5}), ItemRow("b", "quarantined", "too dark")]
FILES = {"data.zarr/zarr.json": {"bytes": 3, "sha256": "ab" * 32}}
MADE = {"run": "r", "seconds": 1.5, "device": "cpu", "versions": {"torch": "2"}, "python": "3.11"}
RECEIPT = Receipt("fuse", "0" * 16, "000000-abc", ROWS, FILES, {"classes": ["x"]}, MADE)


def written() -> bytes:
    """A receipt as its writer leaves it."""
    with tempfile.TemporaryDirectory() as folder:
        write_receipt(folder, RECEIPT)
        return Path(folder, "receipt.json").read_bytes()


def read(root: str | Path, raw: bytes) -> Receipt | None:
    """What the store makes of a receipt with these bytes in the folder of :data:`RECEIPT`."""
    folder = Path(block_url(str(root), RECEIPT.stage, RECEIPT.fingerprint, RECEIPT.block))
    folder.mkdir(parents=True)
    (folder / "receipt.json").write_bytes(raw)
    return read_receipt(str(folder))


def check(raw: bytes) -> None:
    with tempfile.TemporaryDirectory() as root:
        receipt = read(root, raw)
        if receipt is not None:
            use(root, receipt)


def test_a_sound_receipt_is_read(tmp_path: Path) -> None:
    assert read(tmp_path, written()) == replace(RECEIPT, items=tuple(RECEIPT.items))


def use(folder: str, receipt: Receipt) -> None:
    """What plans, reports and ``verify`` do with a receipt that was accepted."""
    assert receipt.bytes >= 0
    assert all(row.state == "quarantined" for row in receipt.quarantined)
    assert all(receipt.row(row.item) is not None for row in receipt.items)
    assert len(damage(folder, receipt)) == len(receipt.files), "every file is missing here"
    assert isinstance(receipt.made["run"], str)
    assert sum([receipt.made["seconds"]]) >= 0
    assert receipt.made["seconds"] is not True
    assert ", ".join([receipt.made["device"], *receipt.made["versions"].values()])
    assert "/".join([receipt.stage, receipt.fingerprint, receipt.block])
    assert all(isinstance(row.figures, dict) and isinstance(row.reason, str) for row in receipt.items)
    for name in receipt.files:
        assert Path(folder, name).resolve().is_relative_to(Path(folder).resolve()), "dropping data would leave the block"


def test_mutated_receipts() -> None:
    fuzz(mutated([written()]), check, 80)


@st.composite
def rewritten(draw: st.DrawFn) -> bytes:
    """A receipt with some values replaced by others of any type, dropped, or added."""
    data: Any = json.loads(written())
    for _ in range(draw(st.integers(1, 3))):
        place: Any = data
        while True:
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            if not keys:
                break
            key = draw(st.sampled_from(keys))
            if isinstance(place[key], dict | list) and draw(st.booleans()):
                place = place[key]
                continue
            if draw(st.booleans()):
                place[key] = draw(JSON)
            else:
                del place[key]
            break
    return json.dumps(data).encode()


def test_rewritten_receipts() -> None:
    fuzz(rewritten(), check, 80)


@pytest.mark.parametrize("name", ["../x", "data.zarr/../../x", "/etc/x", "..", "a\\..\\x", ""])
def test_files_of_a_receipt_lie_in_its_block(name: str, tmp_path: Path) -> None:
    data = json.loads(written())
    data["files"]["data.zarr/inside"] = {"bytes": 1, "sha256": "0" * 64}
    assert read(tmp_path / "a", json.dumps(data).encode()) is not None
    data["files"][name] = data["files"].pop("data.zarr/inside")
    assert read(tmp_path / "b", json.dumps(data).encode()) is None


@pytest.mark.parametrize("raw", [b"[" * 100_000, b'{"items":' * 100_000])
def test_a_deeply_nested_receipt_is_none(raw: bytes, tmp_path: Path) -> None:
    assert read(tmp_path, raw) is None


@pytest.mark.parametrize("path", corpus("receipts"), ids=lambda path: path.name)
def test_receipts_of_the_corpus(path: Path) -> None:
    with bounded():
        check(path.read_bytes())
