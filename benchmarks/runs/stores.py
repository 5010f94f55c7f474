"""Times of writing and reading one block of fused labels: codec pipelines and stores, as one Markdown table.

16 panoramas of 1024x512 through ``storage.arrays``, to a folder and to an S3 server on this machine. Run from the
project's root, after ``pip install zarrs==0.2.3 obstore``::

    python -m benchmarks.runs.stores [--rounds 5] > benchmarks/results/runs/stores.md
"""

import argparse
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date
from importlib.metadata import version

import numpy as np
import obstore.store
import zarr
from numpy.typing import NDArray
from zarr.abc.store import Store
from zarr.storage import FsspecStore, LocalStore, ObjectStore

from storage import arrays
from storage.arrays import BlockReader, BlockWriter
from storage.receipts import digest_files
from tests.support.object_store import s3_bucket

ITEMS, HEIGHT = 16, 512
PEERS = ("zarr", "zarrs", "numcodecs", "fsspec", "s3fs", "obstore", "moto")
PIPELINES = {
    "zarr's own": "zarr.core.codec_pipeline.BatchedCodecPipeline",
    "zarrs": "zarrs.ZarrsCodecPipeline",
}
Opener = Callable[[str, bool], Store]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    load = os.getloadavg()[0]
    items = [labels(seed) for seed in range(ITEMS)]
    rows = []
    with tempfile.TemporaryDirectory() as folder, s3_bucket("stores") as bucket:
        cases = {("folder", "LocalStore", name): (folder, local_store, pipeline) for name, pipeline in PIPELINES.items()} | {
            ("folder", "obstore", "zarr's own"): (folder, local_obstore, PIPELINES["zarr's own"]),
            ("S3", "fsspec", "zarr's own"): (bucket, fsspec_store, PIPELINES["zarr's own"]),
            ("S3", "fsspec", "zarrs"): (bucket, fsspec_store, PIPELINES["zarrs"]),
            ("S3", "obstore", "zarr's own"): (bucket, s3_obstore, PIPELINES["zarr's own"]),
        }
        times: dict[tuple[str, str, str], list[tuple[float, float]]] = {case: [] for case in cases}
        digests: dict[tuple[str, str, str], object] = {}
        failed: dict[tuple[str, str, str], str] = {}
        for round_number in range(rounds + 1):
            for number, (case, (root, opener, pipeline)) in enumerate(cases.items()):
                if case in failed:
                    continue
                url = f"{root}/{round_number}-{number}"
                try:
                    measured = measure(url, items, opener, pipeline)
                except Exception as error:  # a peer that cannot do it says so in its row
                    failed[case] = f"{type(error).__name__}: {str(error)[:80]}"
                    continue
                digests[case] = digest_files(url)
                if round_number:  # the first warms up
                    times[case].append(measured)
    first = next(iter(digests.values()))
    for case, pairs in times.items():
        if case in failed:
            rows.append([*case, "-", "-", failed[case]])
            continue
        write, read = (statistics.median(column) * 1000 for column in zip(*pairs, strict=True))
        rows.append([*case, f"{write:.0f}", f"{read:.0f}", "yes" if digests[case] == first else "**no**"])
    report(rows, rounds, load, sum(array.nbytes for array in items[0].values()) * ITEMS)


def labels(seed: int) -> dict[str, NDArray]:
    """Labels such as ``fuse`` stores: smooth distances, normals with noise, regions of classes."""
    generator = np.random.default_rng(seed)
    rows, columns = np.mgrid[:HEIGHT, : 2 * HEIGHT] / HEIGHT
    depth = 3 + np.sin(3 * columns + seed) + np.cos(2 * rows)
    normals = np.stack([np.sin(columns), np.cos(rows), np.sin(rows + columns)], axis=-1) * 120
    return {
        "depth": (depth + generator.normal(0, 0.01, depth.shape)).astype(np.float16),
        "depth_valid": depth > 2,
        "normals": (normals + generator.normal(0, 2, normals.shape)).astype(np.int8),
        "semantics": (4 * rows + 2 * columns).astype(np.uint8),
        "semantics_confidence": generator.integers(180, 255, depth.shape).astype(np.uint8),
    }


def measure(url: str, items: list[dict[str, NDArray]], opener: Opener, pipeline: str) -> tuple[float, float]:
    """Seconds to write the block, and to read all of its items one by one; ValueError if they come back otherwise."""
    arrays.zarr_store = lambda url, read_only=False: opener(url, read_only)
    with zarr.config.set({"codec_pipeline.path": pipeline}):
        started = time.perf_counter()
        writer = BlockWriter(url, ITEMS)
        for item in items:
            writer.append(item)
        writer.close()
        written = time.perf_counter()
        reader = BlockReader(url)
        read = [reader.item(slot) for slot in range(ITEMS)]
        done = time.perf_counter()
    for got, item in zip(read, items, strict=True):
        if any(not np.array_equal(got[name], item[name]) for name in item):
            raise ValueError("reads back other values")
    return written - started, done - written


def local_store(url: str, read_only: bool) -> Store:
    """Zarr's own store of a folder."""
    return LocalStore(url, read_only=read_only)


def local_obstore(url: str, read_only: bool) -> Store:
    """A folder through obstore."""
    return ObjectStore(obstore.store.LocalStore(url, mkdir=True), read_only=read_only)


def fsspec_store(url: str, read_only: bool) -> Store:
    """S3 through s3fs: what panolabel uses."""
    return FsspecStore.from_url(url, read_only=read_only, allowed_exceptions=(FileNotFoundError,))


def s3_obstore(url: str, read_only: bool) -> Store:
    """S3 through obstore."""
    endpoint = os.environ["AWS_ENDPOINT_URL"]
    store = obstore.store.S3Store.from_url(url, endpoint=endpoint, client_options={"allow_http": True})
    return ObjectStore(store, read_only=read_only)


def report(rows: list[list[str]], rounds: int, load: float, size: int) -> None:
    """Print the page."""
    versions = ", ".join(f"{peer} {version(peer)}" for peer in PEERS)
    print(f"# Stores: one block of fused labels, {ITEMS} panoramas of {2 * HEIGHT}x{HEIGHT}, {size / 1e6:.0f} MB raw\n")
    print(f"{os.cpu_count()} CPU cores, {platform.system()}; {versions}; {date.today()}; `python -m benchmarks.runs.stores`.\n")
    print(f"Median of {rounds} interleaved rounds after one to warm up; the write, and 16 reads of one item each. The S3 server")
    print("is moto, in the same process, so its times say what the client costs and nothing of a network. Other processes share")
    print(f"the machine: load average {load:.1f} before, {os.getloadavg()[0]:.1f} after. *Same bytes*: as the first row's.\n")
    print("| where | store | codec pipeline | write, ms | read, ms | same bytes |\n|---|---|---|---|---|---|")
    for row in rows:
        print(f"| {' | '.join(row)} |")


if __name__ == "__main__":
    sys.exit(main())
