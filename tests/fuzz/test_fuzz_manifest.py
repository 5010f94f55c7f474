"""Damaged manifests, lists and sidecars: what they say, or the documented error; in bounded time and memory."""

import json
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import strategies as st

from storage.fingerprint import canonical_json
from storage.items import Item, blocks_of
from storage.manifest import ManifestError, place, read_manifest, write_manifest
from storage.names import unsafe_name
from tasks.ingest.entries import SourceError
from tasks.ingest.sources import list_source
from tests.fuzz.support import bounded, corpus, fuzz, mutated, outcome

ITEMS = [
    Item(f"set/p{n}", f"p{n}.jpg", f"{n:064d}", 8, 16, n, str(n), "train", metadata={"camera": "theta", "n": n}) for n in range(5)
]


def manifests() -> list[bytes]:
    """Two small manifests as their writer leaves them."""
    with tempfile.TemporaryDirectory() as folder:
        for name, items in (("a", place([], ITEMS, 2)), ("b", place([], ITEMS[:1], 2))):
            write_manifest(f"{folder}/{name}", items)
        return [Path(folder, name).read_bytes() for name in "ab"]


def lists() -> list[bytes]:
    """Lists as Parquet and as CSV."""
    rows = [{"uri": f"p{n}.jpg", "item": f"p{n}", "split": "", "camera": "theta", "height": 1.5 * n} for n in range(4)]
    buffer = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(rows), buffer)
    csv = "\r\n".join([",".join(rows[0]), *(",".join(map(str, row.values())) for row in rows)])
    return [buffer.getvalue().to_pybytes(), csv.encode(), b'uri,item\n"a ""b"".jpg",x\n']


SIDECARS = [b'{"split": "test", "position": [1, 2.5, -3e2], "nested": {"a": null, "b": true}}', '{"ort": "Köln"}'.encode()]


def check_manifest(raw: bytes) -> None:
    with tempfile.NamedTemporaryFile(suffix=".parquet") as file:
        Path(file.name).write_bytes(raw)
        items = outcome(lambda: read_manifest(file.name), ManifestError)
    if isinstance(items, ManifestError):
        assert "manifest " in str(items)
        return
    assert not any(unsafe_name(item.item) for item in items)
    assert sum(len(block.items) for block in blocks_of(items)) == sum(item.block >= 0 for item in items)
    assert all(block.name for block in blocks_of(items))


def check_source(name: str, raw: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "p0.jpg").write_bytes(b"x")
        Path(folder, name).write_bytes(raw)
        url = folder if name.endswith(".json") else f"{folder}/{name}"
        entries = outcome(lambda: list_source(url), SourceError)
        if isinstance(entries, SourceError):
            assert folder in str(entries)
            return
        for entry in entries:
            assert not unsafe_name(entry.item)
            assert canonical_json(entry.metadata)
            assert "://" in entry.uri or Path(entry.uri).resolve().is_relative_to(Path(folder).resolve())


CHECKS: dict[str, Callable[[bytes], None]] = {
    "manifest.parquet": check_manifest,
    **{name: partial(check_source, name) for name in ("list.parquet", "list.csv", "p0.json")},
}


def test_damaged_manifests() -> None:
    fuzz(mutated(manifests()), check_manifest, 80)


@pytest.mark.parametrize("name", ["list.parquet", "list.csv", "p0.json"])
def test_damaged_lists(name: str) -> None:
    originals = {"list.parquet": lists()[:1], "list.csv": lists()[1:], "p0.json": SIDECARS}[name]
    fuzz(mutated(originals), CHECKS[name], 60)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=10,
)


def check_values(values: Any) -> None:
    check_source("p0.json", json.dumps(values).encode())


def test_any_json_as_a_sidecar() -> None:
    fuzz(JSON, check_values, 60)


def check_names(names: list[str]) -> None:
    items = [Item(name, "a.jpg", "0", 8, 16, 1, "1") for name in names]
    placed = outcome(lambda: place([], items, 2), ManifestError)
    if not isinstance(placed, ManifestError):
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder, "truth")
            write_manifest(f"{folder}/m", placed)
            assert read_manifest(f"{folder}/m") == placed
            for name in names:
                assert (root / f"{name}.npz").resolve().is_relative_to(root)


def test_any_item_names() -> None:
    letters = st.text(st.sampled_from("aA.~/\\:é\u0301\0\n ß\u202e🏠") | st.characters(), max_size=12)
    fuzz(st.lists(letters, min_size=1, max_size=4), check_names, 150)


@pytest.mark.parametrize("path", corpus("manifest"), ids=lambda path: path.name)
def test_manifests_of_the_corpus(path: Path) -> None:
    """A corpus file is named ``<what happened>--<name that the input goes by>``."""
    with bounded():
        CHECKS[path.name.split("--")[1]](path.read_bytes())
