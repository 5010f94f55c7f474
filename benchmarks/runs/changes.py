"""What changes of a source cost: panoramas that a teacher looks at again, counted by itself, as one Markdown page.

Panoramas of 64x32 pixels in blocks of 16 and of 512, all stages block by block without Prefect. Run from the project's root::

    python -m benchmarks.runs.changes > benchmarks/results/runs/changes.md
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml

from benchmarks.machine import machine
from benchmarks.runs.direct import carry_out
from configs.pipeline import Config
from configs.trial import WHOLE, Trial
from flows.plan import make_plan
from tasks.catalogue import kind_named
from tasks.label import project
from tasks.pipeline import load
from tasks.stage.kind import Kind
from tasks.stage.reuse.adopt import ADOPTED

TEACHER = "teacher"
MORE = 3
"""Panoramas beyond the first block."""


@dataclass(frozen=True)
class Change:
    """What a change of the source cost.

    ``planned`` panoramas for the teacher, as `panolabel plan` says before any file is read (a run may make less); ``looked_at``:
    those that it saw; ``copied``: rows of its stage; ``adopted``: those of whole blocks that the cut-off copied; ``whole``:
    panoramas in the blocks that were owed; ``seconds`` of all stages.
    """

    what: str
    planned: int
    looked_at: int
    copied: int
    adopted: int
    whole: int
    seconds: float


def main() -> None:
    """Measure and print."""
    command = " ".join(["python -m benchmarks.runs.changes", *sys.argv[1:]])
    print(f"# What changes cost\n\n{machine()}; {date.today().isoformat()}; `{command}`.\n")
    print(
        """*Planned*: panoramas for the teacher, as `panolabel plan` says before it reads a file: at most, since a file that is
new or touched may hold known pixels. *Looked at*: those that the teacher saw, by its own count. *Copied*: rows of its stage from
blocks of other names. *Adopted*: those of whole blocks of an earlier fingerprint, which read the same bytes. *In the blocks*: all
that was owed. *Time*: of all stages, block by block in one process. Every change comes on top of those above it, but for the
setting and the version."""
    )
    for block_size in (16, 512):
        print(f"\n## Blocks of {block_size}\n")
        print("| change | planned | looked at | copied | adopted | in the blocks | time |\n|---|---|---|---|---|---|---|")
        with tempfile.TemporaryDirectory() as folder:
            for change in changes(Path(folder), block_size):
                print(
                    f"| {change.what} | {change.planned} | {change.looked_at} | {change.copied} | {change.adopted} "
                    f"| {change.whole} | {change.seconds:.1f} s |",
                    flush=True,
                )


def changes(folder: Path, block_size: int) -> Iterator[Change]:
    """One change after the other, of a store with one full block and a small one."""
    images, file = folder / "images", write_config(folder, block_size)
    config = load(file)
    write_images(images, [f"p{number:04d}" for number in range(block_size + MORE)])
    steps: list[tuple[str, Callable[[], None]]] = [
        ("first run", lambda: None),
        ("nothing", lambda: None),
        ("one pixel of one panorama", lambda: change_pixel(images / "p0003.png")),
        ("a new column of metadata, of all", lambda: add_column(images)),
        ("one renamed", lambda: rename(images, "p0005", "renamed")),
        ("one removed", lambda: remove(images, "p0007")),
        ("ten more", lambda: write_images(images, [f"q{number:04d}" for number in range(10)])),
    ]
    for what, change in steps:
        change()
        yield measured(what, config, folder)
        if what == "nothing":
            yield measured("a setting of fuse", load(file, {"fuse.edge_feather": 0.4}), folder)
            with new_version(project):
                yield measured("a new version of project, equal bytes", load(file), folder)
    write_images(images, [f"r{number:04d}" for number in range(12)])
    tried = Trial(items=tuple(f"r{number:04d}" for number in range(10)))
    yield measured("ten of twelve more tried", config, folder, tried)
    yield measured("then all", config, folder)


def measured(what: str, config: Config, folder: Path, trial: Trial = WHOLE) -> Change:
    """Bring a store to where its config wants it, and count."""
    calls = folder / "calls"
    calls.write_text("")
    planned = next(row.items for row in make_plan(config, trial=trial).stages if row.stage == TEACHER)
    started = time.monotonic()
    plan = carry_out(config, trial=trial)
    seconds = time.monotonic() - started
    looked_at = len(calls.read_text().split())
    step = plan.step(TEACHER)
    copied = sum(map(len, plan.copies[TEACHER].values()))
    owed = plan.owed_blocks(step)
    whole = sum(len(block.items) for block in owed)
    receipts = [plan.receipts.get(step.stage, block.name) for block in owed]
    adopted = sum(len(one.items) for one in receipts if one and ADOPTED in one.made)
    assert looked_at + copied + adopted == whole, "what is not copied is looked at"
    return Change(what, planned, looked_at, copied, adopted, whole, seconds)


@contextmanager
def new_version(of: Any) -> Iterator[None]:
    """Let the kind of a module have another version, as new code does; what it gives has the same bytes."""
    before: Kind = of.KIND
    of.KIND = replace(before, version=f"{before.version}, and what follows")
    kind_named.cache_clear()
    try:
        yield
    finally:
        of.KIND = before
        kind_named.cache_clear()


def write_images(folder: Path, names: list[str]) -> None:
    """Noise, seeded by the names."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        pixels = np.random.default_rng(list(name.encode())).integers(0, 256, (32, 64, 3))
        cv2.imwrite(str(folder / f"{name}.png"), pixels.astype(np.uint8))


def change_pixel(file: Path) -> None:
    """Another value of one pixel."""
    pixels = cv2.imread(str(file))
    assert pixels is not None
    pixels[9, 9] = 255 - pixels[9, 9]
    cv2.imwrite(str(file), pixels)


def add_column(folder: Path) -> None:
    """A value of metadata beside every panorama."""
    for file in folder.glob("*.png"):
        file.with_suffix(".json").write_text(json.dumps({"camera": "two lenses"}))


def rename(folder: Path, old: str, new: str) -> None:
    """Another name for a panorama and its metadata."""
    for file in folder.glob(f"{old}.*"):
        file.rename(file.with_stem(new))


def remove(folder: Path, name: str) -> None:
    """Take a panorama and its metadata away."""
    for file in folder.glob(f"{name}.*"):
        file.unlink()


def write_config(folder: Path, block_size: int) -> Path:
    """A labelling with the teacher that counts."""
    teacher = {"stage": "label", "kind": "tests.support.counting_teacher:load", "fields": ["depth"]}
    stages = {
        "ingest": {"source": {"url": str(folder / "images")}, "block_size": block_size},
        "project": {"patch_size": 16, "layout": {"kind": "cubemap", "fov_degrees": 100}},
        TEACHER: {**teacher, "settings": {"calls": str(folder / "calls")}},
        "fuse": {"height": 16},
        "evaluate": {},
    }
    path = folder / "changes.yaml"
    config = {"name": "changes", "root": str(folder / "store"), "stages": stages, "execution": {"pictures": 1}}
    path.write_text(yaml.safe_dump(config, sort_keys=False))
    return path


if __name__ == "__main__":
    main()
