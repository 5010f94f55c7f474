"""Where the error of fused labels comes from: the audit of one procedural set under several teachers, as one Markdown page.

Run from the project's root::

    python -m benchmarks.labels.audit [--count 12] [--height 256] > benchmarks/results/labels/audit.md
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.runs.direct import ingested, make_all
from configs.pipeline import Config
from configs.reading import load_config
from scenes.dataset import write_dataset
from storage.arrays import BlockReader
from storage.receipts import block_url
from tasks.evaluate.summary import NAMES, gather, summarise

PERFECT = {"name": "truth", "kind": "scenes", "fields": ["depth", "normals", "semantics"]}
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "demo teacher, `blend`": ("configs/demo.yaml", {"fuse.depth": "blend"}),
    "demo teacher, `align`": ("configs/demo.yaml", {"fuse.depth": "align"}),
    "corrupted truth, `align`": ("configs/corrupted_truth.yaml", {}),
    "corrupted truth, `blend`": ("configs/corrupted_truth.yaml", {"fuse.depth": "blend"}),
    "truth, nothing wrong": ("configs/corrupted_truth.yaml", {"teachers": [PERFECT]}),
}
BANDS = {"latitude": "latitude", "edge_distance": "degrees to an edge", "depth": "metres"}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=12, help="panoramas, rooms and streets in turn")
    parser.add_argument("--height", type=int, default=256, help="rows of the panoramas and of the labels")
    parser.add_argument("--seed", type=int, default=91000, help="of the first scene; the demo teacher never saw these")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        write_dataset(Path(folder, "scenes"), "mixed", given.count, given.seed, given.height, 2 * given.height, amodal=False)
        found = {name: audit(Path(folder), name, given.height) for name in CASES}
    print_page(found, given)


def audit(folder: Path, name: str, height: int) -> dict[str, Any]:
    """The summary of the audit of one case."""
    config = case_config(folder, name, height)
    receipts = [receipt for receipt in make_all(config, ingested(config)) if receipt.stage == "audit"]
    items = []
    for receipt in receipts:
        reader = BlockReader(block_url(config.root, "audit", receipt.fingerprint, receipt.block), receipt.files)
        items += [(row, reader.item(slot)) for slot, row in enumerate(receipt.items) if row.state == "done"]
    return summarise(gather(items, receipts[0].about), 0)


def case_config(folder: Path, name: str, height: int) -> Config:
    """The ready-made config of a case over the rendered set, at its size and with the same views."""
    path, changes = CASES[name]
    views = {"project.patch_size": height * 3 // 8, "project.layout": {"kind": "icosahedron", "fov_degrees": 90}}
    urls = {
        "root": str(folder / "store"),
        "source.url": str(folder / "scenes/images"),
        "source.truth": str(folder / "scenes"),
    }
    return load_config(path, {**urls, **views, "fuse.height": height, "audit.enabled": True, "block_size": 16, **changes})


def print_page(found: Mapping[str, Mapping[str, Any]], given: argparse.Namespace) -> None:
    """The tables, and how they were made."""
    width, patch = 2 * given.height, given.height * 3 // 8
    print(
        f"# Where the error comes from\n\n{given.count} procedural panoramas, rooms and streets in turn, {width}x{given.height}; "
        f"20 views of 90 degrees and {patch} px. The parts add up to\nthe error of the fused labels "
        "([docs/audit.md](../../../docs/fidelity.md)); intervals are 95 % over panoramas (t, jackknife).\n"
    )
    for figure, words in NAMES.items():
        print(f"## {words[0].upper()}{words[1:]}\n\n| teacher | floor | teacher | way back | fusion | fused | 95 % interval |")
        print("|---|---|---|---|---|---|---|")
        for name, summary in found.items():
            parts = summary["attribution"][figure]
            cells = [f"{parts[part]['value']:+.4f}" for part in ("floor", "teacher", "way_back", "fusion")]
            total = parts["total"]
            print(f"| {name} | {' | '.join(cells)} | {total['value']:.4f} | {total['low']:.4f} to {total['high']:.4f} |")
        print()
    for split, words in BANDS.items():
        print_bands(found, split, words)
    print_agreement(found)
    command = f"python -m benchmarks.labels.audit --count {given.count} --height {given.height} --seed {given.seed}"
    print(
        f"{len(os.sched_getaffinity(0))} CPU cores, no GPU; {date.today()}, Python {platform.python_version()}, "
        f"numpy {np.__version__}. Command: `{command}`"
    )


def print_bands(found: Mapping[str, Mapping[str, Any]], split: str, words: str) -> None:
    """Error of teacher and fused labels by band, for each first figure."""
    print(f"## By {words}: teacher in its patches -> fused labels\n")
    for number, (name, summary) in enumerate(found.items()):
        rows = {figure: summary["bands"][figure][split] for figure in ("abs_rel", "angle", "wrong")}
        bands = [row["band"] for row in rows["abs_rel"]]
        if number == 0:
            print(f"| teacher | error | {' | '.join(bands)} |\n|---|---|{'---|' * len(bands)}")
        for figure, own in rows.items():
            by_band = {row["band"]: f"{row['patch']:.3f} -> {row['fused']:.3f}" for row in own}
            print(f"| {name} | {NAMES[figure]} | {' | '.join(by_band.get(band, '–') for band in bands)} |")
    print()


def print_agreement(found: Mapping[str, Mapping[str, Any]]) -> None:
    """What could be said without truth."""
    print("## Agreement of views, which needs no truth\n\n| teacher | depth | normals | semantics |\n|---|---|---|---|")
    for name, summary in found.items():
        cells = [summary["agreement"][task]["all"][0] for task in ("depth", "normals", "semantics")]
        told = ["{value:.3f} [{low:.3f}, {high:.3f}]".format(**one) for one in cells]
        print(f"| {name} | {' | '.join(told)} |")
    print()


if __name__ == "__main__":
    main()
