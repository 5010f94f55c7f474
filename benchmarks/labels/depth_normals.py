"""What it brings to make depth agree with normals, on procedural rooms and streets whose views and normals are wrong.

``python -m benchmarks.labels.depth_normals > benchmarks/results/labels/depth_normals.md``. The depth's errors are those of
benchmarks/labels/depth_fusion.py, all together; the normals' grow from row to row.
"""

import argparse
import platform
from collections.abc import Sequence
from datetime import date

import numpy as np
from numpy.typing import NDArray

from benchmarks.labels.depth_fusion import absolute_relative, with_interval
from benchmarks.labels.depth_scenes import Capture, Errors, NormalErrors, capture, wrong_normals, wrong_views
from geometry import layouts
from geometry.cameras import Camera
from geometry.directions import erp_area_weights, erp_directions
from geometry.fusion.fuse import FusionSettings, fuse
from metrics.depth_normals import depth_normal_figures
from metrics.normals import normal_figures

Array = NDArray[np.floating]
CASES = {
    "`align`, true normals": ("align", NormalErrors(0, 0, 0)),
    "`blend`, slow 3, white 5": ("blend", NormalErrors(3, 5)),
    "`align`, slow 3, white 5": ("align", NormalErrors(3, 5)),
    "`gradient`, slow 3, white 5": ("gradient", NormalErrors(3, 5)),
    "`align`, slow 6, white 10": ("align", NormalErrors(6, 10)),
    "`align`, slow 12, white 20": ("align", NormalErrors(12, 20)),
}


def measure(method: str, errors: NormalErrors, place: Capture, cameras: Sequence[Camera], height: int, seed: int) -> list[float]:
    """Error of the fused normals; AbsRel (%), angle of the depth's surfaces to the fused and to the true normals, all in degrees:
    first as they are, then enforced."""
    directions = erp_directions(height, 2 * height)
    true, true_normals = place.distances(directions), place.normals(directions).astype(np.float32)
    weights = np.broadcast_to(erp_area_weights(height)[:, None], true.shape)
    fields = {**wrong_views(place, cameras, Errors(), seed), "normals": wrong_normals(place, cameras, errors, seed)}
    row: list[float] = []
    for enforce in (False, True):
        settings = FusionSettings(off_axis_power=2.0, depth=method, enforce_normals=enforce)  # type: ignore[arg-type]
        labels = fuse(fields, cameras, height, 2 * height, settings)
        if not row:
            said = normal_figures(labels["normals"], true_normals, labels["normals_valid"] & (true > 0), weights)["mean"]
            row.append(said if said is not None else np.nan)
        row.append(absolute_relative(labels["depth"], true, True))
        row.append(depth_normal_figures(labels, settings.depth_edge)["depth_normal_degrees"])
        exact = {**labels, "normals": true_normals, "normals_valid": true > 0}
        row.append(depth_normal_figures(exact, settings.depth_edge)["depth_normal_degrees"])
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=8, help="rooms, and as many streets")
    parser.add_argument("--height", type=int, default=256, help="rows of the fused panorama")
    given = parser.parse_args()
    cameras = layouts.icosahedron_vertices(given.height // 2)
    places = [capture(kind, 70_000 + seed) for kind in ("room", "street") for seed in range(given.count)]
    print(f"# Depth made to agree with normals: 12 views, {given.count} rooms and {given.count} streets\n")
    print(
        "Mean, and for differences their 95 % interval (t) over panoramas. *Normals wrong by*: mean angle of the fused\n"
        "normals to the true ones, degrees. AbsRel in %, after one factor. *Angle*: of the depth's surfaces to the fused\n"
        "normals, degrees; *true angle*: to the true ones. Each as fused -> with `fuse.depth_normal: enforce`; *less* is\n"
        "what that takes off.\n"
    )
    columns = ("normals wrong by", "AbsRel, rooms", "rooms, less", "AbsRel, streets", "streets, less", "angle", "true angle")
    print(f"| depth, and the normals' errors in degrees | {' | '.join(columns)} | true angle, less |\n|---|{'---|' * 8}")
    for name, (method, errors) in CASES.items():
        rows = np.array([measure(method, errors, place, cameras, given.height, k) for k, place in enumerate(places)])
        mean, kinds = rows.mean(axis=0), (rows[: given.count], rows[given.count :])
        cells = [f"{mean[0]:.1f}"]
        for kind in kinds:
            cells += [f"{kind[:, 1].mean():.2f} -> {kind[:, 4].mean():.2f}", with_interval(kind[:, 1] - kind[:, 4])]
        cells += [f"{mean[k]:.2f} -> {mean[k + 3]:.2f}" for k in (2, 3)] + [with_interval(rows[:, 3] - rows[:, 6])]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)
    print(
        "\nThe strengths in geometry/fusion/normals.py were chosen on other scenes with errors of the same kinds.\n\n"
        f"{2 * given.height}x{given.height} from patches of {given.height // 2} px. {date.today()}, "
        f"Python {platform.python_version()}, numpy {np.__version__}.\n"
        f"Command: `python -m benchmarks.labels.depth_normals --count {given.count} --height {given.height}`"
    )


if __name__ == "__main__":
    main()
