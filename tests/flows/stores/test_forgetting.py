"""A forgotten panorama: its labels go, to the last byte, from everywhere, also when somebody is killed meanwhile."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import icechunk
import numpy as np
import pytest

from configs.settings import ConfigError
from flows.errors import RunFailed
from flows.ledger.query import ask
from flows.plan import make_plan
from flows.publishing.publish import publish
from flows.stores.forgetting import forget, remember
from flows.stores.items import verify_store
from flows.stores.life import items_told
from flows.stores.lineage import trace_item
from flows.stores.status import store_status
from flows.stores.verification import verify_others
from storage.published import open_published
from storage.receipts import read_receipt
from storage.records.forgotten import ForgottenError, read_forgotten
from storage.records.runs import write_run
from tests.support.commands import panolabel
from tests.support.forks import forked
from tests.support.pipelines import data_bytes, keep, load, restore, run_pipeline, write_pipeline

pytestmark = pytest.mark.usefixtures("prefect_api")

KILLED = """
import os, signal, sys
from pathlib import Path
import storage.erasing as erasing
from flows.stores.forgetting import forget
from tests.support.pipelines import load
count = 0
def remove(url):
    global count
    count += 1
    if count > int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
    real(url)
real, erasing.remove = erasing.remove, remove
forget(load(Path(sys.argv[1])), ["p01"], "asked to")
"""


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory, prefect_api: str) -> Path:
    """Labels of two fingerprints of fuse."""
    path = write_pipeline(tmp_path_factory.mktemp("forget"), 4)
    run_pipeline(load(path))
    run_pipeline(load(path, fuse__edge_feather=0.4))
    publish(load(path))
    keep(path)
    return path


@pytest.fixture
def path(ran: Path) -> Path:
    return restore(ran)


def holding(root: Path) -> list[str]:
    """Data files of the blocks that p01 was in, but for those whose receipt says that it has no labels there."""
    stages = [one for one in (root / "stages").glob("*/*/000000-*") if one.is_dir() and not without(one)]
    return [str(file) for one in stages for file in one.rglob("*") if file.is_file()]


def without(block: Path) -> bool:
    """Whether a block has a receipt, in which p01 was given up."""
    receipt = read_receipt(str(block))
    return receipt is not None and receipt.row("p01").reason == "forgotten: asked to"


def test_labels_go_from_all_fingerprints_and_versions_and_never_come_again(path: Path) -> None:
    config, other, root = load(path), load(path, fuse__edge_feather=0.4), path.parent / "store"
    before, version = data_bytes(root), publish(config)["version"]
    folder = str(root / "published" / "small")
    whole = {name: open_published(folder)[name][:] for name in ("depth", "semantics")}
    found = forget(config, ["p01"], "asked to")
    assert (found["blocks"], found["kept"], found["left"], found["published"]) == (7, 7, [], [f"small/{version}"])
    assert holding(root) == [], "patches, teachers, two fusions and two evaluations"
    group = open_published(folder)
    assert group["valid"][:].tolist() == [True, False, True, True]
    for name, values in whole.items():
        assert not np.any(group[name][1])
        np.testing.assert_array_equal(group[name][:][[0, 2, 3]], values[[0, 2, 3]])
    assert not any(damage for _, damage in (*verify_others(config), *verify_store(config)))
    assert not make_plan(config).anything_to_run, "its neighbour keeps its labels"
    assert not make_plan(other).anything_to_run
    run_pipeline(config, retry=True)
    now = data_bytes(root)
    assert {name: data for name, data in now.items() if "000001-" in name} == {n: d for n, d in before.items() if "000001-" in n}
    rows = {step["key"]: (step["state"], step["reason"]) for step in trace_item(config, "p01")["steps"]}
    assert set(rows.values()) == {("quarantined", "forgotten: asked to")}
    assert trace_item(config, "p00")["steps"][-1]["state"] == "done"
    assert forget(config, ["p01"], "asked again")["blocks"] == 0, "blocks without it are left alone"
    assert not make_plan(config).anything_to_run
    assert publish(config)["left_out"] == ["p01"]
    (record,) = read_forgotten(str(root))
    assert (record.events[0].because, len(record.events), bool(record.removed)) == ("asked to", 1, True)


def test_who_when_and_why_are_told_everywhere(path: Path) -> None:
    config = load(path)
    done = panolabel("forget", path, "p01", "--because", "asked to")
    assert done.returncode == 0, done.stderr
    assert "forgotten p01 by" in done.stdout
    state = store_status(config)
    assert [(one["item"], one["because"]) for one in state["forgotten"]] == [("p01", "asked to")]
    assert items_told(make_plan(config))[0]["forgotten"] == {"count": 1, "first": ["p01"]}
    assert state["quarantined"] == []
    assert "forgotten p01 by" in panolabel("status", path).stdout
    assert "forgotten by" in panolabel("trace", path, "p01").stdout
    rows = ask(config.root, "forgotten-items", {}).rows
    assert [row[:3] for row in rows] == [("p01", "forgotten", "asked to")]


@pytest.mark.parametrize("after", [0, 1, 9, 40])
def test_killed_in_between_it_is_forgotten_and_the_same_again_ends_it(path: Path, after: int) -> None:
    config, root = load(path), path.parent / "store"
    killed = forked((str(path), str(after)), dict(os.environ), code=KILLED)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert holding(root), "it died before all was gone"
    for step in make_plan(config).steps:
        there = [Path(step.stage.block_url(block.name)) for block in step.blocks if block.name.startswith("000000-")]
        assert all(without(block) for block in there if read_receipt(str(block))), "nobody reads what is left"
    assert "not all of it is removed; go on: panolabel forget" in panolabel("status", path).stdout
    forget(config, ["p01"], "asked to")
    assert holding(root) == []
    assert not make_plan(config).anything_to_run, "its neighbour lost nothing"
    assert "go on" not in panolabel("status", path).stdout


def test_remembered_it_is_labelled_again_and_the_record_stays(path: Path) -> None:
    config, root = load(path), path.parent / "store"
    before, first = data_bytes(root), publish(config)
    forget(config, ["p01"], "asked to")
    remember(config, ["p01"], "a mistake")
    run_pipeline(config)
    again = {name: data for name, data in data_bytes(root).items() if name in before}
    assert again.items() <= before.items()
    assert [one["what"] for one in trace_item(config, "p01")["forgotten"]] == ["forgotten", "remembered"]
    published = publish(config)
    assert (published["version"], published["new"]) == (first["version"], True), "what was blanked is whole again"
    assert open_published(str(root / "published" / "small"))["valid"][:].all()
    with pytest.raises(ConfigError, match="'p01' is not forgotten; forgotten items: none"):
        remember(config, ["p01"], "again")


def test_its_pixels_are_forgotten_under_any_name(path: Path) -> None:
    config, images = load(path), path.parent / "images"
    forget(config, ["p01"], "asked to")
    (images / "p01.png").rename(images / "q01.png")
    record = run_pipeline(config)
    assert record["quarantined"] == []
    assert record["life"][0]["forgotten"]["first"] == ["p01", "q01"]
    assert trace_item(config, "q01")["steps"][-1]["reason"] == "forgotten: the pixels of p01: asked to"


def test_what_shares_its_pixels_must_be_named_too(path: Path) -> None:
    config, images = load(path), path.parent / "images"
    shutil.copy(images / "p01.png", images / "twin.png")
    run_pipeline(config)
    with pytest.raises(ConfigError, match=r"twin has the same pixels; forget all.* p01 twin --because"):
        forget(config, ["p01"], "asked to")
    assert read_forgotten(config.root) == []
    assert len(forget(config, ["p01", "twin"], "asked to")["forgotten"]) == 2


def test_nothing_is_removed_beside_a_run_but_the_record_stands(path: Path) -> None:
    config = load(path)
    record = store_status(config)["last_run"]
    going = {"run": "29990101-000000-x", "state": "running", "started": record["started"], "host": "elsewhere", "process": 1}
    from datetime import UTC, datetime

    write_run(config.root, {**going, "started": datetime.now(UTC).isoformat(), "config": {"name": "x"}})
    with pytest.raises(RunFailed, match="run 29990101-000000-x is going"):
        forget(config, ["p01"], "asked to")
    assert [one.holds for one in read_forgotten(config.root)] == [True]
    assert holding(path.parent / "store")


def test_a_damaged_record_forbids_all(path: Path) -> None:
    config = load(path)
    forget(config, ["p01"], "asked to")
    (file,) = (path.parent / "store" / "forgotten").iterdir()
    file.write_text("{}")
    with pytest.raises(ForgottenError, match="restore it from a backup"):
        make_plan(config)


@pytest.mark.slow
def test_icechunk_keeps_its_history_until_what_is_printed_is_typed(path: Path, prefect_api: str) -> None:
    config = load(path)
    publish(config, to="icechunk")
    done = panolabel("forget", path, "p01", "--because", "asked to")
    assert done.returncode == 1
    typed = [line.strip() for line in done.stdout.splitlines() if line.startswith("  ")]
    assert [line.split()[:2] for line in typed] == [
        ["panolabel", "run"],
        ["panolabel", "publish"],
        ["python", "-c"],
        ["panolabel", "forget"],
    ]
    folder = path.parent / "store" / "published" / "small.icechunk"
    environment = {**os.environ, "PREFECT_API_URL": prefect_api, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    for line in typed:
        subprocess.run(line, shell=True, check=True, env=environment, capture_output=True)
    repository = icechunk.Repository.open(icechunk.local_filesystem_storage(str(folder)))
    assert len(list(repository.list_tags())) == 1
    assert open_published(str(folder))["item"][:].tolist() == ["p00", "p02", "p03"]
    assert store_status(config)["forgotten"][0]["removed"]
