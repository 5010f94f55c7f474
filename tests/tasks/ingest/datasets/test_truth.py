"""Every data set, written file by file in its layout, is read back as the room that it shows: metres, frame, masks, splits."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import fsspec
import numpy as np
import pytest

from geometry.directions import erp_area_weights
from metrics.panorama import evaluate_item
from metrics.protocols import protocol_named
from storage.urls import read_bytes
from tasks.ingest.check import check_entry
from tasks.ingest.datasets import DATA_SETS
from tasks.ingest.datasets.inspection import inspect, normals_against_depth
from tasks.ingest.datasets.listing import guess_kind, list_entries
from tasks.ingest.datasets.reading import read_data_set_truth
from tasks.ingest.entries import SourceError
from tasks.ingest.settings import DataSetKind, Ingest, Source
from tests.support.datasets import WRITERS, box_room
from tests.support.object_store import s3_bucket

HEIGHT = 64
ROOM = box_room(HEIGHT)

ITEMS = {
    "cityscapes": {"val/aachen/aachen_000000_000019": "val"},
    "densepass": {"train/200": "train", "val/cs/100": "val"},
    "matterport3d360": {"aaa/x1": "", "bbb/x1": "test"},
    "panoinfinigen": {f"{scenes}/val-00000/{row:05d}": "val" for scenes in ("indoor", "urban") for row in range(3)},
    "replica360_4k": {"office_0/0000": "", "office_0/0001": ""},
    "stanford2d3ds": {"area_1/pano/camera_0f_office_3": "train", "area_5b/pano/camera_0f_office_3": "test"},
    "structured3d": {"scene_00000/485": "train", "scene_03000/485": "val", "scene_03250/485": "test"},
    "zuripano": {"square_0": "test", "square_1": "test", "square_2": "test"},
}
DEPTH_STEP = {  # half a unit of what the files can say, in metres; float16 rounds by 1/2048
    "matterport3d360": 1e-6,
    "replica360_4k": 1e-6,
    "stanford2d3ds": 0.5 / 512,
    "structured3d": 0.5 / 1000,
    "zuripano": 100 / 65535,
    "panoinfinigen": 250 / 65535,
}
CROPPED_ROWS = {"matterport3d360": 9, "stanford2d3ds": 10}
NORMALS = {"structured3d", "panoinfinigen"}
SURFACES = {
    "cityscapes": {"floor": "road", "ceiling": "sky", "wall": "building"},
    "densepass": {"floor": "road", "ceiling": "sky", "wall": "building"},
    "stanford2d3ds": {"floor": "floor", "ceiling": "ceiling", "wall": "wall"},
    "structured3d": {"floor": "floor", "ceiling": "ceiling", "wall": "wall"},
}


@pytest.fixture(params=sorted(WRITERS))
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Source:
    WRITERS[request.param](str(tmp_path / "set"), ROOM)
    return Source(kind=request.param, url=str(tmp_path / "set"))


def seen() -> np.ndarray:
    """Where the writers leave truth: all but three columns."""
    mask = np.ones(ROOM.depth.shape, bool)
    mask[:, :3] = False
    return mask


def test_every_kind_of_the_schema_has_a_reader_and_a_test() -> None:
    assert set(get_args(DataSetKind)) == DATA_SETS.keys() == WRITERS.keys() == ITEMS.keys()
    described = Path("docs/datasets.md").read_text()
    assert all(f"\n| `{kind}` |" in described for kind in DATA_SETS)


def test_panoramas_and_splits(source: Source) -> None:
    entries = list_entries(source)
    assert {entry.item: entry.split for entry in entries} == ITEMS[source.kind]
    for entry in entries:
        assert entry.size > 0
        assert read_bytes(entry.uri).startswith((b"\x89PNG", b"\xff\xd8"))
        item = check_entry(entry, Ingest())
        assert (item.reason, item.width, item.height) == ("", 2 * HEIGHT, HEIGHT)
    for split in set(ITEMS[source.kind].values()) - {""}:
        one = list_entries(source.model_copy(update={"split": split}))
        assert {entry.item for entry in one} == {item for item, of in ITEMS[source.kind].items() if of == split}


def test_distances_are_those_of_the_room(source: Source) -> None:
    for entry in list_entries(source):
        truth, _ = read_data_set_truth(source, entry.uri)
        if source.kind not in DEPTH_STEP:
            assert "depth" not in truth
            continue
        expected = seen()
        if rows := CROPPED_ROWS.get(source.kind):
            expected[:rows] = expected[-rows:] = False
        np.testing.assert_array_equal(truth["depth_valid"], expected)
        assert truth["depth"].dtype == np.float32
        assert np.abs(truth["depth"] - ROOM.depth)[expected].max() <= DEPTH_STEP[source.kind] * 1.01 + 1e-6
        assert not truth["depth"][:, :3].any()


def test_normals_are_in_the_world_frame(source: Source) -> None:
    if source.kind not in NORMALS:
        assert all("normals" not in read_data_set_truth(source, entry.uri)[0] for entry in list_entries(source))
        return
    for entry in list_entries(source):
        truth, _ = read_data_set_truth(source, entry.uri)
        valid = truth["normals_valid"]
        assert valid[:, 6:].mean() > (0.98 if source.kind == "panoinfinigen" else 0.9999)  # short ones come of the JPEG
        straight = truth["normals"][:, 6:-6]  # the JPEG of one of them rings at the border
        degrees = np.degrees(np.arccos(np.clip((straight * ROOM.normals[:, 6:-6]).sum(-1), -1, 1)))
        assert np.median(degrees) < (1.1 if source.kind == "panoinfinigen" else 0.6)  # 8 bits, and in JPEG
        assert np.linalg.norm(truth["normals"][valid], axis=-1) == pytest.approx(1, abs=1e-5)
        horizon = truth["normals"][HEIGHT // 2]
        down, right, middle = truth["normals"][-1].mean(axis=0), horizon[96], horizon[64]
        np.testing.assert_allclose(down, [0, -1, 0], atol=0.05)  # the floor's normal is up
        np.testing.assert_allclose(right, [-1, 0, 0], atol=0.05)  # that of the wall on the right, to the left
        np.testing.assert_allclose(middle, [0, 0, -1], atol=0.05)  # that of the wall ahead, back
        angle = normals_against_depth(truth)
        assert angle is not None
        assert angle < 3


def test_classes_and_instances(source: Source) -> None:
    classes = DATA_SETS[source.kind].classes
    for entry in list_entries(source):
        truth, _ = read_data_set_truth(source, entry.uri)
        if source.kind not in SURFACES:
            assert "semantics" not in truth
            assert not classes
            continue
        if entry.item == "train/200":
            assert truth == {}
            continue
        expected = np.vectorize(SURFACES[source.kind].get)(ROOM.surface)
        known = seen()
        if source.kind == "densepass":
            known[:19] = known[44:] = False
        if source.kind == "stanford2d3ds":
            known[:10] = known[-10:] = False
        if source.kind in ("stanford2d3ds", "cityscapes"):
            expected[20:24, 20:30] = {"stanford2d3ds": "chair", "cityscapes": "car"}[source.kind]
        np.testing.assert_array_equal(truth["semantics_valid"], known)
        np.testing.assert_array_equal(np.array(classes)[truth["semantics"]][known], expected[known])
        if source.kind != "densepass":
            objects = np.zeros(ROOM.depth.shape, bool)
            objects[20:24, 20:30] = True
            np.testing.assert_array_equal(truth["instances"] > 0, objects)


def test_digests_are_those_of_the_files(source: Source) -> None:
    entry = list_entries(source)[-1]
    truth, digests = read_data_set_truth(source, entry.uri)
    assert truth
    urls = DATA_SETS[source.kind].layout.truth(source.url, entry.uri)
    assert digests
    for name, digest in digests.items():
        assert digest == hashlib.sha256(read_bytes(urls[name])).hexdigest()


def test_a_store_that_is_no_disk_gives_the_same(source: Source) -> None:
    remote = Source(kind=source.kind, url=f"memory://sets/{source.kind}")
    try:
        WRITERS[source.kind](remote.url, ROOM)
        pairs = list(zip(list_entries(source), list_entries(remote), strict=True))
        assert [here.item for here, _ in pairs] == [there.item for _, there in pairs]
        here, there = pairs[-1]
        truth, digests = read_data_set_truth(source, here.uri)
        same, same_digests = read_data_set_truth(remote, there.uri)
        assert digests.keys() == same_digests.keys()
        for name, array in truth.items():
            np.testing.assert_array_equal(array, same[name])
    finally:
        fsspec.filesystem("memory").rm("/sets", recursive=True)


def test_a_sound_root_is_recognised_and_inspected(source: Source) -> None:
    split = "val" if source.kind == "densepass" else None  # the others have no labels
    found = inspect(source.model_copy(update={"split": split}))
    assert found.problems == (("1 panoramas have no train_ids",) if split else ())
    first = next(item for item, of in sorted(ITEMS[source.kind].items()) if split in (None, of))
    assert found.seen.startswith(f"{first}: ")
    if source.kind in NORMALS:
        assert "normals within" in found.seen
    assert guess_kind(source.url) == ("files" if source.kind == "cityscapes" else source.kind)


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    with s3_bucket("sets") as url:
        yield url


@pytest.mark.parametrize("kind", ["structured3d", "matterport3d360", "zuripano"])
def test_an_object_store_gives_files_lists_and_cells(kind: str, bucket: str) -> None:
    source = Source(kind=kind, url=f"{bucket}/{kind}")
    WRITERS[kind](source.url, ROOM)
    entries = list_entries(source)
    assert {entry.item: entry.split for entry in entries} == ITEMS[kind]
    assert all(entry.stamp for entry in entries)
    assert check_entry(entries[0], Ingest()).width == 2 * HEIGHT
    truth, _ = read_data_set_truth(source, entries[0].uri)
    assert np.abs(truth["depth"] - ROOM.depth)[truth["depth_valid"]].max() < 2 * DEPTH_STEP[kind]
    with pytest.raises(SourceError, match=re.escape(f"such files lie below {bucket}/{kind}: write that as root")):
        list_entries(Source(kind=kind, url=bucket))


def test_figures_count_only_where_there_is_truth(source: Source) -> None:
    """Labels that are right where there is truth, and nonsense elsewhere, are right."""
    truth, _ = read_data_set_truth(source, list_entries(source)[-1].uri)
    everywhere = np.ones(ROOM.depth.shape, bool)
    full = np.full(ROOM.depth.shape, 255, np.uint8)
    classes = list(DATA_SETS[source.kind].classes)
    labels: dict[str, np.ndarray] = {}
    for name, confidence, nonsense in (
        ("depth", "consistency", 99.0),
        ("normals", "agreement", 1.0),
        ("semantics", "confidence", 7),
    ):
        if name in truth:
            valid = truth[f"{name}_valid"]
            labels[name] = np.where(valid.reshape(valid.shape + (1,) * (truth[name].ndim - 2)), truth[name], nonsense)
            labels |= {f"{name}_valid": everywhere, f"{name}_{confidence}": full}
    figures = evaluate_item(labels, truth, classes, classes, protocol_named("panolabel"))
    if "depth" in truth:
        assert figures["depth"]["abs_rel"] == 0
        assert figures["depth"]["sums"]["weight"] == pytest.approx(erp_area_weights(HEIGHT) @ truth["depth_valid"].sum(axis=1))
    if "normals" in truth:
        assert figures["normals"]["mean"] == pytest.approx(0, abs=0.05)
    if "semantics" in truth:
        assert figures["semantics"]["pixel_accuracy"] == figures["semantics"]["miou"] == 1
