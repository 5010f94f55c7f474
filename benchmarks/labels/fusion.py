"""Fusion of 20 patches into a 2048x1024 ERP: ours against warping every patch over the full ERP.

    python -m benchmarks.labels.fusion [--runs 3] > benchmarks/results/labels/fusion.md

Each method runs in a process of its own on the same inputs, so that its peak memory is its own. The scene is an analytic room, so
errors are against the exact truth at ERP pixel centres.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import date
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.machine import machine, span
from geometry import layouts
from geometry.cameras import Camera
from geometry.directions import erp_area_weights, erp_directions
from geometry.fields import Field
from geometry.fusion.fuse import FusionSettings, fuse
from geometry.resampling import backproject

HEIGHT, WIDTH, SIZE, CLASSES, TOP = 1024, 2048, 504, 20, 3
SIDES, ORIGIN = np.array([2.5, 1.4, 3.5]), np.array([0.4, 0.2, -0.5])
SPHERES = [((1.2, 0.6, 1.5), 0.5), ((-1.0, 0.8, 0.8), 0.4)]
SETTINGS = FusionSettings(off_axis_power=4, edge_feather=0.2, classes=CLASSES)
SHARES = (0.85, 0.1, 0.05)
APART = 0.07
"""Standard deviation of the views' log scales in the second row: half of the pixels are torn, as in a photograph's labels."""
METHODS = {
    "ours": "ours: edge-aware, top-3 votes",
    "apart": f"the same, of views whose distances differ by {APART:.0%}",
    "cv2": "cv2.remap, full ERP per patch, 24 channels bilinear",
    "torch": "torch grid_sample, full ERP per patch, 24 channels bilinear",
}


def room(directions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Radial depth, world normals and labels (18 wall tiles, 2 spheres) of directions (..., 3)."""
    with np.errstate(divide="ignore"):
        reach = np.where(directions > 0, SIDES - ORIGIN, -SIDES - ORIGIN) / directions
    axis, depth = reach.argmin(axis=-1), reach.min(axis=-1)
    ahead = np.take_along_axis(directions, axis[..., None], -1)[..., 0] > 0
    normals = np.eye(3)[axis] * np.where(ahead, -1, 1)[..., None]
    across = np.take_along_axis(directions * depth[..., None] + ORIGIN, ((axis + 1) % 3)[..., None], -1)[..., 0]
    labels = 3 * (2 * axis + ahead) + np.digitize(across, (-0.6, 0.6))
    for number, (centre, radius) in enumerate(SPHERES):
        offset = np.array(centre) - ORIGIN
        along = directions @ offset
        gap = along**2 - offset @ offset + radius**2
        near = along - np.sqrt(np.maximum(gap, 0))
        hit = (gap > 0) & (near > 0) & (near < depth)
        depth = np.where(hit, near, depth)
        normals = np.where(hit[..., None], (directions * near[..., None] - offset) / radius, normals)
        labels = np.where(hit, 18 + number, labels)
    return depth.astype(np.float32), normals.astype(np.float32), labels.astype(np.uint16)


def write_inputs(folder: Path, cameras: tuple[Camera, ...]) -> None:
    """A perfect teacher's fields, once as fields with top-K classes and once as stacks of 24 float channels."""
    views = [room(camera.directions()) for camera in cameras]
    depth, normals, labels = (np.stack(one) for one in zip(*views))
    ranked = np.stack([(labels + k) % CLASSES for k in range(TOP)], axis=-1).astype(np.uint16)
    scores = np.zeros((*labels.shape, CLASSES), np.float32)
    np.put_along_axis(scores, ranked.astype(np.intp), np.broadcast_to(np.float32(SHARES), ranked.shape), axis=-1)
    apart = depth * np.exp(np.random.default_rng(0).normal(0, APART, (len(cameras), 1, 1))).astype(np.float32)
    for name, array in {"depth": depth, "apart": apart, "normals": normals, "labels": ranked}.items():
        np.save(folder / f"{name}.npy", array)
    stack = np.concatenate([depth[..., None], normals, scores], axis=-1)
    np.save(folder / "channels_first.npy", np.ascontiguousarray(np.moveaxis(stack, -1, 1)))
    # cv2 fills the border of at most four channels, so it gets six images of four.
    np.save(folder / "fours.npy", np.ascontiguousarray(np.moveaxis(stack.reshape(*stack.shape[:3], 6, 4), 3, 1)))


