"""Depth fusion: our four methods against two published merges, on procedural rooms and streets with a teacher's errors.

``python -m benchmarks.depth_fusion > benchmarks/results/depth_fusion.md``. All methods get the same twelve views. AbsRel is
area-weighted over what has a true distance; the time is that of fusing one panorama's depth and sky, everything included.
"""

import argparse
import os
import platform
import time
from collections.abc import Callable, Sequence
from datetime import date

import numpy as np
import scipy
from numpy.typing import NDArray

from benchmarks.depth_peers import deformable, mean_gradients
from benchmarks.depth_scenes import Errors, capture, wrong_views
from geometry import layouts
from geometry.backproject import backprojection
from geometry.cameras import Camera
from geometry.directions import erp_area_weights, erp_directions
from geometry.fields import Field
from geometry.fusion import FusionSettings, fuse
from metrics.bootstrap import bootstrap_intervals, column_means

Array = NDArray[np.floating]
Fields = dict[str, Field]
Method = Callable[[Fields, Sequence[Camera], int, int], Array]
ERRORS = {
    "all": Errors(),
    "scale only": Errors(bias=0, blur=0),
    "bias only": Errors(scale=0, blur=0),
    "blur only": Errors(scale=0, bias=0),
    "none": Errors(0, 0, 0),
}


def ours(depth: str) -> Method:
    settings = FusionSettings(off_axis_power=2.0, depth=depth)  # type: ignore[arg-type]
    return lambda fields, cameras, height, width: fuse(fields, cameras, height, width, settings)["depth"]


METHODS: dict[str, Method] = {
    "`single`": ours("single"),
    "`blend`": ours("blend"),
    "`align`": ours("align"),
    "`gradient`": ours("gradient"),
    "mean log-gradients, sparse solver (as MoGe)": lambda fields, *rest: mean_gradients(fields["depth"], *rest),
    "deformable alignment, Poisson (as 360MonoDepth)": lambda fields, *rest: deformable(fields["depth"], *rest),
}


def absolute_relative(said: Array, true: Array, rescale: bool) -> float:
    """AbsRel (%) weighted by solid angle, as it is or after the median ratio to the truth."""
    known = (true > 0) & (said > 0) & np.isfinite(said)
    weights = np.broadcast_to(erp_area_weights(len(true))[:, None], true.shape)[known]
    ratio = said[known] / true[known]
    return 100 * float(np.average(np.abs(ratio / (np.median(ratio) if rescale else 1) - 1), weights=weights))


def accuracy(count: int, height: int) -> dict[str, Array]:
    """For each kind of errors the AbsRel (panoramas, methods, 2): rescaled and metric; rooms first, then as many streets."""
    cameras = layouts.icosahedron_vertices(height // 2)
    figures: dict[str, list[list[list[float]]]] = {name: [] for name in ERRORS}
    for kind in ("room", "street"):
        for seed in range(count):
            place = capture(kind, 70_000 + seed)
            true = place.distances(erp_directions(height, 2 * height))
            for name, errors in ERRORS.items():
                fields = wrong_views(place, cameras, errors, seed)
                fused = [method(fields, cameras, height, 2 * height) for method in METHODS.values()]
                figures[name].append([[absolute_relative(one, true, rescale) for rescale in (True, False)] for one in fused])
    return {name: np.array(values) for name, values in figures.items()}


def seconds(height: int, size: int, repeats: int) -> dict[str, float]:
    """Least wall-clock seconds of each method on one room; a peer is run once."""
    cameras = layouts.icosahedron_vertices(size)
    fields = wrong_views(capture("room", 70_000), cameras, Errors(), 0)
    for camera in cameras:
        backprojection(camera, height, 2 * height)  # in a pipeline the layout's geometry is made once
    took = {}
    for name, method in METHODS.items():
        runs = []
        for _ in range(repeats if name.startswith("`") else 1):
            start = time.perf_counter()
            method(fields, cameras, height, 2 * height)
            runs.append(time.perf_counter() - start)
        took[name] = min(runs)
    return took


def with_interval(values: Array) -> str:
    """Mean of figures (N,) and its bootstrap 95 % interval over panoramas."""
    low, high = bootstrap_intervals(*column_means(values[:, None]))
    return f"{values.mean():.2f} [{low[0]:.2f}, {high[0]:.2f}]"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=8, help="rooms, and as many streets")
    parser.add_argument("--height", type=int, default=256, help="rows of the fused panorama where accuracy is measured")
    given = parser.parse_args()
    found, took = accuracy(given.count, given.height), seconds(1024, 512, 3)
    every = found["all"]
    print(f"# Depth fusion: 12 views of 90 degrees, {given.count} rooms and {given.count} streets\n")
    print(
        "AbsRel in %, mean and bootstrap 95 % interval over panoramas. Errors: per-view scale 10 %, slow bias 3 %, blur 1 pixel.\n"
    )
    print(
        "| method | AbsRel, one factor fitted | rooms | streets | AbsRel, metric | less than `blend`, one factor | s at 2048x1024 |"
    )
    print("|---|---|---|---|---|---|---|")
    for k, name in enumerate(METHODS):
        cells = [
            with_interval(v) for v in (every[:, k, 0], every[: given.count, k, 0], every[given.count :, k, 0], every[:, k, 1])
        ]
        if "MoGe" in name:
            cells[3] = "scale is lost"
        cells += [with_interval(every[:, 1, 0] - every[:, k, 0]), f"{took[name]:.2f}"]
        print(f"| {name} | {' | '.join(cells)} |")
    print("\nOne kind of error at a time, AbsRel (%) with one factor fitted:\n")
    print(f"| method | {' | '.join(ERRORS)} |\n|---|{'---|' * len(ERRORS)}")
    for k, name in enumerate(METHODS):
        print(f"| {name} | {' | '.join(f'{values[:, k, 0].mean():.2f}' for values in found.values())} |")
    print(
        f"\nAccuracy at {2 * given.height}x{given.height} from patches of {given.height // 2} px; time at 2048x1024 from patches of "
        "512 px, without the layout's\ngeometry (ours keep it between panoramas; the peers have none to keep), least of 3 runs for "
        "ours and one for the peers.\n"
        "The factor fitted is the median ratio to the truth. The peers are described in benchmarks/depth_peers.py.\n\n"
        f"{len(os.sched_getaffinity(0))} CPU cores, no GPU; load average of the last 5 minutes {os.getloadavg()[1]:.1f}. {date.today()}, "
        f"Python {platform.python_version()}, numpy {np.__version__}, scipy {scipy.__version__}.\n"
        f"Command: `python -m benchmarks.depth_fusion --count {given.count} --height {given.height} > benchmarks/results/depth_fusion.md`"
    )


if __name__ == "__main__":
    main()
