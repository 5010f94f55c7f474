"""How much of a labelling's time is the teacher's network: measured where there is a GPU, expected where there is none.

    python -m benchmarks.device [--model large] [--panoramas 48] [--workers 6] > benchmarks/results/labels/device.md

``large`` is a network of random weights as large as those that label in earnest (TIPSv2 with a ViT-L, 150 classes): its labels
mean nothing, its time does. On a GPU it is meant to take five minutes at most, the making of kernels in it.
``TRITON_INTERPRET=1`` with ``--rehearse`` goes all the same ways on a CPU, at a small size, with figures that mean nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import yaml

from benchmarks import traffic
from benchmarks.machine import machine
from flows.plan import make_plan
from flows.running.measures.chips import watching_chips
from geometry.directions import erp_directions
from geometry.layouts import icosahedron
from geometry.resampling.patches import extract_patches
from models.teachers import load_teacher
from models.teachers.preprocess import prepare
from tasks.ingest import ingest
from tasks.ingest.check import check_entry
from tasks.label.fuse import fusion_settings
from tasks.label.settings import Fuse
from tasks.label.teachers.looking import Patches
from tasks.pipeline import load, sources
from tasks.stage.job import Job

GOAL = 0.9
WARPS = 2048 * 1024 // 32
"""Of a panorama of labels."""
FIELDS = ("depth", "normals", "semantics")


@dataclass(frozen=True)
class Size:
    """Of panoramas, patches and labels, and of the network's input."""

    source: int = 2048
    patch: int = 504
    height: int = 1024
    batch: int = 20


FULL, SMALL = Size(), Size(256, 32, 32)


@dataclass(frozen=True)
class Whole:
    """Milliseconds a panorama of a pipeline, the share of time that chips computed if anybody saw it, and the path of labels."""

    wall: float
    chips: float | None
    path: str


def large(folder: Path, side: int) -> dict[str, Any]:
    """Settings of a teacher with a large network of random weights, which is written to ``folder``."""
    from transformers import Tipsv2DptConfig, Tipsv2DptForDensePrediction

    demo = json.loads((Path(__file__).parents[1] / "models/teachers/demo/config.json").read_text())
    backbone = {name: value for name, value in demo["backbone_config"].items() if name not in ("stage_names", "out_features")}
    backbone |= {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16, "mlp_ratio": 4, "patch_size": 14}
    backbone |= {"image_size": side, "out_indices": [6, 12, 18, 24]}
    heads = {"neck_hidden_sizes": [256, 512, 1024, 1024], "fusion_hidden_size": 256, "num_depth_bins": 256}
    classes = {"id2label": {number: f"class {number}" for number in range(150)}, "label2id": None}
    config = Tipsv2DptConfig.from_dict({**demo, **heads, **classes, "backbone_config": backbone})
    with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
        Tipsv2DptForDensePrediction(config).save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text("{}")
    return {"model": str(folder), "input_size": side, "dtype": "bfloat16"}


def write_panoramas(folder: Path, count: int, height: int) -> None:
    """Panoramas of random waves on the sphere, one like no other."""
    folder.mkdir()
    generator, directions = np.random.default_rng(0), erp_directions(height, 2 * height, np.float32)
    for number in range(count):
        waves = np.sin(directions @ generator.normal(0, 8, (3, 3)).astype(np.float32) + generator.uniform(0, 6, 3))
        cv2.imwrite(str(folder / f"p{number:03d}.jpg"), (127.5 + 127.5 * waves).astype(np.uint8))


def timed(work: Callable[[], Any], device: str, repeats: int) -> float:
    """Milliseconds of a call, the median, with everything that it started on the device."""
    found = []
    for _ in range(repeats + 1):
        _settled(device)
        start = time.perf_counter()
        work()
        _settled(device)
        found.append(1e3 * (time.perf_counter() - start))
    return float(np.median(found[1:]))


def _settled(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)


