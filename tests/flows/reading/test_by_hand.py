"""Stores that were written by hand, by what the documents say of them: values in their units, versions, and errors that help."""

from __future__ import annotations

import base64
import io
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import panolabel
from configs.settings import ConfigError
from flows.reading.absent import NotThere
from storage.arrays import DamagedBlock
from tests.support.written_by_hand import CLASSES, H, W, arrays, write_block

OLD, NEW = "0" * 15 + "1", "f" * 15 + "2"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two versions: of the older one church alone, of the newer one church, attic and a panorama that was given up."""
    farther = {**arrays(), "depth": np.full((H, W), 9, np.float16)}
    write_block(tmp_path, NEW, ["church", "bad", "attic"], [arrays(), arrays(), farther], given_up={"bad": "black"}, started=2.0)
    write_block(tmp_path, OLD, ["church"], [farther], started=1.0)
    return tmp_path


@pytest.fixture
def labels(root: Path) -> panolabel.Labels:
    return panolabel.open(root)["church"]


def test_depth_is_in_metres_and_nan_where_it_is_not_valid(labels: panolabel.Labels) -> None:
    expected = np.full((H, W), 2.5, np.float32)
    expected[0, 0] = np.nan
    assert labels.depth.dtype == np.float32
    np.testing.assert_array_equal(labels.depth, expected)
    assert labels.about["depth_unit"] == "metre"


def test_a_valid_zero_is_no_nan(tmp_path: Path) -> None:
    """Validity is the mask's own, never a magic value."""
    write_block(tmp_path, NEW, ["a"], [{"depth": np.zeros((H, W), np.float16), "depth_valid": np.ones((H, W), bool)}])
    assert (panolabel.open(tmp_path)["a"].depth == 0).all()


def test_normals_are_unit_vectors_in_the_world_frame(labels: panolabel.Labels) -> None:
    normals = labels.normals
    assert (normals.dtype, normals.shape) == (np.float32, (H, W, 3))
    np.testing.assert_allclose(normals[0, 0], [0, 0, -1], atol=1e-7)
    np.testing.assert_allclose(normals[1, 1], [0, 0.5**0.5, 0.5**0.5], atol=1e-6)
    assert np.isnan(normals[3, 7]).all()
    assert np.isnan(normals).sum() == 3


def test_classes_have_names_and_a_mask(labels: panolabel.Labels) -> None:
    assert labels.classes == tuple(CLASSES)
    assert labels.semantics.dtype == np.uint8
    assert labels.classes[labels.semantics[2, 7]] == "chair"
    assert np.argwhere(~labels.semantics_valid).tolist() == [[0, 5]]
    assert not labels.sky.any()
    assert (labels.views == 3).all()


def test_shares_are_of_one_and_nothing_to_compare_is_nan(labels: panolabel.Labels) -> None:
    assert labels["depth_consistency"][1, 1] == np.float32(51 / 255)
    assert np.isnan(labels["depth_consistency"][0, 0])
    assert (labels["semantics_confidence"] == np.float32(204 / 255)).all()


def test_instances_have_whole_masks(labels: panolabel.Labels) -> None:
    seam, hidden = labels.instances
    assert (seam.id, seam.name, seam.score, seam.area, seam.over_seam) == (1, "chair", 0.75, 0.5, True)
    assert np.argwhere(seam.mask).tolist() == [[2, 0], [2, 1], [2, 6], [2, 7]]
    assert (hidden.agreement, hidden.direction.tolist(), hidden.views.tolist()) == (0.25, [1, 0, 0], [False, True])
    assert np.argwhere(hidden.mask).tolist() == [[3, 3], [3, 4], [3, 5]]
    assert np.argwhere(labels["instances"] == 2).tolist() == [[3, 4]]
    assert labels["instance_score"].tolist() == [0.75, 0.5]


def test_a_mapping_of_all_that_is_stored(labels: panolabel.Labels) -> None:
    assert set(labels) == set(arrays())
    assert "points" not in labels
    assert {name: array.shape[:2] for name, array in labels.items() if name == "depth"} == {"depth": (H, W)}


def test_stages_versions_and_items_are_listed(root: Path) -> None:
    store = panolabel.open(root)
    assert list(store.stages) == ["fuse"]
    assert (list(store), len(store), "bad" in store) == (["attic", "church"], 2, False)
    fuse = store.stage("fuse")
    assert [(one.fingerprint, one.blocks, one.current) for one in fuse.versions] == [(NEW, 1, False), (OLD, 1, False)]
    assert (fuse.fingerprint, fuse.given_up) == (NEW, {"bad": "black"})
    assert fuse.version(OLD[:4])["church"].depth[0, 1] == 9
    assert panolabel.open(root, "fuse", OLD)["church"].version == OLD


