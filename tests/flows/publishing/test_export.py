"""Exports, read back by the libraries that they are for."""

from __future__ import annotations

import io
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from flows.publishing.export import export
from flows.stores.finished import NotFinished
from storage.arrays import BlockReader
from storage.published.samples import shard_counts
from tasks.ingest.check import check_entry
from tasks.ingest.entries import Entry
from tasks.ingest.panorama import load_panorama
from tests.support.commands import panolabel
from tests.support.pipelines import load, run_pipeline, write_pipeline
from tests.support.stages import source_of

webdataset = pytest.importorskip("webdataset")
datasets = pytest.importorskip("datasets")


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory, prefect_api: str) -> Path:
    path = write_pipeline(tmp_path_factory.mktemp("export"), 5)
    run_pipeline(load(path))
    return path


def stored(path: Path) -> dict[str, dict[str, np.ndarray]]:
    """The labels of every item as the store has them."""
    labels = {}
    for receipt in (path.parent / "store/stages/fuse").rglob("receipt.json"):
        for slot, row in enumerate(json.loads(receipt.read_text())["items"]):
            labels[row["item"]] = BlockReader(str(receipt.parent)).item(slot)
    return labels


def decode(data: bytes, name: str) -> np.ndarray:
    if name == "semantics":
        return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    return np.load(io.BytesIO(data))


def test_webdataset_reads_what_the_store_holds(path: Path, tmp_path: Path) -> None:
    index = export(load(path), "webdataset", str(tmp_path / "out"), shard_bytes=200_000)
    assert len(index["shards"]) > 1
    again = export(load(path), "webdataset", str(tmp_path / "again"), shard_bytes=200_000)
    assert again == index, "the same labels give the same bytes"
    files = [str(tmp_path / "out" / shard["file"]) for shard in index["shards"]]
    seen, expected = set(), stored(path)
    for sample in webdataset.WebDataset(files, shardshuffle=False):
        about = json.loads(sample["json"])
        seen.add(about["item"])
        assert sample["png"] == (path.parent / "images" / f"{about['item']}.png").read_bytes()
        for name, value in expected[about["item"]].items():
            got = decode(sample["semantics.png" if name == "semantics" else f"{name}.npy"], name)
            np.testing.assert_array_equal(got, value)
            assert got.dtype == value.dtype
    assert seen == set(expected)


def test_datasets_reads_what_the_store_holds(path: Path, tmp_path: Path) -> None:
    export(load(path), "parquet", str(tmp_path / "out"), shard_bytes=200_000)
    names = sorted(str(file) for file in (tmp_path / "out").rglob("*.parquet"))
    assert names[0].endswith(f"train/train-00000-of-{len(names):05d}.parquet")
    read = datasets.load_dataset("parquet", data_files={"train": names}, cache_dir=str(tmp_path / "cache"))["train"]
    assert isinstance(read.features["image"], datasets.Image)
    assert isinstance(read.features["semantics"], datasets.Image)
    expected = stored(path)
    assert set(read["item"]) == set(expected)
    for row in read:
        image = cv2.imread(str(path.parent / "images" / f"{row['item']}.png"))[:, :, ::-1]
        np.testing.assert_array_equal(np.asarray(row["image"]), image)
        for name, value in expected[row["item"]].items():
            got = np.asarray(row["semantics"]) if name == "semantics" else decode(row[f"{name}_npy"], name)
            np.testing.assert_array_equal(got, value)


def test_a_changed_image_leaves_no_index_and_old_shards_go(tmp_path: Path, prefect_api: str) -> None:
    path = write_pipeline(tmp_path, 2)
    run_pipeline(load(path))
    out = tmp_path / "out"
    assert len(export(load(path), "webdataset", str(out), shard_bytes=1)["shards"]) == 2
    told = panolabel("export", path, out, "--to", "webdataset")
    assert (told.returncode, told.stdout) == (0, f"2 panoramas in 1 shards in {out}\n"), told.stderr
    assert sorted(file.name for file in out.iterdir()) == ["index.json", "train-00000.tar"]
    (tmp_path / "images" / "p01.png").write_bytes(b"other bytes")
    with pytest.raises(NotFinished, match="changed since it was labelled"):
        export(load(path), "webdataset", str(out), allow_incomplete=True)
    assert not (out / "index.json").exists()
    assert panolabel("export", path, out, "--to", "csv").returncode == 2


def turned(pixels: np.ndarray, kind: str) -> bytes:
    """Upside down, with the EXIF orientation that says so."""
    exif, buffer = Image.Exif(), io.BytesIO()
    exif[0x0112] = 3
    Image.fromarray(pixels[::-1, ::-1].copy()).save(buffer, kind, exif=exif, **({"quality": 95} if kind == "JPEG" else {}))
    return buffer.getvalue()


@pytest.mark.parametrize("layout", ["webdataset", "parquet"])
def test_what_is_exported_lies_on_the_labels(tmp_path: Path, prefect_api: str, layout: str) -> None:
    """By decoders that know nothing of EXIF, of bands or of light: those of webdataset and datasets."""
    path = write_pipeline(tmp_path, 1)
    images = tmp_path / "images"
    upright = cv2.imread(str(images / "p00.png"))[..., ::-1]
    (images / "p01.jpg").write_bytes(turned(upright, "JPEG"))
    (images / "p02.png").write_bytes(turned(upright, "PNG"))
    cv2.imwrite(str(images / "p03.hdr"), (upright / 255).astype(np.float32))
    Image.fromarray(upright[10:38]).save(images / "p04.png")
    (images / "p04.json").write_text(json.dumps({"vertical_degrees": 28 / 48 * 180}))
    run_pipeline(load(path))
    export(load(path), layout, str(tmp_path / "out"))
    if layout == "webdataset":
        samples = list(webdataset.WebDataset([str(tmp_path / "out/train-00000.tar")], shardshuffle=False).decode("rgb8"))
        read = [(one["json"], one["png"] if "png" in one else one["jpg"]) for one in samples]
    else:
        file = next(str(file) for file in (tmp_path / "out").rglob("*.parquet"))
        rows = datasets.load_dataset("parquet", data_files={"train": [file]}, cache_dir=str(tmp_path / "cache"))["train"]
        read = [({**json.loads(row["about"]), "item": row["item"]}, np.asarray(row["image"])) for row in rows]
    shown = {about["item"]: image.astype(int) for about, image in read}
    told = {about["item"]: about["image"] for about, _ in read}
    assert told == {"p00": "file", "p01": "drawn anew", "p02": "drawn anew", "p03": "drawn anew", "p04": "drawn anew"}
    for name in ("p00", "p02"):
        np.testing.assert_array_equal(shown[name], upright)
    assert np.abs(shown["p01"] - upright).mean() < 3
    settings = source_of(load(path)).settings
    item = check_entry(Entry("p03", str(images / "p03.hdr"), 1, ""), settings)
    np.testing.assert_array_equal(shown["p03"], load_panorama(item, settings).pixels)
    np.testing.assert_array_equal(shown["p04"][10:38], upright[10:38])
    assert not shown["p04"][:10].any()


def test_shards_stay_within_their_limit() -> None:
    assert shard_counts([4, 4, 4, 20, 1], 8) == [2, 1, 1, 1]
    assert shard_counts([], 8) == []
