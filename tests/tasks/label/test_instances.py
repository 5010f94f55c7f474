"""Instances through the real stages: stored, read back, measured against the truth, and left alone where no teacher gives any."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from configs.pipeline import Config
from geometry import layouts
from geometry.fields import Field
from geometry.instances.masks import decode_mask
from scenes.dataset import write_dataset
from storage.arrays import BlockReader
from storage.receipts import Receipt
from tasks.evaluate import evaluate
from tasks.label import fuse, instances
from tasks.label.settings import Fuse
from tasks.label.teachers import looking
from tasks.migration import migrated
from tasks.pipeline import stages, validated
from tests.support.stages import identity_of, ingested, made


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small room and a small street with their truth."""
    root = tmp_path_factory.mktemp("scenes")
    write_dataset(root, "mixed", 2, 7, 48, 96, supersample=1, amodal=False, processes=1)
    return root


def config_of(scenes: Path, root: Path, **changes) -> Config:
    teacher = {"name": "truth", "kind": "scenes", "fields": ["semantics", "instances"]}
    data = {
        "name": "small",
        "root": str(root),
        "source": {"url": str(scenes / "images"), "truth": str(scenes)},
        "project": {"patch_size": 48},
        "teachers": [teacher],
        "fuse": {"height": 48},
    }
    return validated(migrated({**data, **changes}))


def run(config: Config) -> dict[str, Receipt]:
    """Every stage over the one block where it has no receipt, without a flow around it; stage -> receipt."""
    (block,) = ingested(config)
    return made(config, block)


def stored(config: Config, receipt: Receipt, slot: int) -> dict[str, np.ndarray]:
    url = f"{config.root}/stages/fuse/{receipt.fingerprint}/{receipt.block}"
    return BlockReader(url, receipt.files).item(slot)


@pytest.fixture(scope="module")
def finished(scenes: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Config, dict[str, Receipt]]:
    config = config_of(scenes, tmp_path_factory.mktemp("store"))
    return config, run(config)


def test_true_masks_come_back_as_the_true_objects(finished, scenes):
    config, receipts = finished
    for slot, row in enumerate(receipts["fuse"].items):
        assert row.state == "done", row.reason
        labels = fuse.decode_labels(stored(config, receipts["fuse"], slot))
        with np.load(scenes / "truth" / f"{row.item}.npz") as truth:
            true, classes = truth["instances"], truth["semantics"]
        count = row.figures["instances"]
        assert count == len(labels["instance_class"]) == labels["instances"].max()
        for number in np.unique(true[true > 0]):
            mask = true == number
            if mask.sum() > 30:
                said = np.bincount(labels["instances"][mask]).argmax()
                assert labels["instance_class"][said - 1] == classes[mask][0]
                assert (mask & (labels["instances"] == said)).sum() / (mask | (labels["instances"] == said)).sum() > 0.6
        figures = receipts["evaluate"].items[slot].figures["panoptic"]
        assert figures["pq"] > 0.6
        assert figures["pq_stuff"] > 0.8
        json.dumps(figures, allow_nan=False)


def test_the_report_adds_panoramas_up(finished):
    _, receipts = finished
    summary = evaluate.summarise_rows(receipts["evaluate"].items, receipts["evaluate"].about)
    rows = {row["figure"]: row for row in summary["figures"]}
    items = [row.figures["panoptic"] for row in receipts["evaluate"].items]
    assert rows["PQ"]["over"] == "pixels"
    assert rows["PQ"]["low"] <= rows["PQ"]["value"] <= rows["PQ"]["high"]
    assert rows["PQ"]["over_images"] == pytest.approx(np.mean([item["pq"] for item in items]))
    # Objects of both panoramas together, by hand from the receipts' sums.
    found = [row for item in items for number, row in item["sums"]["all"].items() if int(number) in item["things"]]
    sums = np.sum(found, axis=0)
    assert rows["PQ, objects of all classes"]["value"] == pytest.approx(sums[0] / (sums[1] + 0.5 * sums[2] + 0.5 * sums[3]))
    assert "PQ" in [row["figure"] for row in summary["headline"]]


