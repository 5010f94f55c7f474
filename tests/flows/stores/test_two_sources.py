"""One file with two sources whose items have the same names: what is told, tried again and traced is of the right one."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from configs.settings import ConfigError
from flows.plan import make_plan
from flows.stores.failures import failed, items_to_retry, waive
from flows.stores.garbage import collect, find_garbage
from flows.stores.items import verify_store
from flows.stores.lineage import trace_item
from flows.stores.status import store_status
from storage.receipts import Receipt, write_receipt
from tests.support.pipelines import data_bytes, keep, load, restore, run_pipeline, write_panoramas, write_pipeline

pytestmark = pytest.mark.usefixtures("prefect_api")
FIRST = ["project", "geometry", "classes", "fuse", "evaluate"]
SECOND = ["cut", "near", "second", "score"]


def write_two(folder: Path) -> Path:
    """Two sources with a ``p00`` and a ``p01`` each, whose teachers give ``p00`` up; ``p01`` of the second is no image."""
    path = write_pipeline(folder, 3)
    write_panoramas(folder / "more", ["q00", "q01", "q02"])
    for file in (folder / "more").iterdir():
        file.rename(file.with_name(file.name.replace("q", "p")))
    (folder / "more" / "p01.png").write_bytes(b"no image")
    data = yaml.safe_load(path.read_text())
    stages = data["stages"]
    stages["geometry"]["settings"]["fail_on"] = "p00"
    stages |= {
        "target": {"stage": "ingest", "source": {"url": str(folder / "more")}, "block_size": 2},
        "cut": {"stage": "project", **stages["project"]},
        "near": stages["geometry"],
        "second": {"stage": "fuse", "height": 32},
        "score": {"stage": "evaluate"},
    }
    path.write_text(yaml.safe_dump(data, sort_keys=False))
    return path


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory, prefect_api: str) -> Path:
    path = write_two(tmp_path_factory.mktemp("two"))
    record = run_pipeline(load(path))
    assert [(row["item"], row["stage"]) for row in record["quarantined"]] == [
        ("ingest/p00", "geometry"),
        ("target/p00", "near"),
        ("target/p01", "target"),
    ]
    keep(path)
    return path


@pytest.fixture
def path(ran: Path) -> Path:
    return restore(ran)


def owed(path: Path, **options: object) -> dict[str, int]:
    return {row.stage: row.to_run for row in make_plan(load(path), **options).stages if row.to_run}  # type: ignore[arg-type]


def test_a_name_of_two_items_is_refused_with_what_to_write(path: Path) -> None:
    config = load(path)
    for asked in (lambda name: trace_item(config, name), lambda name: items_to_retry(config, [name])):
        with pytest.raises(ConfigError, match="'p00' is one of ingest and one of target; say which: ingest/p00 or target/p00"):
            asked("p00")
    assert items_to_retry(config, ["p01"]) == ["target/p01"], "the other one was not given up"
    assert items_to_retry(config, []) == ["ingest/p00", "target/p00", "target/p01"]


def test_a_trace_is_that_of_its_source(path: Path) -> None:
    config = load(path)
    for name, folder, keys in (("ingest/p00", "images", FIRST), ("target/p00", "more", SECOND), ("p02", "", ())):
        if not folder:
            with pytest.raises(ConfigError, match="say which"):
                trace_item(config, name)
            continue
        found = trace_item(config, name)
        assert found["source"]["uri"] == str(path.parent / folder / "p00.png")
        assert (found["item"], found["panoramas"]) == ("p00", name.split("/")[0])
        assert [step["key"] for step in found["steps"]] == keys
    given_up = {step["key"]: step["state"] for step in trace_item(config, "target/p00")["steps"]}
    assert given_up == {"cut": "done", "near": "quarantined", "second": "quarantined", "score": "quarantined"}
    assert all(step["state"] == "done" for step in trace_item(config, "ingest/p01")["steps"])


def test_one_of_two_is_tried_again_and_waived(path: Path) -> None:
    config = load(path)
    assert owed(path) == {}
    assert owed(path, retry=["target/p00"]) == {"near": 1, "second": 1, "score": 1}
    assert owed(path, retry=["ingest/p00"]) == {"geometry": 1, "fuse": 1, "evaluate": 1}
    waive(config, ["target/p00"], "the lens cap was on")
    assert [row["item"] for row in failed(config)["items"]] == ["ingest/p00", "target/p01"]
    assert [(row["item"], row["waived"]) for row in failed(config)["waived"]] == [("target/p00", "the lens cap was on")]
    assert items_to_retry(config, []) == ["ingest/p00", "target/p01"]
    assert store_status(config)["waived"] == 1
    (path.parent / "more" / "p01.png").write_bytes((path.parent / "more" / "p02.png").read_bytes())
    record = run_pipeline(config, retry=items_to_retry(config, ["p01"]))
    assert [row["item"] for row in record["quarantined"]] == ["ingest/p00", "target/p00"]


def test_waivers_of_old_hold_for_a_name(path: Path) -> None:
    (path.parent / "store" / "waivers.json").write_text('{"p00": {"waived": "dark", "by": "me", "at": "2026-01-01"}}')
    assert [row["item"] for row in failed(load(path))["waived"]] == ["ingest/p00", "target/p00"]


def test_status_tells_each_source(path: Path) -> None:
    write_panoramas(path.parent / "more", ["z00"])
    (path.parent / "images" / "p02.png").unlink()
    state = store_status(load(path))
    assert [(one["stage"], one["items"], one["not_ingested"], one["gone_from_source"]) for one in state["sources"]] == [
        ("ingest", 3, 0, 1),
        ("target", 3, 1, 0),
    ]
    assert [row["stage"] for row in state["stages"]] == FIRST + SECOND
    assert {row["stage"]: (row["done"], row["blocks"]) for row in state["stages"]} == {
        **dict.fromkeys(FIRST, (2, 2)),
        **dict.fromkeys(SECOND, (1, 1)),
    }


def test_verify_finds_damage_of_the_second_source(path: Path) -> None:
    before = data_bytes(path.parent / "store")
    chunk = next(path.parent / "store" / name for name in before if "/label.near/" in name and "/depth/c/" in name)
    chunk.write_bytes(b"torn")
    assert [one.stage for _, one in verify_store(load(path)) if one] == ["near"]
    assert owed(path) == {"near": 1}
    run_pipeline(load(path))
    assert data_bytes(path.parent / "store") == before


def test_gc_keeps_what_any_stage_needs_and_every_manifest(path: Path) -> None:
    config, root = load(path), path.parent / "store"
    before, manifests = data_bytes(root), sorted(root.rglob("*.parquet"))
    assert len(manifests) == 2
    assert find_garbage(config, keep_runs=0, older_than_hours=0) == []
    run_pipeline(load(path, second__height=40))
    model = {"model/weights": {"bytes": 1, "sha256": "0" * 64}}
    of_others = str(root / "stages" / "train" / ("b" * 16) / "000000-c")
    made = {"run": "r", "seconds": 1.0, "device": "cpu", "versions": {}}
    write_receipt(of_others, Receipt("train", "b" * 16, "000000-c", [], model, {}, {**made, "identity": {"upstream": {}}}))
    found = find_garbage(config, keep_runs=0, older_than_hours=0)
    assert sorted(one.url.split("/")[-2] for one in found) == ["evaluate", "fuse"], "those of the other height"
    collect(config, found)
    left = {name: data for name, data in data_bytes(root).items() if "/train/" not in name}
    assert (left, sorted(root.rglob("*.parquet"))) == (before, manifests)
    assert (Path(of_others) / "receipt.json").exists()
    assert owed(path) == {}


def test_stages_that_say_the_same_are_made_once(tmp_path: Path) -> None:
    path = write_pipeline(tmp_path, 3)
    data = yaml.safe_load(path.read_text())
    data["stages"] |= {"same": {"stage": "fuse", **data["stages"]["fuse"]}, "figures": {"stage": "evaluate", "labels": "same"}}
    path.write_text(yaml.safe_dump(data, sort_keys=False))
    write = {row.stage: row.to_run for row in make_plan(load(path)).stages}
    assert (write["fuse"], write["same"], write["evaluate"], write["figures"]) == (2, 0, 2, 0)
    record = run_pipeline(load(path))
    ran = {row["stage"]: (row["ran"], row["cached"]) for row in record["stages"]}
    assert (ran["fuse"], ran["same"], ran["evaluate"], ran["figures"]) == ((2, 0), (0, 2), (2, 0), (0, 2))
    assert len(list((tmp_path / "store/stages/fuse").glob("*/*/receipt.json"))) == 2
    assert store_status(load(path))["last_run"]["items_done"] == 15
    write_panoramas(tmp_path / "images", ["p90"])
    assert {row.stage: row.to_run for row in make_plan(load(path)).stages if row.to_run} == {
        "ingest": 1, "project": 1, "geometry": 1, "classes": 1, "fuse": 1, "evaluate": 1
    }  # fmt: skip
