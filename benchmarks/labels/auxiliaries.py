"""Auxiliary labels of a 2048x1024 panorama: CPU seconds to derive them, bytes to keep them; edge distances against a search tree.

``python -m benchmarks.labels.auxiliaries > benchmarks/results/labels/auxiliaries.md``. The panorama is a procedural street with
true labels.
"""

import argparse
import os
import platform
import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import scipy
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from geometry.directions import erp_directions
from geometry.surfaces.auxiliaries import AUXILIARIES, EDGE_LIMIT, derive_auxiliaries, edges
from geometry.threads import WORKERS
from scenes.build import build_scene
from scenes.render import render_erp
from storage.arrays import BlockWriter
from tasks.label.auxiliaries import encode_auxiliaries

Labels = dict[str, NDArray]


def labelled(height: int) -> tuple[Labels, NDArray[np.uint8]]:
    """True labels as the stage ``fuse`` makes them, and the panorama."""
    scene = build_scene("street", 70_000)
    frame = render_erp(scene, scene.free_position(np.random.default_rng(0)), height, 2 * height)
    seen = np.ones(frame.sky.shape, bool)
    labels = {"views": 2 * seen.astype(np.uint8), "depth": frame.depth, "depth_valid": ~frame.sky, "sky": frame.sky}
    return labels | {"semantics": frame.semantics, "semantics_valid": seen}, frame.image


def tree_distance(found: NDArray[np.bool_]) -> NDArray[np.floating]:
    """Edge distances by a k-d tree of the edges' directions, as precise as ours and cut at the same angle."""
    directions = erp_directions(*found.shape)
    reach = 2 * np.sin(EDGE_LIMIT / 2)
    chord = cKDTree(directions[found]).query(directions.reshape(-1, 3), distance_upper_bound=reach, workers=WORKERS)[0]
    return 2 * np.arcsin(np.minimum(chord, reach) / 2).reshape(found.shape)


def timed(work: Callable[[], object], repeats: int) -> float:
    """Least CPU seconds of all threads: those of the clock grow with other work on the machine."""
    took = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        took.append(time.process_time() - start)
    return min(took)


def stored_bytes(array: NDArray) -> int:
    """Bytes of one panorama's array in a block."""
    with tempfile.TemporaryDirectory() as folder:
        writer = BlockWriter(folder, 1)
        writer.append({"array": array})
        writer.close()
        return sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--height", type=int, default=1024)
    given = parser.parse_args()
    labels, image = labelled(given.height)
    print(f"# Auxiliary labels of a {2 * given.height}x{given.height} panorama\n")
    print("| label | CPU seconds to derive | MB to keep |\n|---|---|---|")
    for name in AUXILIARIES:
        derived = derive_auxiliaries((name,), labels, image, 0.1)
        took = timed(lambda name=name: derive_auxiliaries((name,), labels, image, 0.1), 3)  # type: ignore[misc]
        print(f"| `{name}` | {took:.3f} | {stored_bytes(encode_auxiliaries(derived)[name]) / 1e6:.1f} |")
    found = edges(labels, 0.1)
    took = timed(lambda: tree_distance(found), 1)
    apart = np.abs(tree_distance(found) - derive_auxiliaries(("edge_distance",), labels, image, 0.1)["edge_distance"]).max()
    depth = stored_bytes(labels["depth"].astype(np.float16)) / 1e6
    print(
        f"\n`scipy.spatial.cKDTree` on the directions of the {found.sum()} edge pixels takes {took:.2f} CPU s for the same edge\n"
        f"distances, without finding the edges; the two differ by {apart:.1e} radians at most. `depth` in float16 keeps "
        f"{depth:.1f} MB.\n\nLeast of 3 runs. {WORKERS} CPU cores, shared with other work; load average of the last 5 minutes "
        f"{os.getloadavg()[1]:.1f}.\n{date.today()}, Python {platform.python_version()}, numpy {np.__version__}, "
        f"scipy {scipy.__version__}. Command: `python -m benchmarks.labels.auxiliaries --height {given.height}`"
    )


if __name__ == "__main__":
    main()
