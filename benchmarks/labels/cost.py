"""Processor milliseconds of one panorama's way from its file to its figures, step by step, without the teacher's network.

Every step is what the stages call. The demo's network looks at the views once, and what it says is handed out at each round.
Digests of the stored arrays tell whether two versions of the code say the same. Run from the project's root::

    python -m benchmarks.labels.cost [--before CHECKOUT] > benchmarks/results/labels/cost.md

``CHECKOUT`` is a folder with another version of the project (``git worktree add CHECKOUT COMMIT``); both are measured in turn.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

import cv2
import numpy as np
import torch

from benchmarks.machine import machine
from geometry.fields import Field, canonical, concatenate
from geometry.fusion.fuse import fuse
from geometry.layouts import icosahedron
from geometry.resampling.patches import extract_patches
from metrics.consistency import consistency_figures
from metrics.depth_normals import depth_normal_figures
from metrics.panorama import evaluate_item
from metrics.protocols import protocol_named
from models.teachers.postprocess import depth_field, normals_field, semantic_fields
from storage.arrays import BlockReader, BlockWriter, arrays_digest
from storage.fingerprint import digest
from storage.items import Item
from storage.urls import read_bytes
from tasks.ingest.panorama import load_panorama
from tasks.ingest.settings import Ingest
from tasks.label.arrays import decode_fields, encode_fields
from tasks.label.fuse import decode_labels, encode_labels, fusion_settings
from tasks.label.label import cut_patches
from tasks.label.settings import Fuse

SIZE, HEIGHT, INPUT, BATCH = 504, 1024, 512, 4
SOURCE = (2048, 4096)
CAMERAS = icosahedron(SIZE)
T = TypeVar("T")
Times = dict[str, list[float]]


class Clock:
    """Processor milliseconds of all threads by step, summed over the calls of a round."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = {}

    def __call__(self, step: str, work: Callable[..., T], *arguments: Any, **named: Any) -> T:
        """``work(...)``, on the account of ``step``."""
        before = time.process_time()
        made = work(*arguments, **named)
        self.spent[step] = self.spent.get(step, 0) + 1e3 * (time.process_time() - before)
        return made


def prepare(folder: Path) -> str:
    """A panorama and what the demo's network says of its views, in files; what the panorama is."""
    from models.teachers import load_teacher

    photograph = Path(os.environ.get("PANOLABEL_DATA", "../shared")) / "panoramas" / "quattro_canti.jpg"
    if photograph.is_file():
        (folder / "panorama.jpg").write_bytes(photograph.read_bytes())
    else:
        cv2.imwrite(str(folder / "panorama.jpg"), procedural()[..., ::-1])
    pixels = load_panorama(the_item(folder), Ingest()).pixels
    teacher: Any = load_teacher("transformers", {"model": "demo", "input_size": INPUT}, "cpu")
    patches = extract_patches(pixels, CAMERAS)
    with torch.inference_mode():
        parts = [teacher.network(patches[start : start + BATCH]) for start in range(0, len(CAMERAS), BATCH)]
    said = {name: torch.cat([part[name] for part in parts]) for name in ("predicted_depth", "normals", "segmentation_logits")}
    torch.save({**said, "classes": teacher.classes}, folder / "said.pt")
    return f"Photograph {photograph.name}" if photograph.is_file() else "A procedural room, enlarged"