def by_itself(settings: dict[str, Any], size: Size, device: str, repeats: int) -> dict[str, float]:
    """Milliseconds of the steps of one panorama, each alone on the device."""
    from geometry.device.copies import to_host
    from geometry.device.fuse import fuse_on_device
    from tasks.label.teachers.staying import look_on_device

    cameras = icosahedron(size.patch)
    panorama = np.random.default_rng(1).integers(0, 256, (size.source // 4, size.source // 2, 3), np.uint8)
    patches = Patches(extract_patches(panorama, cameras), cameras)
    teacher: Any = load_teacher("transformers", settings, device)
    network = teacher.network
    batches = [patches.pixels[start : start + size.batch] for start in range(0, len(cameras), size.batch)]
    ready = [prepare(some, network.spec, device) for some in batches]
    half = network.settings.dtype != "float32"

    def forward() -> None:
        with torch.inference_mode(), torch.autocast(torch.device(device).type, getattr(torch, network.settings.dtype), half):
            for some in ready:
                network.model(pixel_values=some)

    fields = look_on_device(teacher, patches, FIELDS, size.batch)
    wanted = fusion_settings(Fuse(height=size.height), teacher.classes)

    def fuse() -> dict[str, torch.Tensor]:
        return fuse_on_device(fields, dict.fromkeys(fields, cameras), size.height, 2 * size.height, wanted)

    labels = fuse()
    return {
        "network alone": timed(forward, device, repeats),
        "network input: upload, resize": timed(
            lambda: [prepare(some, network.spec, device) for some in batches], device, repeats
        ),
        "all of the teacher: input, network, postprocessing": timed(
            lambda: look_on_device(teacher, patches, FIELDS, size.batch), device, repeats
        ),
        "fusion, with fits of the views' bends": timed(fuse, device, repeats),
        "labels back, one copy": timed(lambda: to_host(labels), device, repeats),
    }


def pipeline(settings: dict[str, Any], size: Size, device: str, folder: Path, count: int, workers: int) -> Whole:
    """Milliseconds a panorama of the stage fuse, joined to its teacher, with several blocks in work, and how busy chips were."""
    write_panoramas(folder / "images", count + 2, size.source)
    stages = {
        "ingest": {"source": {"url": str(folder / "images")}, "block_size": 2},
        "project": {"patch_size": size.patch, "layout": {"kind": "icosahedron"}},
        "dense": {"stage": "label", "kind": "transformers", "fields": [*FIELDS], "settings": settings, "keep": "never"},
        "fuse": {"height": size.height},
    }
    told: dict[str, Any] = {"name": "device", "root": str(folder / "store"), "stages": stages}
    told["execution"] = {"device": device, "batch_size": size.batch}
    (folder / "device.yaml").write_text(yaml.safe_dump(told, sort_keys=False))
    config = load(folder / "device.yaml")
    (source,) = sources(config)
    scan = ingest.scan(source)
    ingest.save(source, scan.known, [check_entry(entry, source.settings) for entry in scan.to_read])
    plan = make_plan(config)
    jobs = {step.key: [Job(step.stage, block, "", config.execution) for block in plan.owed_blocks(step)] for step in plan.steps}
    for job in jobs["project"]:
        job.stage.make(job)
    first, *others = jobs["fuse"]
    path = first.stage.make(first).made["path"]  # kernels are made, memory is pinned
    start = time.perf_counter()
    with watching_chips() as chips, ThreadPoolExecutor(workers) as pool:
        list(pool.map(lambda job: job.stage.make(job), others))
    wall = 1e3 * (time.perf_counter() - start) / count
    return Whole(wall, chips.share, path)


def measured(alone: dict[str, float], whole: Whole, workers: int) -> str:
    """The Markdown tables of what was measured."""
    rows = ["| one panorama | ms |", "|---|---|", *(f"| {what} | {spent:.2f} |" for what, spent in alone.items())]
    share = alone["network alone"] / whole.wall
    rows.append(f"| pipeline, {workers} blocks at a time, labels stored | {whole.wall:.2f} |")
    chips = "were not seen: pip install panolabel[gpu]" if whole.chips is None else f"computed {whole.chips:.0%} of it, by NVML"
    return "\n".join(
        [
            *rows,
            "",
            f"Path: {whole.path}. The network has **{share:.0%} of the pipeline's time** (goal: {GOAL:.0%}, "
            f"{'reached' if share >= GOAL else 'not reached'}). Chips {chips}.",
        ]
    )


def expected(size: Size) -> str:
    """What fusion and copies would take on an H200, counted and not measured."""
    cameras = icosahedron(size.patch)
    lines = traffic.of_fusion(cameras, size.height)
    results = next(line.least for line in lines if line.what == "results")
    up = len(cameras) * size.patch**2 * 3
    copies = [f"{1e3 * (up + results) / rate:.1f}" for rate in traffic.BUS]
    return (
        f"{traffic.table(lines)}\n\n{_instructions()}"
        f"Copies: {up / 1e6:.1f} MB of patches up, {results / 1e6:.1f} MB of labels back, once each: {copies[1]} to {copies[0]} "
        "ms of the bus, while the network computes.\nWhether the CPU keeps up (decoding, cutting, fits, figures, compression: "
        "[cost](cost.md)) is not in these figures."
    )


def _instructions() -> str:
    """How long the kernel's instructions take to be started; nothing without Triton."""
    if find_spec("triton") is None:
        return ""
    from benchmarks.instructions import counted

    count, registers = counted()
    spent = 1e3 * WARPS * count / traffic.WARPS_A_SECOND
    return (
        f"The kernel, compiled for an H200, has {count} instructions and {registers} registers a thread: at the pace at which "
        f"the chip starts them\nthey take {spent:.2f} ms. The larger of the two is expected: about 1 % of a teacher's 33 ms.\n\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="large", help="large, demo, or a folder or hub id of a dense model")
    parser.add_argument("--panoramas", type=int, default=48)
    parser.add_argument("--workers", type=int, default=6, help="blocks in work at a time")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--rehearse", action="store_true", help="go all ways at a small size on the CPU")
    given = parser.parse_args()
    print("# The device path: a panorama's labels on the teacher's GPU\n")
    on_gpu = torch.cuda.is_available()
    if on_gpu or given.rehearse:
        print(f"{_measure(given, 'cuda:0' if on_gpu else 'cpu', SMALL if given.rehearse else FULL)}\n")
    if not given.rehearse:
        print("## Expected" + ("" if on_gpu else ", not measured: this machine has no GPU") + f"\n\n{expected(FULL)}\n")
    print(
        f"{machine()}; load average of the last 5 minutes {os.getloadavg()[1]:.1f}. {date.today()}, Python "
        f"{platform.python_version()}, torch {torch.__version__}.\nCommand: `python -m benchmarks.device > "
        "benchmarks/results/labels/device.md`"
    )


def _measure(given: argparse.Namespace, device: str, size: Size) -> str:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        settings = large(folder / "model", size.patch) if given.model == "large" else {"model": given.model}
        alone = by_itself(settings, size, device, given.repeats)
        whole = pipeline(settings, size, device, folder, given.panoramas, given.workers)
    name = torch.cuda.get_device_name(device) if device.startswith("cuda") else "rehearsed on a CPU: figures mean nothing"
    return f"## Measured ({name})\n\n{measured(alone, whole, given.workers)}"


if __name__ == "__main__":
    main()
