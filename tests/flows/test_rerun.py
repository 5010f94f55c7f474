"""Only what changed runs again. Executed tasks are counted by the Prefect server, and compared with the plan."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from configs.pipeline import Config
from flows.plan import make_plan
from flows.stores.items import verify_store
from tasks.catalogue import kind_named
from tasks.label import fuse
from tests.support.pipelines import (
    data_bytes,
    keep,
    load,
    restore,
    run_pipeline,
    without_fingerprints,
    write_panoramas,
    write_pipeline,
)
from tests.support.prefect_runs import blocks_made

pytestmark = pytest.mark.usefixtures("prefect_api")

STAGES = ("project", "geometry", "classes", "fuse", "evaluate")


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory, prefect_api: str) -> Path:
    path = write_pipeline(tmp_path_factory.mktemp("rerun"))
    assert executed(load(path)) == dict.fromkeys(STAGES, 3)
    keep(path)
    return path


@pytest.fixture
def path(ran: Path) -> Path:
    """A pipeline of five panoramas in three blocks that has run once."""
    return restore(ran)


def executed(config: Config, **options: Any) -> dict[str, int]:
    """Run, and count the block tasks that ran, stage by stage, as the Prefect server saw them; the plan must agree."""
    plan = make_plan(config, **options)
    planned = {stage.stage: stage.to_run for stage in plan.stages if stage.to_run and stage.stage != "ingest"}
    record = run_pipeline(config, **options)
    counts = blocks_made(record["run"])
    assert counts == planned
    assert not make_plan(config).anything_to_run
    return counts


def reasons(config: Config) -> dict[str, tuple[str, ...]]:
    return {stage.stage: stage.reasons for stage in make_plan(config).stages if stage.to_run}


def test_nothing_changed_nothing_runs(path: Path) -> None:
    assert reasons(load(path)) == {}
    assert executed(load(path)) == {}


def test_a_fuse_setting_reruns_fuse_and_after(path: Path) -> None:
    changed = load(path, fuse__edge_feather=0.5)
    assert reasons(changed)["fuse"] == ("fuse.edge_feather: 0.2 -> 0.5",)
    assert reasons(changed)["evaluate"][0].startswith("upstream fuse: ")
    fuse = make_plan(load(path)).step("fuse")
    assert executed(changed) == {"fuse": 3, "evaluate": 3}
    assert reasons(load(path)) == {}, "the old fingerprint's blocks are still there"
    torn, gone = (Path(fuse.stage.block_url(block.name)) for block in fuse.blocks[:2])
    (torn / "receipt.json").write_text("{")
    shutil.rmtree(gone)
    assert reasons(load(path)) == {"fuse": ("receipt missing: 1 block", "there no more: 1 block")}, "and no setting is why"
    (path.parent / "classes.json").write_text('{"factor":  2.0}')  # other weights that say the same
    marks = {row.stage: row.at_most for row in make_plan(load(path)).stages if row.to_run}
    assert marks == {"classes": False, "fuse": True, "evaluate": True}, "though the last run had another setting"


def test_a_teachers_weights_rerun_its_labels_and_after(path: Path) -> None:
    (path.parent / "classes.json").write_text(json.dumps({"factor": 3.25}))
    assert reasons(load(path))["classes"][0].startswith("weights of classes: ")
    assert executed(load(path)) == {"classes": 3, "fuse": 3, "evaluate": 3}


def test_new_panoramas_run_in_blocks_of_their_own(path: Path) -> None:
    before = data_bytes(path.parent / "store")
    write_panoramas(path.parent / "images", [f"a{number}" for number in range(10)])
    assert reasons(load(path))["fuse"] == ("new items: 10 in 5 blocks",)
    assert executed(load(path)) == dict.fromkeys(STAGES, 5)
    after = data_bytes(path.parent / "store")
    assert before.items() <= after.items()


def test_a_changed_panorama_reruns_its_block(path: Path) -> None:
    image = path.parent / "images" / "p03.png"
    image.write_bytes((path.parent / "images" / "p00.png").read_bytes())
    assert reasons(load(path))["ingest"] == ("changed files: p03",)
    record = run_pipeline(load(path))
    assert {row["stage"]: row["ran"] for row in record["stages"]} == dict.fromkeys(STAGES, 1)
    # Views are alike wherever the pixels are; the teacher does not say whether it reads names.
    assert {row["stage"]: row["copied"] for row in record["stages"]} == {**dict.fromkeys(STAGES, 1), "project": 2}
    assert not make_plan(load(path)).anything_to_run


def test_a_missing_receipt_reruns_its_block(path: Path) -> None:
    receipt = sorted((path.parent / "store/stages/fuse").rglob("receipt.json"))[1]
    receipt.unlink()
    assert reasons(load(path)) == {"fuse": ("receipt missing: 1 block",)}
    assert executed(load(path)) == {"fuse": 1}


@pytest.mark.parametrize("damage", ["flip", "tear", "delete"])
def test_a_damaged_chunk_reruns_its_block_after_verify(path: Path, damage: str) -> None:
    root = path.parent / "store"
    before = data_bytes(root)
    files = sorted(file for file in (root / "stages/label.geometry").rglob("*") if file.is_file())
    chunk = next(file for file in files if "depth/c/" in str(file))
    if damage == "flip":
        data = bytearray(chunk.read_bytes())
        data[len(data) // 2] ^= 1
        chunk.write_bytes(data)
    elif damage == "tear":
        chunk.write_bytes(chunk.read_bytes()[:4])
    else:
        chunk.unlink()
    broken = [found for _, found in verify_store(load(path)) if found]
    assert [(one.stage, len(one.problems)) for one in broken] == [("geometry", 1)]
    assert executed(load(path)) == {"geometry": 1}
    assert data_bytes(root) == before
    assert not any(found for _, found in verify_store(load(path)))


@pytest.fixture
def next_version(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The catalogue, which keeps the kinds that it has looked up, has a newer ``fuse``."""
    monkeypatch.setattr(fuse, "KIND", replace(fuse.KIND, version="next"))
    kind_named.cache_clear()
    yield
    monkeypatch.undo()
    kind_named.cache_clear()


