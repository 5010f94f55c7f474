"""Wrong roots, damaged files, other frames: the message names what was expected and where, and nothing wrong is let through."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from storage.items import Item
from tasks.ingest.check import check_entry
from tasks.ingest.datasets import DATA_SETS
from tasks.ingest.datasets.inspection import inspect
from tasks.ingest.datasets.listing import guess_kind, list_entries
from tasks.ingest.datasets.reading import read_data_set_truth
from tasks.ingest.entries import SourceError
from tasks.ingest.settings import Ingest, Source
from tasks.stage.job import BadItem
from tests.support.datasets import WRITERS, box_room, dpt, npy, parquet, png, structured3d_normals

HEIGHT = 32
ROOM = box_room(HEIGHT)
FULL = "scene_03250/2D_rendering/485/panorama/full"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "set"


def written(kind: str, root: Path) -> Source:
    WRITERS[kind](str(root), ROOM)
    return Source(kind=kind, url=str(root))


@pytest.mark.parametrize("kind", sorted(DATA_SETS))
def test_an_empty_root_says_what_was_expected(kind: str, root: Path) -> None:
    root.mkdir()
    layout = DATA_SETS[kind].layout
    with pytest.raises(
        SourceError, match=re.escape(f"no panoramas of {kind} found; expected are {layout.example} below the root")
    ):
        list_entries(Source(kind=kind, url=str(root)))
    assert layout.pattern.fullmatch(re.sub(r"<\w+>", "x", layout.example)), "the example is one"


def test_a_root_that_is_not_there_says_so_too(root: Path) -> None:
    with pytest.raises(SourceError, match="there is no such folder or file"):
        list_entries(Source(kind="structured3d", url=str(root / "nowhere")))


@pytest.mark.parametrize("wrong", ["..", "scene_03250", FULL], ids=["too high", "too low", "far too low"])
def test_a_root_beside_the_right_one_is_corrected(wrong: str, root: Path) -> None:
    written("structured3d", root)
    with pytest.raises(SourceError, match=re.escape(f"such files lie below {root}: write that as root")):
        list_entries(Source(kind="structured3d", url=str((root / wrong).resolve())))


def test_another_data_set_is_not_taken_for_this_one(root: Path) -> None:
    written("replica360_4k", root)
    with pytest.raises(SourceError, match=r"no panoramas of structured3d found.*correct root, or the kind"):
        list_entries(Source(kind="structured3d", url=str(root)))


def test_an_unknown_split_names_those_that_are_there(root: Path) -> None:
    source = written("structured3d", root).model_copy(update={"split": "dev"})
    with pytest.raises(
        SourceError, match=r"no panorama is in the split 'dev'; there are 'test' \(1\), 'train' \(1\), 'val' \(1\)"
    ):
        list_entries(source)


def test_a_missing_list_of_the_split_is_named(root: Path) -> None:
    source = written("matterport3d360", root).model_copy(update={"split": "test"})
    (root / "scenes_test.txt").unlink()
    with pytest.raises(SourceError, match=r"splits are listed in scenes_<split>\.txt below the root"):
        list_entries(source)


def test_a_panorama_without_truth_is_no_error_and_one_with_half_of_it_is(root: Path) -> None:
    source = written("replica360_4k", root)
    first, second = list_entries(source)
    (root / "office_0/0000_mask_pano.png").unlink()
    with pytest.raises(BadItem, match=r"0000_mask_pano\.png is missing, without which depth cannot be used"):
        read_data_set_truth(source, first.uri)
    (root / "office_0/0000_depth_pano.dpt").unlink()
    assert read_data_set_truth(source, first.uri) == ({}, {})
    assert read_data_set_truth(source, second.uri)[0]
    assert inspect(source).problems[:2] == ("1 panoramas have no depth", "1 panoramas have no mask")
    assert "0000_depth_pano.dpt" in inspect(source).problems[2]


class Payload:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple:
        return Path.touch, (self.mark,)


GREY = png(np.ones((HEIGHT, 2 * HEIGHT), np.uint16))
DAMAGED: dict[str, tuple[str, bytes, str]] = {
    "cut PNG": ("depth.png", GREY[:-30], "truth cannot be read as that of structured3d"),
    "no PNG": ("depth.png", b"<html>not found</html>", "is no PNG, JPEG, TIFF"),
    "colours for depth": ("depth.png", png(ROOM.image), r"shape \(32, 64, 3\), not 1 channel"),
    "grey for normals": ("normal.png", GREY, "not 3 channel"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_file_is_named(name: str, root: Path) -> None:
    file, data, expected = DAMAGED[name]
    source = written("structured3d", root).model_copy(update={"split": "test"})
    (root / FULL / file).write_bytes(data)
    with pytest.raises(BadItem, match=expected) as caught:
        read_data_set_truth(source, list_entries(source)[0].uri)
    assert str(root / FULL / file) in str(caught.value)


def test_arrays_of_different_sizes_are_refused(root: Path) -> None:
    source = written("structured3d", root).model_copy(update={"split": "test"})
    (root / FULL / "depth.png").write_bytes(png(np.ones((8, 16), np.uint16)))
    with pytest.raises(BadItem, match=r"differ in size: depth \(8, 16\), normals \(32, 64\), semantics \(32, 64\)"):
        read_data_set_truth(source, list_entries(source)[0].uri)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "shorter than its header"),
        (b"HEIP" + dpt(ROOM.depth)[4:], "not 202021"),
        (dpt(ROOM.depth)[:-4], "says 64x32 and has 8188 bytes"),
        (dpt(ROOM.depth)[:4] + b"\xff" * 8 + dpt(ROOM.depth)[12:], "says -1x-1"),
    ],
)
def test_a_damaged_dpt_file_is_refused(data: bytes, expected: str, root: Path) -> None:
    source = written("matterport3d360", root)
    (root / "1_of_3/data/aaa/x1_depth.dpt").write_bytes(data)
    with pytest.raises(BadItem, match=expected):
        read_data_set_truth(source, list_entries(source)[0].uri)


def test_a_pickle_in_a_cell_is_not_run(root: Path) -> None:
    mark = root / "ran"
    image = {"bytes": png(ROOM.image), "path": None}
    (root / "data/indoor").mkdir(parents=True)
    pickled = npy(np.array([Payload(mark)], dtype=object))
    (root / "data/indoor/val-00000.parquet").write_bytes(parquet([{"image": image, "depth": pickled}]))
    source = Source(kind="panoinfinigen", url=str(root))
    with pytest.raises(BadItem, match="Object arrays cannot be loaded"):
        read_data_set_truth(source, list_entries(source)[0].uri)
    assert not mark.exists()


def test_parquet_files_of_something_else_are_told_apart(root: Path) -> None:
    (root / "data").mkdir(parents=True)
    (root / "data/test-00000-of-00001.parquet").write_bytes(parquet([{"text": "hello"}]))
    with pytest.raises(SourceError, match="has the columns text, and none is 'rgb'"):
        list_entries(Source(kind="zuripano", url=str(root)))
    assert guess_kind(str(root)) == "files"
    (root / "data/test-00000-of-00001.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(SourceError, match="cannot be read as Parquet"):
        list_entries(Source(kind="zuripano", url=str(root)))


def garbled(data: bytes, generator: np.random.Generator) -> list[bytes]:
    """Files that something has happened to."""
    flipped = bytearray(data)
    for at in generator.integers(0, len(data), 20):
        flipped[at] ^= 255
    return [b"", data[: len(data) // 2], data[:-1], bytes(flipped), generator.bytes(200), b"\0" * len(data), b"[[1], {}, null]"]


@pytest.mark.parametrize("kind", sorted(WRITERS))
def test_whatever_happens_to_a_file_is_one_panoramas_reason(kind: str, root: Path) -> None:
    source = written(kind, root)
    entry = list_entries(source)[-1]
    generator = np.random.default_rng(list(kind.encode()))
    urls = DATA_SETS[kind].layout.truth(source.url, entry.uri)
    refused = 0
    for file in sorted({Path(url.partition("::")[2] or url) for url in urls.values()}):
        if not file.exists():
            continue
        data = file.read_bytes()
        for wrong in garbled(data, generator):
            file.write_bytes(wrong)
            try:
                truth, _ = read_data_set_truth(source, entry.uri)
            except ValueError:
                refused += 1
            else:
                assert all(np.isfinite(array).all() for array in truth.values())
            assert isinstance(check_entry(entry, Ingest(min_width=16)), Item)
        file.write_bytes(data)
    assert refused >= 4
    assert read_data_set_truth(source, entry.uri)[0]


FRAMES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "left for right": lambda n: n * [-1, 1, 1],
    "down for up": lambda n: n * [1, -1, 1],
    "forward for back": lambda n: n * [1, 1, -1],
    "away from the camera": lambda n: -n,
    "two axes swapped": lambda n: n[..., [1, 0, 2]],
}


@pytest.mark.parametrize("name", FRAMES)
def test_normals_of_another_frame_are_refused(name: str, root: Path) -> None:
    source = written("structured3d", root).model_copy(update={"split": "test"})
    (root / FULL / "normal.png").write_bytes(png(structured3d_normals(FRAMES[name](ROOM.normals))))
    with pytest.raises(BadItem, match=r"of its normals face the camera, so they are in another frame"):
        read_data_set_truth(source, list_entries(source)[0].uri)


def test_depth_along_an_axis_is_noticed(root: Path) -> None:
    """Distance along the axis of the cube's face, which is constant on each wall here, instead of along the ray."""
    source = written("structured3d", root).model_copy(update={"split": "test"})
    assert inspect(source).problems == ()
    along_axis = np.abs(ROOM.depth * box_cosine())
    (root / FULL / "depth.png").write_bytes(png(np.round(along_axis * 1000).astype(np.uint16)))
    (problem,) = inspect(source).problems
    assert "normals and depth contradict each other" in problem


