"""What is made of all panoramas at once takes no more memory for more of them."""

import tracemalloc
from pathlib import Path

import numpy as np

from configs.pipeline import Config
from models.adaptation.thresholds import BINS
from storage.arrays import BlockReader, BlockWriter
from storage.receipts import Receipt, digest_files, write_receipt
from storage.rows import ItemRow
from tasks.adapt import thresholds
from tasks.pipeline import validated
from tasks.stage.grain import of_all, of_block
from tests.support.discs import write_source_model
from tests.support.stages import job_of, stage_of

CLASSES = 6


def write_histograms(config: Config, name: str, seed: int) -> np.ndarray:
    """A finished block of the stage ``scores``."""
    block, stage = of_block(name), stage_of(config, "adapt.scores")
    url = stage.block_url(block.name)
    counts = np.random.default_rng(seed).integers(0, 3, (3, CLASSES, BINS))
    writer = BlockWriter(url, 1)
    writer.append({"histograms": counts})
    writer.close()
    about = {"classes": [f"c{index}" for index in range(CLASSES)], "things": [4, 6]}
    rows = [ItemRow(name, "done")]
    made = {"run": "test", "seconds": 0.0, "device": "cpu", "versions": {}}
    write_receipt(url, Receipt("scores", stage.identity.fingerprint, block.name, rows, digest_files(url), about, made))
    return counts


def test_memory_does_not_grow_with_the_number_of_blocks(tmp_path: Path) -> None:
    write_source_model(tmp_path / "model")
    stages = {"ingest": {"source": {"url": "memory://none"}}, "adapt": {"model": str(tmp_path / "model"), "height": 384}}
    config = validated({"name": "many", "root": str(tmp_path), "stages": stages})
    names = [f"{index:06d}-{index:012x}" for index in range(24)]
    total = sum(write_histograms(config, name, index) for index, name in enumerate(names))
    peaks = {}
    for count in (2, 4, 24):  # the first one pays for imports
        job = job_of(config, "adapt.thresholds", of_all(names[:count]))
        tracemalloc.start()
        receipt = thresholds.thresholds_block(job)
        peaks[count] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peaks[24] < 1.1 * peaks[4] + 100_000, peaks
    assert peaks[4] > 3 * CLASSES * BINS * 8, "one block's histograms are in memory"
    stored = BlockReader(job.url, receipt.files).item(0)
    assert (stored["predictions"][0] == total[0].sum(axis=1)).all()
    assert (stored["predictions"][1] == total[1][:, int(0.05 * BINS) :].sum(axis=1)).all(), "scores below the least do not count"
