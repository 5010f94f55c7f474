"""Answers of the audit tables, compared with counts made straight from the receipts' JSON."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from configs.settings import ConfigError
from flows.cli import app
from flows.ledger.query import QueryError, ask, query
from flows.ledger.tables import audit_url
from storage.receipts import Receipt, write_receipt
from storage.rows import ItemRow
from storage.tables import current_stamp
from tests.support.pipelines import load, run_pipeline, write_pipeline

pytestmark = pytest.mark.usefixtures("prefect_api")


class Ran:
    """A store after three runs: one with a failing item, one with other weights, one with other pixels of ``p03``."""

    def __init__(self, folder: Path) -> None:
        self.path, self.root = write_pipeline(folder), str(folder / "store")
        (folder / "images" / "broken.png").write_bytes(b"no picture")
        self.config = load(self.path, geometry__settings__fail_on="p02")
        self.first = run_pipeline(self.config)
        (folder / "classes.json").write_text(json.dumps({"factor": 3.25}))
        self.second = run_pipeline(self.config)
        (folder / "images" / "p03.png").write_bytes((folder / "images" / "p00.png").read_bytes())
        self.third = run_pipeline(self.config)

    def receipts(self, stage: str = "*") -> list[dict[str, Any]]:
        return [json.loads(path.read_text()) for path in Path(self.root).glob(f"stages/{stage}/*/*/receipt.json")]


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory, prefect_api: str) -> Ran:
    return Ran(tmp_path_factory.mktemp("audit"))


def test_tables_hold_what_the_receipts_say(ran: Ran) -> None:
    receipts = ran.receipts()
    rows = query(ran.root, "SELECT stage, fingerprint, block, run, items, bytes, code FROM blocks").rows
    assert sorted(rows) == sorted(
        (
            *(one["stage"], one["fingerprint"], one["block"], one["made"]["run"], len(one["items"])),
            sum(entry["bytes"] for entry in one["files"].values()),
            one["made"]["code"],
        )
        for one in receipts
    )
    items = query(
        ran.root, "SELECT stage, fingerprint, block, item, state, reason, digest FROM items WHERE stage <> 'ingest'"
    ).rows
    assert sorted(map(str, items)) == sorted(
        str((one["stage"], one["fingerprint"], one["block"], row["item"], row["state"], row["reason"], row["digest"] or None))
        for one in receipts
        for row in one["items"]
    )
    assert query(ran.root, "SELECT run FROM runs ORDER BY run").rows == [
        (path.stem,) for path in sorted(Path(ran.root, "runs").glob("*.json"))
    ]


def test_which_labels_did_weights_make(ran: Ran) -> None:
    labels = {one["fingerprint"]: one["made"]["identity"] for one in ran.receipts("label.classes")}
    for fingerprint, identity in labels.items():
        found = ask(ran.root, "labels-of-weights", {"weights": identity["weights"]["classes"][:16]}).rows
        assert sorted((row[0], row[1], row[3]) for row in found) == sorted(
            (row["item"], "fuse", one["block"])
            for one in ran.receipts("fuse")
            if one["made"]["identity"]["upstream"]["label.classes"] == fingerprint
            for row in one["items"]
            if row["state"] == "done"
        )
        assert found


def test_what_did_a_run_cost(ran: Ran) -> None:
    for record in (ran.first, ran.second, ran.third):
        made = [one for one in ran.receipts() if one["made"]["run"] == record["run"]]
        rows = ask(ran.root, "cost-of-run", {"run": record["run"]}).rows
        assert {row[0] for row in rows} == {one["stage"] for one in made}
        for stage, blocks, items, _, seconds, size, _ in rows:
            own = [one for one in made if one["stage"] == stage]
            assert (blocks, items) == (len(own), sum(len(one["items"]) for one in own))
            assert seconds == pytest.approx(sum(one["made"]["seconds"] for one in own), abs=0.002)
            assert size == sum(entry["bytes"] for one in own for entry in one["files"].values())


def test_which_items_changed(ran: Ran) -> None:
    """Only the pixels of p03 changed between the second run and the third, though its whole block was made again."""
    changed = ask(ran.root, "changed-items", {"before": ran.second["run"], "after": ran.third["run"]}).rows
    assert [row[:3] for row in changed] == [("p03", "fuse", "changed")]
    assert ask(ran.root, "changed-items", {"before": ran.first["run"], "after": ran.first["run"]}).rows == []
    prints = [one["identities"]["fuse"]["fingerprint"] for one in (ran.first, ran.third)]
    assert prints[0] != prints[1]
    changed = ask(ran.root, "changed-items", dict(zip(("before", "after"), prints))).rows
    arrays = [_depths(ran, fingerprint) for fingerprint in prints]
    assert "p03" in {row[0] for row in changed}
    assert {row[0] for row in changed} == {item for item in arrays[0] if arrays[0][item] != arrays[1][item]}


def _depths(ran: Ran, fingerprint: str) -> dict[str, list[bytes]]:
    """All arrays of every item, read with zarr itself; of an item in two blocks, those made last."""
    import zarr

    found = {}
    for one in sorted(ran.receipts("fuse"), key=lambda one: one["made"]["started"]):
        if one["fingerprint"] == fingerprint:
            group = zarr.open_group(str(Path(ran.root, "stages/fuse", fingerprint, one["block"], "data.zarr")), mode="r")
            for slot, row in enumerate(one["items"]):
                found[row["item"]] = [group[name][slot].tobytes() for name in sorted(group.array_keys())]
    return found


def test_which_items_failed_and_which_code_made_what(ran: Ran) -> None:
    failed = ask(ran.root, "failed-items", {}).rows
    assert {(row[0], row[1]) for row in failed} == {("broken", "ingest"), ("p02", "label.geometry")}
    assert all(row[4] for row in failed)
    assert sum(row[5] for row in ask(ran.root, "code", {}).rows) == len(ran.receipts())


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_text('/etc/hostname')",
        "COPY runs TO 'stolen.csv'",
        "ATTACH 'other.duckdb'",
        "DELETE FROM runs",
        "CREATE TABLE mine (one INT)",
        "SET enable_external_access = true",
        "INSTALL httpfs",
        "SELECT * FROM ran",
        "SELEC 1",
    ],
)
def test_a_query_reaches_nothing_but_the_tables(ran: Ran, sql: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(QueryError):
        query(ran.root, sql)
    assert list(tmp_path.iterdir()) == []


def test_tables_are_made_anew_only_when_something_changed(ran: Ran) -> None:
    query(ran.root, "SELECT 1")
    stamp = current_stamp(audit_url(ran.root))
    (folder,) = [path for path in Path(ran.root, "audit").iterdir() if path.is_dir() and any(path.iterdir())]
    before = os.stat(folder / "blocks.parquet").st_mtime_ns
    query(ran.root, "SELECT 1")
    assert os.stat(folder / "blocks.parquet").st_mtime_ns == before
    receipt = sorted(Path(ran.root).glob("stages/evaluate/*/*/receipt.json"))[0]
    kept, count = receipt.read_bytes(), len(ran.receipts())
    receipt.unlink()
    assert query(ran.root, "SELECT count(*) FROM blocks").rows == [(count - 1,)]
    receipt.write_bytes(kept)
    assert query(ran.root, "SELECT count(*) FROM blocks").rows == [(count,)]
    assert current_stamp(audit_url(ran.root)) != stamp, "the receipt is a new file"


def test_the_command_answers_in_json_and_explains_itself(ran: Ran) -> None:
    shown = CliRunner().invoke(app, ["query", str(ran.path), "SELECT count(*) AS runs FROM runs", "--json"])
    assert json.loads(shown.stdout) == [{"runs": 3}]
    shown = CliRunner().invoke(app, ["query", ran.root, "--ask", "cost-of-run", "--with", f"run={ran.first['run']}"])
    assert shown.exit_code == 0
    assert "label.classes" in shown.stdout
    with pytest.raises(ConfigError, match="did you mean 'failed-items'"):
        ask(ran.root, "failed-item", {})
    with pytest.raises(ConfigError, match="--with run="):
        ask(ran.root, "cost-of-run", {})
    with pytest.raises(ConfigError, match="holds no runs"):
        query(ran.root + "/nowhere", "SELECT 1")


def test_models_that_stages_made_are_weights_of_those_that_read_them(tmp_path: Path) -> None:
    """A receipt names the digest of a model that another stage made; a fingerprint has it only of models from outside."""
    upstream = {"labels 1 (street)": "f" * 16}  # as trainings of 0.1 called it
    identity = {"stage": "adapt", "version": "4", "settings": {}, "weights": {}, "upstream": upstream}
    made = {"run": "r", "seconds": 1.0, "device": "cpu", "versions": {}, "started": 1.0, "identity": identity}
    learnt = ItemRow("all panoramas", "done", "", {"model": "made", "panoramas": 3, "steps": 4})
    for fingerprint, model in (("a" * 16, "0123abcd"), ("b" * 16, "4567abcd")):
        receipt = Receipt("adapt", fingerprint, "000000-b", [learnt], {}, {"models": {"model": model}}, made)
        write_receipt(str(tmp_path / "stages" / "adapt" / fingerprint / "000000-b"), receipt)
    found = ask(str(tmp_path), "adapted-models", {"weights": "0123"}).rows
    assert found == [("made", "0123abcd", 3, 4, "r", "a" * 16, "000000-b")]
    learnt_from = ask(str(tmp_path), "students-of-labels", {"labels": "ffff"}).rows
    assert sorted(learnt_from) == [(name * 16, "000000-b", "r", "fuse", "f" * 16) for name in "ab"]
