"""Depth fusion: our four methods against two published merges, on procedural rooms and streets with a teacher's errors.

``python -m benchmarks.labels.depth_fusion > benchmarks/results/labels/depth_fusion.md``. All methods get the same twelve views.
AbsRel is area-weighted over what has a true distance; the time is what fusing one panorama's depth and sky takes of the
processors.
"""

import argparse
import os
import platform
import time
from collections.abc import Callable, Sequence
from datetime import date
from multiprocessing import get_context
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

from benchmarks.labels.depth_peers import deformable, mean_gradients
from benchmarks.labels.depth_scenes import SKY_DISTANCE, Errors, capture, wrong_views
from benchmarks.labels.depth_seams import print_seams, seams
from geometry import layouts
from geometry.cameras import Camera
from geometry.directions import erp_area_weights, erp_directions
from geometry.fields import Field
from geometry.fusion.fuse import FusionSettings, fuse
from geometry.fusion.sky import without_sky
from geometry.resampling.backproject import backprojection
from metrics.intervals import column_means, jackknife_intervals

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


def land(fields: Fields) -> Field:
    """Depth without the sky, of which the peers know nothing: taken out as our fusion does it."""
    return without_sky(fields, None)["depth"]


METHODS: dict[str, Method] = {
    "`single`": ours("single"),
    "`blend`": ours("blend"),
    "`align`": ours("align"),
    "`gradient`": ours("gradient"),
    "mean log-gradients, sparse solver (as MoGe)": lambda fields, *rest: mean_gradients(
        without_sky(fields, None)["depth"], *rest
    ),
    "deformable alignment, Poisson (as 360MonoDepth)": lambda fields, *rest: deformable(
        without_sky(fields, None)["depth"], *rest
    ),
}


OURS = [name for name in METHODS if name.startswith("`")]


def absolute_relative(said: Array, true: Array, rescale: bool) -> float:
    """AbsRel (%) weighted by solid angle, as it is or after the median ratio to the truth."""
    known = (true > 0) & (said > 0) & np.isfinite(said)
    weights = np.broadcast_to(erp_area_weights(len(true))[:, None], true.shape)[known]
    ratio = said[known] / true[known]
    return 100 * float(np.average(np.abs(ratio / (np.median(ratio) if rescale else 1) - 1), weights=weights))