def ours(folder: Path, cameras: tuple[Camera, ...], distances: str = "depth") -> tuple[Callable[[], object], Callable[[], tuple]]:
    depth, normals, labels = (np.load(folder / f"{name}.npy") for name in (distances, "normals", "labels"))
    valid, confidence = np.ones(depth.shape, bool), np.ones(depth.shape, np.float32)
    shares = np.broadcast_to(np.float32(SHARES), labels.shape).copy()
    fields = {
        "depth": Field("depth", depth, valid, "metre", "ray", confidence),
        "normals": Field("normals", normals, valid, "unit", "world", confidence),
        "semantics": Field("semantics", labels, valid, "class", confidence=shares),
    }

    def build() -> None:
        backproject.clear_cache()
        for camera in cameras:
            backproject.backprojection(camera, HEIGHT, WIDTH)

    def run() -> tuple:
        fused = fuse(fields, cameras, HEIGHT, WIDTH, SETTINGS)
        return fused["depth"], fused["normals"], fused["semantics"]

    return build, run


def full_maps(camera: Camera) -> tuple[np.ndarray, np.ndarray]:
    """Patch coordinates (column, row) float32 on the full ERP, far outside the patch where it does not see."""
    column, row, inside = camera.project(erp_directions(HEIGHT, WIDTH, np.float32))
    return np.where(inside, column, -1e4).astype(np.float32), np.where(inside, row, -1e4).astype(np.float32)


def normalised(total: np.ndarray, weight: np.ndarray) -> tuple:
    """Depth, normals and labels of summed channels (H, W, 24) and weights (H, W)."""
    total /= np.maximum(weight, 1e-9)[..., None]
    total[..., 1:4] /= np.maximum(np.linalg.norm(total[..., 1:4], axis=-1, keepdims=True), 1e-9)
    return total[..., 0], total[..., 1:4], total[..., 4:].argmax(axis=-1)


def with_cv2(folder: Path, cameras: tuple[Camera, ...]) -> tuple[Callable[[], object], Callable[[], tuple]]:
    import cv2

    patches, maps = np.load(folder / "fours.npy"), []
    feather = backproject.view_weight(cameras[0], SETTINGS.off_axis_power, SETTINGS.edge_feather)

    def build() -> None:
        maps[:] = [tuple(one - np.float32(0.5) for one in full_maps(camera)) for camera in cameras]

    def run() -> tuple:
        total, weight = np.zeros((6, HEIGHT, WIDTH, 4), np.float32), np.zeros((HEIGHT, WIDTH), np.float32)
        for patch, (column, row) in zip(patches, maps):
            own = cv2.remap(feather, column, row, cv2.INTER_LINEAR)
            weight += own
            own_of_four = cv2.merge([own] * 4)
            for four, channels in zip(total, patch):
                four += cv2.multiply(cv2.remap(channels, column, row, cv2.INTER_LINEAR), own_of_four)
        return normalised(np.concatenate(total, axis=-1), weight)

    return build, run


def with_torch(folder: Path, cameras: tuple[Camera, ...]) -> tuple[Callable[[], object], Callable[[], tuple]]:
    import torch

    patches, grids = torch.from_numpy(np.load(folder / "channels_first.npy")), []
    feather = torch.tensor(backproject.view_weight(cameras[0], SETTINGS.off_axis_power, SETTINGS.edge_feather))

    def build() -> None:
        maps = (np.stack(full_maps(camera), axis=-1) for camera in cameras)
        grids[:] = [torch.from_numpy(one / np.float32(SIZE / 2) - np.float32(1))[None] for one in maps]

    def run() -> tuple:
        total, weight = torch.zeros(24, HEIGHT, WIDTH), torch.zeros(HEIGHT, WIDTH)
        for patch, grid in zip(patches, grids):
            own = torch.nn.functional.grid_sample(feather[None, None], grid, align_corners=False)[0, 0]
            weight += own
            warped = torch.nn.functional.grid_sample(patch[None], grid, align_corners=False)[0]
            total += warped.mul_(own)
        return normalised(total.permute(1, 2, 0).contiguous().numpy(), weight.numpy())

    return build, run