def test_the_teacher_says_which_classes_are_things(finished):
    _, receipts = finished
    about = receipts["fuse"].about
    assert "car" in about["thing_classes"]
    assert "wall" not in about["thing_classes"]
    labels = fuse.decode_labels(stored(finished[0], receipts["fuse"], 0))
    things = [about["classes"].index(name) for name in about["thing_classes"]]
    np.testing.assert_array_equal(np.isin(labels["panoptic"], things) & labels["panoptic_valid"], labels["instances"] > 0)


def test_things_of_the_config_come_first_and_too_little_room_gives_the_item_up(finished, scenes):
    root = Path(finished[0].root)
    only = config_of(scenes, root, fuse={"height": 48, "instances": {"things": ["Car"]}})
    receipts = run(only)
    assert receipts["fuse"].about["thing_classes"] == ["car"]
    room, street = receipts["fuse"].items
    assert (room.figures["instances"], street.figures["instances"] > 0) == (0, True)
    cramped = config_of(scenes, root, fuse={"height": 48, "instances": {"room": 1}})
    reasons = [row.reason for row in run(cramped)["fuse"].items]
    assert all("set fuse.instances.room, which is 1" in reason for reason in reasons)
    unknown = config_of(scenes, root, fuse={"height": 48, "instances": {"things": ["unicorn"]}})
    with pytest.raises(ValueError, match=r"fuse\.instances\.things: unicorn not among"):
        run(unknown)


def test_without_a_teacher_of_instances_the_setting_changes_nothing(scenes, tmp_path):
    teacher = {"name": "truth", "kind": "scenes", "fields": ["semantics"]}
    plain = config_of(scenes, tmp_path, teachers=[teacher])
    changed = config_of(scenes, tmp_path, teachers=[teacher], fuse={"height": 48, "instances": {"threshold": 0.9}})
    assert identity_of(plain, "fuse").fingerprint == identity_of(changed, "fuse").fingerprint
    assert "instances" not in identity_of(plain, "fuse").settings
    with_masks = [config_of(scenes, tmp_path, fuse={"height": 48, "instances": {"threshold": value}}) for value in (0.5, 0.9)]
    assert identity_of(with_masks[0], "fuse").fingerprint != identity_of(with_masks[1], "fuse").fingerprint


def test_labelling_again_through_turned_views_leaves_the_instances_as_they_are(finished, scenes):
    plain, receipts = finished
    turned = config_of(scenes, Path(plain.root), label={"rotations": 1})
    again = run(turned)
    assert again["fuse"].about["rotations"] == 1
    for slot, (row, before) in enumerate(zip(again["fuse"].items, receipts["fuse"].items, strict=True)):
        assert row.state == "done", row.reason
        new, old = stored(turned, again["fuse"], slot), stored(plain, receipts["fuse"], slot)
        for name in (name for name in old if name.startswith("instance")):
            np.testing.assert_array_equal(new[name], old[name], err_msg=name)
        assert row.figures["instances"] == before.figures["instances"]
        assert row.figures["views"] == pytest.approx(2 * before.figures["views"], abs=0.03)
        assert (new["semantics_rotation_consistency"] > 0).all()
        assert again["evaluate"].items[slot].figures["panoptic"]["pq"] > 0.6