def procedural() -> np.ndarray:
    """A room (2048, 4096, 3) uint8 RGB."""
    from scenes.build import build_scene
    from scenes.render import render_erp

    scene = build_scene("room", 92000)
    frame = render_erp(scene, scene.free_position(np.random.default_rng(0)), SOURCE[0] // 4, SOURCE[1] // 4)
    return cv2.resize(frame.image, SOURCE[::-1], interpolation=cv2.INTER_CUBIC)


def the_item(folder: Path) -> Item:
    """The panorama as a manifest names it."""
    path = folder / "panorama.jpg"
    return Item("panorama", str(path), digest(path.read_bytes()), *SOURCE, path.stat().st_size, "")


def measure(folder: Path, rounds: int) -> dict[str, Any]:
    """Milliseconds by step of every round but a first one, which warms caches, and the digests of what was stored."""
    said, times, digests = torch.load(folder / "said.pt"), {}, {}
    for number in range(rounds + 1):
        clock = Clock()
        with tempfile.TemporaryDirectory() as store:
            patch_labels = label(clock, folder, said, store, number)
            fused = fuse_and_store(clock, Path(store), said["classes"])
            digests = {"patch labels": arrays_digest(patch_labels), "fused labels": fused}
        if number:
            for step, spent in clock.spent.items():
                times.setdefault(step, []).append(spent)
    return {"times": times, "digests": digests}


def label(clock: Clock, folder: Path, said: Mapping[str, Any], store: str, number: int) -> dict[str, np.ndarray]:
    """From the file to stored patch labels."""
    item, reading = the_item(folder), Ingest(min_width=64 + number)  # read anew in each round
    clock("read the file, sha256", lambda: digest(read_bytes(item.uri)))
    clock("the same, decode, cut patches", cut_patches, item, reading, True, CAMERAS)
    clock("all that for a second teacher", cut_patches, item, reading, True, CAMERAS)
    batches = [look(clock, said, slice(start, start + BATCH)) for start in range(0, len(CAMERAS), BATCH)]
    fields = {name: clock("join batches", concatenate, [batch[name] for batch in batches]) for name in batches[0]}
    arrays = clock("encode patch labels", encode_fields, fields)
    about = {"fields": {name: {"unit": field.unit, "frame": field.frame} for name, field in fields.items()}}
    (Path(store) / "about.json").write_text(json.dumps(about))
    clock("digest patch labels", arrays_digest, arrays)
    clock("write patch labels", write, f"{store}/patches", arrays)
    return arrays


def look(clock: Clock, said: Mapping[str, Any], some: slice) -> dict[str, Field]:
    """Canonical fields of some views from what the network said of them."""
    size, classes = (SIZE, SIZE), said["classes"]
    with torch.inference_mode():
        depth = clock("postprocess depth", depth_field, said["predicted_depth"][some], size, "metre", "axis")
        normals = clock("postprocess normals", normals_field, said["normals"][some], size, "+x+y+z")
        semantics = clock("postprocess classes", semantic_fields, said["segmentation_logits"][some], classes, size)
    fields = {"depth": depth, "normals": normals, "semantics": semantics["semantics"]}
    return {name: clock(f"canonical {name}", canonical, field, CAMERAS[some]) for name, field in fields.items()}


def write(url: str, arrays: Mapping[str, np.ndarray]) -> None:
    """One panorama's arrays, compressed."""
    writer = BlockWriter(url, 1)
    writer.append(arrays)
    writer.close()


def fuse_and_store(clock: Clock, store: Path, classes: Sequence[str]) -> str:
    """From stored patch labels to figures of the stored fused labels; their digest."""
    settings = Fuse(height=HEIGHT, depth="blend", depth_edge=0.3)
    stored = clock("read patch labels", lambda: BlockReader(str(store / "patches")).item(0))
    fields = clock("decode patch labels", decode_fields, stored, json.loads((store / "about.json").read_text()))
    labels = clock("fuse", fuse, fields, CAMERAS, HEIGHT, 2 * HEIGHT, fusion_settings(settings, classes))
    clock("figures of fused labels", lambda: (depth_normal_figures(labels, settings.depth_edge), consistency_figures(labels)))
    arrays = clock("encode fused labels", encode_labels, labels, settings)
    found = clock("digest fused labels", arrays_digest, arrays)
    clock("write fused labels", write, str(store / "fused"), arrays)
    read = clock("read and decode fused labels", lambda: decode_labels(BlockReader(str(store / "fused")).item(0)))
    clock("evaluate without truth", evaluate_item, read, {}, classes, [], protocol_named("panolabel"))
    return found


def in_child(checkout: Path, folder: Path, rounds: int) -> dict[str, Any]:
    """What :func:`measure` finds in a process of its own, with the code of a checkout."""
    command = [sys.executable, str(Path(__file__).resolve()), "--inputs", str(folder), "--rounds", str(rounds)]
    # Threads of torch that wait for a processor which others have count as if they worked.
    environment = {**os.environ, "PYTHONPATH": str(checkout.resolve()), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=checkout, env=environment)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def compare(folder: Path, checkouts: Mapping[str, Path], rounds: int, runs: int) -> dict[str, dict[str, Any]]:
    """Rounds of all versions of the code, in turn."""
    found: dict[str, dict[str, Any]] = {name: {"times": {}, "digests": {}} for name in checkouts}
    for name, checkout in [*checkouts.items()] * runs:
        one = in_child(checkout, folder, rounds)
        found[name]["digests"] |= one["digests"]
        for step, spent in one["times"].items():
            found[name]["times"].setdefault(step, []).extend(spent)
    return found


def table(found: Mapping[str, Mapping[str, Any]]) -> str:
    """The Markdown table: of every step the median and the least of its rounds."""
    names = [*found]
    sums = {name: {"all": [sum(one) for one in zip(*found[name]["times"].values())]} for name in names}
    lines = [f"| CPU ms | {' | '.join(f'{name} | least' for name in names)} |", "|---" * (1 + 2 * len(names)) + "|"]
    for step in [*found[names[-1]]["times"], "all"]:
        of_step = [(found[name]["times"] | sums[name])[step] for name in names]
        cells = [f"{median(one):.0f} | {min(one):.0f}" for one in of_step]
        lines.append(f"| {step} | {' | '.join(cells)} |")
    return "\n".join(lines)


def same_bytes(found: Mapping[str, Mapping[str, Any]]) -> str:
    """Whether all versions stored the same arrays, in words."""
    digests = [one["digests"] for one in found.values()]
    if len(digests) == 1:
        return "Stored arrays: " + ", ".join(f"{what} {told}" for what, told in digests[0].items()) + "."
    same = {what: len({one[what] for one in digests}) == 1 for what in digests[0]}
    return "Stored arrays of both: " + ", ".join(f"{what} {'equal' if one else 'DIFFER'}" for what, one in same.items()) + "."


def main() -> None:
    """Measure in children, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", type=Path, help="folder of another version of the project, measured too")
    parser.add_argument("--rounds", type=int, default=3, help="of each process, after one that warms it up")
    parser.add_argument("--runs", type=int, default=2, help="processes of each version, in turn")
    parser.add_argument("--inputs", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.inputs:
        print(json.dumps(measure(given.inputs, given.rounds)))
        return
    here = Path(__file__).parents[2]
    checkouts = ({"before": given.before} if given.before else {}) | {"now": here}
    with tempfile.TemporaryDirectory() as folder:
        what = prepare(Path(folder))
        found = compare(Path(folder), checkouts, given.rounds, given.runs)
    print(page(what, found, given))


def page(what: str, found: Mapping[str, Mapping[str, Any]], given: argparse.Namespace) -> str:
    """The Markdown page."""
    command = f"python -m benchmarks.labels.cost{' --before CHECKOUT' if given.before else ''}"
    return f"""\
# What a panorama costs outside its teacher's network

{what}, {SOURCE[1]}x{SOURCE[0]}; {len(CAMERAS)} views of {SIZE} px, which the demo's network saw at {INPUT}; labels of
{2 * HEIGHT}x{HEIGHT}: depth, normals, 24 classes. Processor milliseconds of all threads, torch on one: the
median of {given.runs} x {given.rounds} rounds, and the least.

{table(found)}

{same_bytes(found)}

{machine()}; load average of the last 5 minutes {os.getloadavg()[1]:.1f}. {date.today()}, Python {platform.python_version()},
numpy {np.__version__}, torch {torch.__version__}. Command: `{command} > benchmarks/results/labels/cost.md`"""


if __name__ == "__main__":
    main()