def box_cosine() -> np.ndarray:
    """Cosine between each ray and the axis of the cube face that it goes through."""
    longitude = ((np.arange(2 * HEIGHT) + 0.5) / (2 * HEIGHT) - 0.5) * 2 * np.pi
    latitude = (0.5 - (np.arange(HEIGHT) + 0.5) / HEIGHT) * np.pi
    theta, phi = np.meshgrid(longitude, latitude)
    rays = np.stack([np.cos(phi) * np.sin(theta), -np.sin(phi), np.cos(phi) * np.cos(theta)], axis=-1)
    return np.abs(rays).max(axis=-1)


def test_links_that_lead_out_of_the_root_are_refused(root: Path, tmp_path: Path) -> None:
    source = written("structured3d", root)
    image = root / FULL / "rgb_rawlight.png"
    outside = shutil.move(image, tmp_path / "outside.png")
    image.symlink_to(outside)
    with pytest.raises(SourceError, match="leads out of"):
        list_entries(source)


def test_a_link_to_nothing_is_one_panoramas_reason(root: Path) -> None:
    source = written("structured3d", root)
    (root / FULL / "rgb_rawlight.png").unlink()
    (root / FULL / "rgb_rawlight.png").symlink_to(root / "gone.png")
    reasons = {entry.item: check_entry(entry, Ingest(min_width=16)).reason for entry in list_entries(source)}
    assert reasons == {"scene_00000/485": "", "scene_03000/485": "", "scene_03250/485": "there is no such file"}
