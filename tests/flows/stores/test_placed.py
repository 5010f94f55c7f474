"""A store whose first run was ended while it read: panoramas have labels, and no manifest is written yet."""

from __future__ import annotations

from pathlib import Path

import pytest

import panolabel
from flows.ledger.query import query
from flows.stores.forgetting import forget
from flows.stores.garbage import find_garbage
from flows.stores.status import store_status
from storage.receipts import read_receipt
from tasks.ingest import ingest
from tasks.ingest.admission import Admission
from tasks.ingest.check import check
from tests.support.pipelines import load, make_owed, write_pipeline
from tests.support.stages import source_of


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = write_pipeline(tmp_path, 5)
    stage = source_of(load(path))
    scan = ingest.scan(stage)
    admission = Admission(scan.known, scan.checked, scan.to_read, stage.settings.block_size)
    read = [check(entry, stage.settings) for entry in scan.to_read[:4]]
    ingest.keep(stage, read)
    admission.note(read)
    ingest.admit(stage, admission.take())
    (tmp_path / "images" / "p04.png").rename(tmp_path / "later.png")
    make_owed(load(path))
    assert not list((tmp_path / "store").rglob("ingest/*/*.parquet")), "all that is known of them stands beside the manifest"
    return path


def test_readers_know_what_was_placed(path: Path) -> None:
    config = load(path)
    assert store_status(config)["items"] == 4
    assert sorted(panolabel.open(str(path))) == ["p00", "p01", "p02", "p03"]
    assert not find_garbage(config, older_than_hours=0)
    known = query(config.root, "select distinct item from items where stage = 'ingest' order by item")
    assert [row[0] for row in known.rows] == ["p00", "p01", "p02", "p03"]
    (path.parent / "later.png").rename(path.parent / "images" / "p04.png")
    assert set(make_owed(load(path)).values()) == {1}, "what has its place keeps it"


def test_labels_of_what_was_placed_are_forgotten(path: Path) -> None:
    config = load(path)
    told = forget(config, ["p01"], "asked to")
    assert told["blocks"] > 0
    receipts = [read_receipt(str(file.parent)) for file in (path.parent / "store").rglob("receipt.json")]
    assert receipts
    assert not [row for one in receipts if one for row in one.items if row.item == "p01" and row.state == "done"]
    assert sorted(panolabel.open(str(path))) == ["p00", "p02", "p03"]