def test_a_teacher_of_instances_alone_is_not_asked_through_turned_views(scenes, tmp_path):
    teachers = [{"name": name, "kind": "scenes", "fields": [name]} for name in ("semantics", "instances")]
    config = config_of(scenes, tmp_path, teachers=teachers, label={"rotations": 1})
    receipts = run(config)
    assert list(receipts) == ["project", "semantics", "semantics.rotation1", "instances", "fuse", "evaluate"]
    assert [stage.name for stage in stages(config) if stage.wants_gpu] == [
        "label.semantics", "label.semantics.rotation1", "label.instances",
    ]  # fmt: skip
    for row in receipts["fuse"].items:
        assert row.state == "done", row.reason
        assert row.figures["instances"] > 0
        assert row.figures["rotation_consistency_semantics"] > 0.9
    alone = config_of(scenes, tmp_path, teachers=teachers[1:], label={"rotations": 1})
    assert [(stage.key, stage.work) for stage in stages(alone) if stage.key in ("fuse", "instances.rotation1")] == [("fuse", 1)]
    assert "rotations" not in run(alone)["fuse"].about


def test_hidden_masks_survive_the_store():
    settings = Fuse(height=16)
    arrays = {
        "views": np.ones((16, 32), np.uint8),
        "instances": np.zeros((16, 32), np.uint16),
        "instance_class": np.array([4, 2], np.uint16),
        "instance_score": np.array([0.5, 0.25], np.float32),
        "instance_agreement": np.array([0.9, 0.8], np.float32),
        "instance_area": np.array([0.3, 0.1], np.float32),
        "instance_direction": np.eye(3, dtype=np.float32)[:2],
        "instance_seam": np.array([True, False]),
        "instance_pole": np.array([False, False]),
        "instance_views": np.array([[True, False, True], [False, True, True]]),
        "instance_runs": np.array([[5 * 32 + 30, 6], [6 * 32 + 31, 1]], np.uint32),
        "instance_offsets": np.array([0, 2, 2], np.uint32),
    }
    arrays["instances"][5, 30:] = 1
    arrays["instances"][9, 3:7] = 2
    encoded = fuse.encode_labels(arrays, settings)
    assert encoded["instance_class"].shape == (settings.instances.room,)
    back = fuse.decode_labels(encoded)
    for name, value in arrays.items():
        np.testing.assert_array_equal(back[name], value, err_msg=name)
    first, second = (decode_mask(mask) for mask in instances.whole_masks(back))
    assert first[5, [30, 31, 0, 1, 2, 3]].all()
    assert first.sum() == 7
    np.testing.assert_array_equal(second, arrays["instances"] == 2)


def test_vocabularies_of_two_teachers_meet_by_name():
    joint = instances.joint_classes(["wall", "Car"], ["car", "person"])
    assert joint == ["wall", "Car", "person"]
    table = np.array([[0, 1, -1, 9]], np.int32)
    tables = {"segment_class": table, "segment_score": np.zeros((1, 4), np.float32)}
    field = Field("instances", np.zeros((1, 2, 2), np.uint16), np.ones((1, 2, 2), bool), "segment", tables=tables)
    named = instances.with_classes(field, ["car", "person"], joint)
    np.testing.assert_array_equal(named.tables["segment_class"], [[1, 2, -1, -1]])


@pytest.mark.parametrize(("widths", "reason"), [((2, 3), "equally wide in every call"), ((2, 2), None)])
def test_tables_of_two_calls_must_be_equally_wide(widths, reason):
    width_of_call = iter(widths)

    def teacher(patches, cameras, item):
        size = next(width_of_call)
        tables = {"segment_class": np.zeros((1, size), np.int32), "segment_score": np.ones((1, size), np.float32)}
        ids = np.ones((1, 8, 8), np.uint16)
        return {"instances": Field("instances", ids, ids > 0, "segment", tables=tables)}

    pixels, cameras = np.zeros((2, 8, 8, 3), np.uint8), layouts.cubemap(8)[:2]
    if reason:
        with pytest.raises(ValueError, match=reason):
            looking.look(teacher, pixels, cameras, {}, ("instances",), 1)
    else:
        assert looking.look(teacher, pixels, cameras, {}, ("instances",), 1)["instances"].tables["segment_class"].shape == (2, 2)