def accuracy(count: int, height: int) -> dict[str, Array]:
    """For each kind of errors the AbsRel (panoramas, methods, 2): rescaled and metric; rooms first, then as many streets.

    The peers, which are slow, are shown all errors together only, and have NaN for the rest.
    """
    cameras = layouts.icosahedron_vertices(height // 2)
    places = [capture(kind, 70_000 + seed) for kind in ("room", "street") for seed in range(count)]
    figures = {name: np.full((len(places), len(METHODS), 2), np.nan) for name in ERRORS}
    for number, place in enumerate(places):
        true = place.distances(erp_directions(height, 2 * height))
        for name, errors in ERRORS.items():
            fields = wrong_views(place, cameras, errors, number)
            for k, (label, method) in enumerate(METHODS.items()):
                if name == "all" or label in OURS:
                    said = method(fields, cameras, height, 2 * height)
                    figures[name][number, k] = [absolute_relative(said, true, rescale) for rescale in (True, False)]
    return figures


def seconds(height: int, size: int, repeats: int, limit: float) -> dict[str, float]:
    """Least CPU seconds, of all threads together, of each method on one room; a peer is run once.

    CPU time, because that of the clock grows with other work on the machine. Infinite where the clock passes ``limit``.
    """
    cameras = layouts.icosahedron_vertices(size)
    fields = wrong_views(capture("room", 70_000), cameras, Errors(), 0)
    for camera in cameras:
        backprojection(camera, height, 2 * height)  # in a pipeline the layout's geometry is made once
    took = {}
    for name, method in METHODS.items():
        if name in OURS:
            took[name] = min(_timed(method, fields, cameras, height) for _ in range(repeats))
            continue
        found = get_context("fork").Value("d", np.inf)
        process = get_context("fork").Process(target=_note, args=(found, method, fields, cameras, height))
        process.start()
        process.join(limit)
        process.kill()
        process.join()
        took[name] = found.value
    return took


def _note(found: Synchronized, *arguments: Any) -> None:
    found.value = _timed(*arguments)


def _timed(method: Method, fields: Fields, cameras: Sequence[Camera], height: int) -> float:
    start = time.process_time()
    method(fields, cameras, height, 2 * height)
    return time.process_time() - start


def with_interval(values: Array) -> str:
    """Mean of figures (N,) and its 95 % interval over panoramas."""
    low, high = jackknife_intervals(*column_means(values[:, None]))
    return f"{values.mean():.2f} [{low[0]:.2f}, {high[0]:.2f}]"


def report(found: dict[str, Array], took: dict[str, float], given: argparse.Namespace) -> None:
    """Print the tables."""
    every, count = found["all"], given.count
    print(f"# Depth fusion: 12 views, {count} rooms and {count} streets\n")
    print(
        "AbsRel in %, mean and 95 % interval (t) over panoramas. Each view is wrong by a scale of 10 %, slow waves of\n"
        f"3 %, and a blur of 1 pixel, and has the sky {SKY_DISTANCE:g} m along its axis, into which the streets' edges are\n"
        "blurred too; what is sky it knows. *Fitted*: after one factor, the median ratio to the truth; *metric*: as it is.\n"
        "Differences are paired, fitted.\n"
    )
    columns = ("fitted", "rooms, fitted", "streets, fitted", "metric", "`blend` less this", "as MoGe less this")
    print(f"| method | {' | '.join(columns)} | as 360MonoDepth less this | CPU s at 2048x1024 |\n|---|{'---|' * 8}")
    for k, name in enumerate(METHODS):
        own = (
            every[:, k, 0],
            every[:count, k, 0],
            every[count:, k, 0],
            every[:, k, 1],
            *(every[:, (1, 4, 5), 0] - every[:, [k], 0]).T,
        )
        cells = [with_interval(values) for values in own]
        if "MoGe" in name:
            cells[3] = "scale is lost"
        cells.append(f"{took[name]:.2f}" if np.isfinite(took[name]) else f"> {given.limit:g}")
        print(f"| {name} | {' | '.join(cells)} |")
    print("\nOne kind of error at a time, fitted, rooms and streets:\n")
    print(f"| method | {' | '.join(ERRORS)} |\n|---|{'---|' * len(ERRORS)}")
    for k, name in enumerate(OURS):
        kinds = (f"{values[:count, k, 0].mean():.2f}, {values[count:, k, 0].mean():.2f}" for values in found.values())
        print(f"| {name} | {' | '.join(kinds)} |")
    more = {name: values[:, OURS.index("`align`"), 0] - values[:, OURS.index("`blend`"), 0] for name, values in found.items()}
    print("\n`align` less `blend`, paired, and the panorama for which it is largest: ", end="")
    print("; ".join(f"{name} {with_interval(one)}, {one.max():.2f}" for name, one in more.items()) + ".")


def _processor() -> str:
    """Its maker's name for it, where the system tells."""
    about = Path("/proc/cpuinfo")
    lines = about.read_text().splitlines() if about.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=8, help="rooms, and as many streets")
    parser.add_argument("--height", type=int, default=256, help="rows of the fused panorama where accuracy is measured")
    parser.add_argument("--seam-height", type=int, default=1024, help="rows where seams are counted")
    parser.add_argument("--limit", type=float, default=600, help="seconds after which a peer is not timed any longer")
    given = parser.parse_args()
    took = seconds(1024, 512, 3, given.limit)
    report(accuracy(given.count, given.height), took, given)
    print_seams(seams({name: METHODS[name] for name in OURS}, given.count, given.seam_height), given.seam_height)
    command = f"python -m benchmarks.labels.depth_fusion --count {given.count} --height {given.height} "
    command += f"--seam-height {given.seam_height} --limit {given.limit:g}"
    print(
        f"\nAccuracy at {2 * given.height}x{given.height} from patches of {given.height // 2} px. CPU seconds are those of all\n"
        "threads, at 2048x1024 from patches of 512 px, without making the layout's geometry, which ours keep between\n"
        "panoramas; least of 3 runs for ours, one for a peer.\n"
        "benchmarks/labels/depth_peers.py says how the peers were written anew and where they differ from the originals.\n\n"
        f"{len(os.sched_getaffinity(0))} CPU cores ({_processor()}), no GPU, shared with other work; load average of the last "
        f"5 minutes {os.getloadavg()[1]:.1f}. {date.today()},\nPython {platform.python_version()}, numpy {np.__version__}, "
        f"scipy {scipy.__version__}. Command: `{command}`"
    )


if __name__ == "__main__":
    main()
