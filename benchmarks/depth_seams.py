"""Seams that are visible in fused depth, beside those that the true depth of the same panoramas shows."""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from benchmarks.depth_scenes import Errors, capture, wrong_views
from geometry import layouts
from geometry.directions import erp_directions
from metrics.bootstrap import bootstrap_intervals, column_means
from metrics.seams import seam_figures

Array = NDArray[np.floating]
COLUMNS = {
    "density": "seam_defect_density",
    "prevalence": "seam_prevalence",
    "severity": "seam_severity",
    "wrap seam": "wrap_seam",
    "pole seam": "pole_seam",
}


def seams(methods: Mapping[str, Callable[..., Array]], count: int, height: int) -> dict[str, Array]:
    """Figures (panoramas, columns) of the truth and of every method on ``count`` rooms and as many streets."""
    cameras = layouts.icosahedron_vertices(height // 2)
    found: dict[str, list[list[float]]] = {name: [] for name in ("truth", *methods)}
    for number, (kind, seed) in enumerate((kind, seed) for kind in ("room", "street") for seed in range(count)):
        place = capture(kind, 70_000 + seed)
        true = place.distances(erp_directions(height, 2 * height))
        fields = wrong_views(place, cameras, Errors(), number)
        for name in found:
            said = true if name == "truth" else methods[name](fields, cameras, height, 2 * height)
            figures = seam_figures(said, (true > 0) & (said > 0))
            found[name].append([figures[key] for key in COLUMNS.values()])
    return {name: np.array(rows) for name, rows in found.items()}


def print_seams(found: Mapping[str, Array], height: int) -> None:
    """The table, and what each method has more than the truth."""
    print(
        f"\nSeams at {2 * height}x{height} from patches of {height // 2} px, all errors together, as metrics/seams.py\n"
        "defines them: density, prevalence and severity as PaGeR's, along the edges of a cube; wrap and pole seam in % of\n"
        "distance. *More*: paired difference to the truth, with its 95 % interval.\n"
    )
    print("| method | " + " | ".join(COLUMNS) + " | prevalence, more | severity, more |\n|---|" + "---|" * (len(COLUMNS) + 2))
    scale = np.array([1, 1, 1, 100, 100])
    for name, rows in found.items():
        cells = [f"{value:.3f}" for value in np.nanmean(rows, axis=0) * scale]
        cells += ["" if name == "truth" else _difference(rows[:, k] - found["truth"][:, k]) for k in (1, 2)]
        print(f"| {name} | {' | '.join(cells)} |")


def _difference(values: Array) -> str:
    low, high = bootstrap_intervals(*column_means(values[:, None]))
    return f"{values.mean():+.3f} [{low[0]:+.3f}, {high[0]:+.3f}]"