def test_of_two_blocks_with_one_item_the_newer_one_counts(root: Path) -> None:
    """As after a file changed: its block has a new name, and the former block lies there until gc."""
    near = {**arrays(), "depth": np.ones((H, W), np.float16)}
    write_block(root, NEW, ["church"], [near], block="000000-ba9876543210", started=3.0)
    assert panolabel.open(root)["church"].depth[1, 1] == 1


@pytest.mark.parametrize(
    ("ask", "error", "told"),
    [
        (lambda store: store["chruch"], NotThere, "did you mean 'church'?"),
        (lambda store: store["bad"], NotThere, "it was quarantined: black"),
        (lambda store: store.stage("fuze"), NotThere, "did you mean 'fuse'?"),
        (lambda store: store.stage("fuse").version("9"), NotThere, f"there are {NEW}, {OLD}"),
        (lambda store: store["church"]["depht"], NotThere, "did you mean 'depth'?"),
        (lambda store: store["church"].cameras, NotThere, "has no views at fuse"),
        (lambda store: store["church"].panorama, ConfigError, "panolabel.open('PIPELINE.yaml')"),
        (lambda store: store["church"].lineage(), ConfigError, "no record in"),
    ],
)
def test_errors_name_the_nearest_and_what_to_do(root: Path, ask, error, told: str) -> None:
    with pytest.raises(error, match=re.escape(told)):
        ask(panolabel.open(root))


def test_a_receipt_makes_a_label_readable_and_nothing_else(root: Path) -> None:
    (root / "stages" / "fuse" / NEW / "000000-0123456789ab" / "receipt.json").unlink()
    assert [one.fingerprint for one in panolabel.open(root).stage("fuse").versions] == [OLD]


def test_damage_is_told_and_never_read_as_zeros(root: Path) -> None:
    labels = panolabel.open(root)["church"]
    chunk = next(path for path in (root / "stages/fuse" / NEW).rglob("*") if "/depth/c/" in path.as_posix() and path.is_file())
    chunk.unlink()
    with pytest.raises(DamagedBlock):
        _ = labels.depth


def test_what_is_no_store_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=re.escape(f"panolabel run CONFIG --root {tmp_path}")):
        panolabel.open(tmp_path)
    (tmp_path / "stages").mkdir()
    with pytest.raises(ConfigError, match=r"no stage of .* gives labels; it has none with a receipt"):
        panolabel.open(tmp_path)["church"]


def test_as_xarray(labels: panolabel.Labels) -> None:
    pytest.importorskip("xarray")
    found = labels.to_xarray()
    assert found.depth.dims == ("latitude", "longitude")
    assert found.depth.attrs["units"] == "metre"
    np.testing.assert_allclose(found.latitude, np.array([3, 1, -1, -3]) * np.pi / 8)
    np.testing.assert_allclose(found.longitude[:2], np.array([-7, -5]) * np.pi / 8)
    assert found.normals.dims == ("latitude", "longitude", "axis")
    assert list(found.axis.values) == ["x", "y", "z"]
    assert found.semantics.attrs["flag_meanings"] == "wall chair sky"
    assert float(found.depth.sel(latitude=0.3, longitude=0.1, method="nearest")) == 2.5
    assert (found.attrs["item"], found.attrs["version"]) == ("church", NEW)


def test_without_xarray_the_extra_is_named(labels: panolabel.Labels, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "xarray", None)
    monkeypatch.delitem(sys.modules, "flows.reading.as_xarray", raising=False)
    with pytest.raises(ModuleNotFoundError, match=re.escape("pip install 'panolabel[xarray]'")):
        labels.to_xarray()


def test_a_notebook_shows_pictures(labels: panolabel.Labels, root: Path) -> None:
    html = labels._repr_html_()
    (encoded,) = re.findall(r'src="data:image/png;base64,([^"]+)"', html)
    with Image.open(io.BytesIO(base64.b64decode(encoded))) as picture:
        assert (picture.format, picture.width) == ("PNG", 960)
    store = panolabel.open(root)
    assert NEW in store._repr_html_()
    assert OLD in store.stage("fuse")._repr_html_()


def test_names_are_no_markup(tmp_path: Path) -> None:
    write_block(tmp_path, NEW, ["<b>x"], [arrays()])
    store = panolabel.open(tmp_path)
    assert "<b>x" not in store["<b>x"]._repr_html_()