def memory(name: str) -> float:
    """MiB of this process from /proc: ``VmRSS`` now, or ``VmHWM`` at its peak (``getrusage`` would inherit the parent's)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{name}:"))


def measure(method: str, folder: Path, repeats: int) -> dict[str, float]:
    """Run one method in this process: milliseconds, peak memory beyond its inputs in MiB, errors."""
    cameras = layouts.icosahedron(SIZE)
    methods = {"ours": ours, "apart": partial(ours, distances="apart"), "cv2": with_cv2, "torch": with_torch}
    build, run = methods[method](folder, cameras)
    before = memory("VmRSS")
    start = time.perf_counter()
    build()
    built = time.perf_counter() - start
    wall, cpu = [], []
    for _ in range(repeats):
        start, start_cpu = time.perf_counter(), time.process_time()
        result = run()
        wall.append(time.perf_counter() - start)
        cpu.append(time.process_time() - start_cpu)
    peak = memory("VmHWM")
    depth, normals, labels = room(erp_directions(HEIGHT, WIDTH))
    weights = np.broadcast_to(erp_area_weights(HEIGHT)[:, None], depth.shape)
    error = np.abs(result[0] / depth - 1)
    angle = np.degrees(2 * np.arcsin(np.clip(np.linalg.norm(result[1] - normals, axis=-1) / 2, 0, 1)))
    return {
        "cached": 1e3 * min(wall),
        "cpu": 1e3 * min(cpu),
        "cold": 1e3 * (min(wall) + built),
        "peak": peak - before,
        "absrel": 100 * float(np.average(error, weights=weights)),
        "angle": float(np.average(angle, weights=weights)),
        "mismatch": 100 * float(np.average(result[2] != labels, weights=weights)),
    }


def table(runs: Sequence[dict[str, dict[str, float]]]) -> str:
    """The Markdown table of all methods: the least and the largest of the runs, with ratios to ours of the same run."""
    lines = [
        "| method | ms, geometry cached | x ours | CPU ms | x ours | ms, cold | x ours | peak extra MiB | AbsRel % | normals deg "
        "| labels wrong % |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, title in METHODS.items():
        cells = [title]
        for key in ("cached", "cpu", "cold"):
            cells.append(span([run[name][key] for run in runs], ".0f"))
            cells.append(span([run[name][key] / run["ours"][key] for run in runs]))
        for key, form in {"peak": ".0f", "absrel": ".3f", "angle": ".2f", "mismatch": ".2f"}.items():
            cells.append(span([run[name][key] for run in runs], form))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def compare(repeats: int) -> dict[str, dict[str, float]]:
    """All methods, each twice and in turn, so that other work on the machine hits none alone: the least of each figure."""
    rows: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        write_inputs(Path(folder), layouts.icosahedron(SIZE))
        for method in [*METHODS, *METHODS]:
            own = ["--method", method, "--inputs", folder, "--repeats", str(repeats)]
            command = [sys.executable, "-m", "benchmarks.labels.fusion", *own]
            found = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
            rows[method] = {key: min(value, rows.get(method, found)[key]) for key, value in found.items()}
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--method", choices=METHODS, help="measure one method on prepared inputs and print JSON")
    parser.add_argument("--inputs", type=Path, help="folder of prepared inputs")
    parser.add_argument("--repeats", type=int, default=4)
    parser.add_argument("--runs", type=int, default=3, help="of which the least and the largest figure are shown")
    given = parser.parse_args()
    if given.method:
        print(json.dumps(measure(given.method, given.inputs, given.repeats)))
        return
    import cv2
    import torch

    runs = [compare(given.repeats) for _ in range(given.runs)]
    print(f"# Fusion: 20 patches of {SIZE} px (90 degrees) into {WIDTH}x{HEIGHT}: depth, normals, {CLASSES} classes\n")
    print(table(runs))
    print(
        "\nWhere views disagree, as those of networks do, the surface with most of the weight is sought pixel by pixel; warps\n"
        "mix whatever they are given, at the same price.\n"
        "Both warps carry depth, three normal channels and the scores of all classes, weighted like ours; they place a class\n"
        "edge between samples by interpolating scores, which only a method that warps every class can do.\n"
        f"Least to largest of {given.runs} runs, each the least of 2 x {given.repeats} calls; ratios are taken within a run.\n"
        "Cold adds building the geometry. Peak extra memory is beyond the inputs and includes the "
        "geometry.\nErrors against the analytic room are area-weighted.\n"
    )
    print(
        f"{machine()}; load average of the last 5 minutes {os.getloadavg()[1]:.1f}. {date.today()}, "
        f"Python {platform.python_version()}, numpy {np.__version__},\nopencv {cv2.__version__}, torch {torch.__version__}. "
        f"Command: `{' '.join(['python -m benchmarks.labels.fusion', *sys.argv[1:]])} > benchmarks/results/labels/fusion.md`"
    )


if __name__ == "__main__":
    main()