@pytest.mark.usefixtures("next_version")
def test_a_stages_code_version_reruns_it_and_after(path: Path) -> None:
    before = fuse.VERSION
    assert reasons(load(path))["fuse"] == (f"code version: {before} -> next",)
    assert executed(load(path)) == {"fuse": 3, "evaluate": 3}


def test_how_a_run_is_carried_out_reruns_nothing(path: Path) -> None:
    for change in ({"batch_size": 3}, {"device": "cpu"}, {"log_level": "DEBUG"}, {"runner": {"workers": 1}}):
        changed = load(path, **{f"execution__{key}": value for key, value in change.items()})
        assert reasons(changed) == {}, change


def test_how_a_run_is_carried_out_changes_no_byte(tmp_path: Path) -> None:
    one, other = write_pipeline(tmp_path / "one"), write_pipeline(tmp_path / "other")
    run_pipeline(load(one))
    run_pipeline(load(other, execution__batch_size=1, execution__runner__workers=1))
    assert without_fingerprints(one.parent / "store") == without_fingerprints(other.parent / "store")


def test_a_quarantined_item_is_tried_again_only_when_asked(tmp_path: Path) -> None:
    path = write_pipeline(tmp_path)
    broken = load(path, geometry__settings__fail_on="p02")
    record = run_pipeline(broken)
    assert [row["quarantined"] for row in record["stages"]] == [0, 1, 0, 1, 1]
    assert [(row["item"], row["stage"]) for row in record["quarantined"]] == [("p02", "geometry")]
    assert executed(broken) == {}
    assert not make_plan(broken).anything_to_run
    plan = make_plan(broken, retry=True)
    assert {stage.stage: stage.to_run for stage in plan.stages if stage.to_run} == {"geometry": 1, "fuse": 1, "evaluate": 1}
