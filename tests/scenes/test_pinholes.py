"""Procedural pinhole images: the same bytes every time, whole masks as of objects alone, classes by their names."""

from pathlib import Path

import numpy as np
import pytest

from scenes.pinholes import CATEGORIES, write_pinholes
from tasks.seamless.reading import open_seamless_data
from tasks.seamless.vocabularies import K2B, THINGS


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pinholes")
    write_pinholes(folder, "train", 5, 48, 96, processes=1)
    write_pinholes(folder, "val", 2, 48, 96, processes=1)
    return folder


def test_the_same_arguments_give_the_same_bytes(root: Path, tmp_path: Path) -> None:
    write_pinholes(tmp_path, "val", 2, 48, 96, processes=2)
    files = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file())
    assert len(files) == 6
    assert all((tmp_path / file).read_bytes() == (root / file).read_bytes() for file in files)


def test_it_reads_as_kitti360_aps(root: Path) -> None:
    data = open_seamless_data("kitti360_aps", str(root), "train")
    assert [entry.item for entry in data.entries] == [f"train/{seed:06d}" for seed in range(5)]
    hidden = 0
    for index in range(len(data)):
        image, truth = data.labelled(index)
        assert image.shape == (48, 96, 3)
        assert truth.wholes is not None
        assert not (truth.visible & ~truth.wholes).any()
        assert not truth.crowd.any()
        assert (truth.semantics < len(K2B)).all()
        np.testing.assert_array_equal(truth.visible.any(axis=0), truth.semantics >= THINGS.start)
        hidden += int((truth.wholes.sum(axis=(1, 2)) > truth.visible.sum(axis=(1, 2))).sum())
    assert hidden > 0, "somebody stands behind something"


def test_categories_have_the_numbers_of_their_names() -> None:
    assert all(K2B[number] == name for name, number in CATEGORIES.values())
