"""A receipt that cannot be read is none, for every command alike."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from flows.plan import make_plan
from flows.publishing.export import export
from flows.publishing.points import Solids, write_points
from flows.publishing.publish import publish
from flows.stores.finished import NotFinished, finished_labels
from flows.stores.garbage import find_garbage
from flows.stores.status import store_status
from flows.stores.verification import find_strays, verify_others
from storage.about import Contradiction
from storage.published import open_published
from storage.published.plain import latest_version, versions
from tests.support.pipelines import keep, load, restore, run_pipeline, write_pipeline

pytestmark = pytest.mark.usefixtures("prefect_api")


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory, prefect_api: str) -> Path:
    path = write_pipeline(tmp_path_factory.mktemp("unreadable"), 4)
    run_pipeline(load(path))
    keep(path)
    return path


@pytest.fixture
def path(ran: Path) -> Path:
    """A pipeline of four panoramas in two blocks that has run once."""
    return restore(ran)


def fused(path: Path) -> list[Path]:
    return sorted((path.parent / "store" / "stages" / "fuse").rglob("receipt.json"))


@pytest.mark.fault("A receipt that cannot be read", expected="counts as absent for every command; that block is made again")
@pytest.mark.parametrize("damage", ["half", "empty", "other"])
def test_it_is_owed_for_everybody(path: Path, damage: str, tmp_path: Path) -> None:
    config, file = load(path), fused(path)[1]
    whole = file.read_bytes()
    file.write_bytes({"half": whole[: len(whole) // 2], "empty": b"", "other": fused(path)[0].read_bytes()}[damage])
    assert {stage.stage: stage.to_run for stage in make_plan(config).stages if stage.to_run} == {"fuse": 1}
    assert [(row["stage"], row["done"]) for row in store_status(config)["stages"] if row["done"] != 2] == [("fuse", 1)]
    for refused in (publish, finished_labels):
        with pytest.raises(NotFinished, match="owed by stage: fuse 1"):
            refused(config)
    with pytest.raises(NotFinished, match="owed by stage: fuse 1"):
        export(config, "webdataset", str(tmp_path / "out"))
    with pytest.raises(NotFinished, match="owed by stage: fuse 1"):
        write_points(config, str(tmp_path / "points"), Solids())
    assert versions(str(path.parent / "store/published/small")) == []
    assert [one.why.split(":")[0] for one in find_garbage(config, older_than_hours=0)] == ["unfinished"]
    run_pipeline(config)
    assert json.loads(file.read_bytes())["files"] == json.loads(whole)["files"], "only that block was made again, the same"
    assert publish(config)["complete"]


def test_what_a_newer_version_tells_is_passed_over(path: Path) -> None:
    for file in fused(path):
        value = json.loads(file.read_bytes())
        value |= {"adopted": "fuse/x/y", "made": {**value["made"], "cost": 1}}
        value["items"] = [{**row, "row key": "a"} for row in value["items"]]
        value["files"] = {name: {**entry, "crc32c": "0"} for name, entry in value["files"].items()}
        file.write_text(json.dumps(value))
    assert not make_plan(load(path)).anything_to_run
    assert publish(load(path))["panoramas"] == 4


def test_published_metadata_come_from_blocks_with_labels(path: Path) -> None:
    file = fused(path)[0]
    value = json.loads(file.read_bytes())
    about = value["about"]
    value["items"] = [{**row, "state": "quarantined", "reason": "torn", "digest": ""} for row in value["items"]]
    value |= {"about": {**about, "classes": [], "depth_unit": ""}, "files": {}}
    file.write_text(json.dumps(value))
    config, folder = load(path), str(path.parent / "store/published/small")
    publish(config)
    group = open_published(folder)
    assert (group.attrs["classes"], group.attrs["depth_unit"]) == (about["classes"], about["depth_unit"])
    assert group["valid"][:].tolist() == [False, False, True, True]
    value = json.loads(fused(path)[1].read_bytes())
    restore(path)
    value["about"]["depth_unit"] = "scale"
    fused(path)[1].write_text(json.dumps(value))
    with pytest.raises(Contradiction, match=r"contradict each other, .* says depth_unit = 'metre', .* says 'scale'"):
        publish(config)
    assert latest_version(folder) is None


def test_a_published_version_is_verified(path: Path) -> None:
    config = load(path)
    folder = Path(publish(config)["url"])
    assert [broken for _, broken in verify_others(config)] == [None]
    chunk = next(folder.glob("depth/c/*/*/*"))
    chunk.write_bytes(b"torn")
    ((_, broken),) = verify_others(config)
    assert broken is not None
    assert (broken.stage, broken.block, len(broken.problems)) == ("published small", folder.name, 1)
    stray = fused(path)[0].parent / "data.zarr" / "old" / "zarr.json"
    stray.parent.mkdir()
    stray.write_text("{}")
    assert find_strays(config) == {str(fused(path)[0].parent): ["data.zarr/old/zarr.json"]}
