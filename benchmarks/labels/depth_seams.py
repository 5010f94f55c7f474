"""What a change of views leaves in fused depth: seams and bent surfaces, beside those that the true depth itself shows."""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from benchmarks.labels.depth_scenes import Errors, capture, wrong_views
from geometry import layouts
from geometry.directions import erp_directions
from metrics.depth_normals import depth_normal_figures
from metrics.intervals import column_means, jackknife_intervals
from metrics.seams import seam_figures

Array = NDArray[np.floating]
COLUMNS = {
    "density": "seam_defect_density",
    "prevalence": "seam_prevalence",
    "severity": "seam_severity",
    "wrap seam": "wrap_seam",
    "pole seam": "pole_seam",
    "surface angle": "depth_normal_degrees",
}
SCALE = np.array([1, 1, 1, 100, 100, 1])
COMPARED = ("prevalence", "severity", "surface angle")


def seams(methods: Mapping[str, Callable[..., Array]], count: int, height: int) -> dict[str, Array]:
    """Figures (panoramas, columns) of the truth and of every method on ``count`` rooms and as many streets."""
    cameras = layouts.icosahedron_vertices(height // 2)
    directions = erp_directions(height, 2 * height)
    found: dict[str, list[list[float]]] = {name: [] for name in ("truth", *methods)}
    for number, (kind, seed) in enumerate((kind, seed) for kind in ("room", "street") for seed in range(count)):
        place = capture(kind, 70_000 + seed)
        true = place.distances(directions)
        normals = {"normals": place.normals(directions).astype(np.float32), "normals_valid": true > 0}
        fields = wrong_views(place, cameras, Errors(), number)
        for name in found:
            said = true if name == "truth" else methods[name](fields, cameras, height, 2 * height)
            valid = (true > 0) & (said > 0)
            labels = {**normals, "depth": said.astype(np.float32), "depth_valid": valid}
            figures = {**seam_figures(said, valid), **depth_normal_figures(labels, 0.1)}
            found[name].append([figures[key] for key in COLUMNS.values()])
    return {name: np.array(rows) for name, rows in found.items()}


def print_seams(found: Mapping[str, Array], height: int) -> None:
    """The table, and what each method has more than the truth."""
    print(
        f"\nSeams at {2 * height}x{height} from patches of {height // 2} px, all errors together, as metrics/seams.py\n"
        "defines them: density, prevalence and severity as PaGeR's, along the edges of a cube; wrap and pole seam in % of\n"
        "distance. *Surface angle*: mean angle of the depth's surfaces to the true normals, in degrees. *More*: paired\n"
        "difference to the truth, with its 95 % interval.\n"
    )
    heads = [*COLUMNS, *(f"{name}, more" for name in COMPARED)]
    print(f"| method | {' | '.join(heads)} |\n|---|{'---|' * len(heads)}")
    for name, rows in found.items():
        cells = [f"{value:.3f}" for value in np.nanmean(rows, axis=0) * SCALE]
        for column in COMPARED:
            k = list(COLUMNS).index(column)
            cells.append("" if name == "truth" else with_interval(rows[:, k] - found["truth"][:, k]))
        print(f"| {name} | {' | '.join(cells)} |")
    flatter = found["`align`"][:, -1] - found["`gradient`"][:, -1]
    print(f"\nSurface angle of `align` less that of `gradient`: {with_interval(flatter)} degrees.")


def with_interval(values: Array) -> str:
    """Mean of figures (N,) and its 95 % interval over panoramas, to three digits."""
    low, high = jackknife_intervals(*column_means(values[:, None]))
    return f"{values.mean():.3f} [{low[0]:.3f}, {high[0]:.3f}]"
