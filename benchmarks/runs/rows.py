"""How long it takes to decide of a million panoramas which rows are copied and which are made, beside the plan around it.

A store with receipts alone, of panoramas that are known and were labelled, in blocks of 512; no file is looked at. Run from the
project's root::

    python -m benchmarks.runs.rows [--items 1000000] > benchmarks/results/runs/rows.md
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

from benchmarks.machine import machine
from benchmarks.runs.changes import write_config
from configs.pipeline import Config
from flows.plan import Plan, make_plan
from storage.fingerprint import digest
from storage.items import Block, Item, Items, blocks_of
from storage.manifest import write_manifest
from storage.receipts import Receipt, write_receipt
from storage.rows import ItemRow
from tasks.ingest import ingest
from tasks.ingest.entries import Entries
from tasks.ingest.ingest import Scan
from tasks.pipeline import load, sources, steps
from tasks.stage.kind import Stage
from tasks.stage.reuse.rows import known_rows, row_keys

BLOCK_SIZE = 512
Changed = Callable[[Item], Item]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=1_000_000)
    count = parser.parse_args().items
    command = " ".join(["python -m benchmarks.runs.rows", *sys.argv[1:]])
    print(f"# Deciding rows\n\n{machine()}; {date.today().isoformat()}; `{command}`.\n")
    print(
        f"""{count:,} panoramas in blocks of {BLOCK_SIZE}, labelled by a teacher, fused and evaluated: {4 * count:,} rows in
receipts, on a local disk. *Plan*: `make_plan` by the manifest, which reads all receipts. *Deciding*: `known_rows` of all stages,
a part of that plan, once more by itself. *Rest*: the plan without it. Other processes share the machine.

| change | rows copied | rows made | plan, s | deciding, s | rest, s | deciding, µs a row |
|---|---|---|---|---|---|---|"""
    )
    with tempfile.TemporaryDirectory() as folder:
        config = load(write_config(Path(folder), BLOCK_SIZE))
        known = panoramas(count)
        write_store(config, known)
        for what, changed in CHANGES.items():
            print(f"| {what} | {' | '.join(measured(config, known, changed))} |", flush=True)


def panoramas(count: int) -> list[Item]:
    """Panoramas that are in the manifest, each with some metadata."""
    return [
        Item(
            f"p{number:07d}", f"/data/p{number:07d}.png", digest(f"{number}"), 32, 64, 9, "then", "", *divmod(number, BLOCK_SIZE),
            metadata={"position": [number, 0, 0], "camera": "two lenses"},
        )
        for number in range(count)
    ]  # fmt: skip


def _renamed(item: Item) -> Item:
    return replace(item, item=f"q{item.item}")


def _told(item: Item) -> Item:
    return replace(item, metadata={**item.metadata, "column": 1})


def _other(item: Item) -> Item:
    return replace(item, digest=digest(item.digest))


def _one_other(item: Item) -> Item:
    return _other(item) if item.slot == 0 else item


CHANGES: dict[str, Changed] = {
    "nothing": lambda item: item,
    "a new column of metadata, of all": _told,
    "all renamed": _renamed,
    "one panorama of every block": _one_other,
    "all panoramas": _other,
}


def write_store(config: Config, known: Sequence[Item]) -> None:
    """The manifest, and a receipt for every block of every stage, without data."""
    (source,) = sources(config)
    write_manifest(ingest.manifest_url(source), known)
    for step in steps(config, lambda _source: blocks_of(known)):
        for block in () if step.stage.is_source else step.blocks:
            write_receipt(step.stage.block_url(block.name), receipt_of(step.stage, block))


def receipt_of(stage: Stage, block: Block) -> Receipt:
    """What a stage leaves of a block of which all went well."""
    keys = row_keys(stage, block.items)
    rows = [ItemRow(item.item, "done", "", {"valid": 1.0}, item.digest[:32], key=key) for item, key in zip(block.items, keys)]
    files = {"data.zarr/zarr.json": {"bytes": 1, "sha256": digest(block.name)}}
    made = {
        "run": "direct",
        "started": 1.0,
        "seconds": 1.0,
        "device": "cpu",
        "versions": {},
        "identity": stage.identity.as_json(),
    }
    return Receipt(stage.name, stage.identity.fingerprint, block.name, rows, files, {}, made)


def measured(config: Config, known: Sequence[Item], changed: Changed) -> Iterator[str]:
    """The cells of one row."""
    (source,) = sources(config)
    now = Items.made_of(changed(item) for item in known)
    scan = Scan(now, Entries.made_of([]), len(now))
    plan, planned = timed(lambda: make_plan(config, scans={source.key: scan}))
    found, deciding = timed(lambda: decide(plan))
    made = sum(row.items for row in plan.stages)
    assert found == sum(row.copied for row in plan.stages)
    rows = found + made
    a_row = f"{deciding / rows * 1e6:.1f}" if rows else "–"
    yield from (f"{found:,}", f"{made:,}", f"{planned:.1f}", f"{deciding:.1f}", f"{planned - deciding:.1f}", a_row)


def decide(plan: Plan) -> int:
    """How many rows of what a plan owes are copied, decided once more."""
    decided = (known_rows(step.stage, plan.owed_blocks(step), plan.receipts.found(step.stage)) for step in plan.steps)
    return sum(len(copies) for blocks in decided for copies in blocks.values())


def timed(call: Callable[[], object]) -> tuple:
    """What a call gives, and its seconds."""
    started = time.perf_counter()
    found = call()
    return found, time.perf_counter() - started


if __name__ == "__main__":
    main()
