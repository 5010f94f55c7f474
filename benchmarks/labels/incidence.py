"""How much of smooth surfaces is torn, and how many true edges are bridged, by the rule of incidence and by PaGeR's.

``python -m benchmarks.labels.incidence > benchmarks/results/labels/incidence.md``. Distances are exact, of procedural rooms and
streets; so is the truth of which neighbouring pixels lie on one surface.
"""

import argparse
import platform
from collections.abc import Callable, Iterator
from datetime import date
from functools import partial

import numpy as np
from numpy.typing import NDArray

from benchmarks.labels.depth_scenes import Capture, capture
from geometry.directions import erp_angles, erp_area_weights, erp_directions
from geometry.resampling.padding import sphere_rows
from geometry.surfaces.incidence import MAX_INCIDENCE, TOLERANCE, joined, within_incidence
from scenes.processes import in_processes
from scenes.render import cast

Array = NDArray[np.floating]
Bools = NDArray[np.bool_]
Rule = Callable[[Array, Bools], tuple[Bools, Bools]]
SIZES = (512, 1024, 2048)
SEED = 72_000
BETWEEN = 8  # rays from pixel to pixel that tell whether the surface goes on
MEETS = 1e-4  # share of the distance by which planes that meet on a ray may miss each other
FAR, HIGH = 10.0, 0.1  # metres: what lies far, and the least step that PaGeR's rule looks at
NOISE = 0.01


def pager(depth: Array, known: Bools) -> tuple[Bools, Bools]:
    """PaGeR's point cloud tears pairs that differ by more than 0.1 m and 0.2 %; the shapes are those of ``joined``."""
    rows = sphere_rows(np.where(known, depth, 0), -1, len(depth) + 1, 0)

    def kept(first: Array, second: Array) -> Bools:
        step = np.abs(second - first)
        return (first > 0) & (second > 0) & ~((step > 0.1) & (step > 0.002 * np.minimum(first, second)))

    return kept(rows[1:-1], np.roll(rows[1:-1], -1, axis=1)), kept(rows[:-1], rows[1:])


def incidence_alone(depth: Array, known: Bools) -> tuple[Bools, Bools]:
    """The incidence alone: neither noise nor planes that go on."""
    rows = sphere_rows(np.where(known, depth, 0), -1, len(depth) + 1, 0)
    height, width = depth.shape
    across = 2 * np.arcsin(np.cos(erp_angles(height, width)[1]) * np.sin(np.pi / width))[:, None]
    right = within_incidence(rows[1:-1], np.roll(rows[1:-1], -1, axis=1), across, tolerance=0.0)
    return right, within_incidence(rows[:-1], rows[1:], np.pi / height, tolerance=0.0)


RULES: dict[str, Rule] = {
    "incidence": joined,
    "incidence, 75 degrees": partial(joined, max_incidence=np.radians(75)),
    "incidence, 85 degrees": partial(joined, max_incidence=np.radians(85)),
    "incidence alone": incidence_alone,
    "PaGeR's": pager,
}


def truly_joined(place: Capture, starts: Array, ends: Array) -> tuple[Bools, Array]:
    """Whether the surface goes on without a step between rays (N, 3), and how high the highest step is, in metres.

    Between two rays a step lies where their planes do not meet: there the difference of the planes' inverse distances, which is
    linear, keeps its sign.
    """
    share = np.linspace(0, 1, BETWEEN + 1)[:, None, None]
    rays = starts * (1 - share) + ends * share
    rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    scene = place.scene
    triangle = cast(scene, place.position, rays.reshape(-1, 3)).triangle.reshape(rays.shape[:2])
    normals = scene.normals[triangle]
    slopes = normals / np.einsum("knc,knc->kn", scene.triangles[triangle, 0] - place.position, normals)[..., None]
    smooth, highest = np.ones(len(starts), bool), np.zeros(len(starts))
    for here, there in zip(range(BETWEEN), range(1, BETWEEN + 1)):
        inverse = [[np.einsum("nc,nc->n", slopes[plane], rays[ray]) for ray in (here, there)] for plane in (here, there)]
        apart = np.array(inverse[0]) - inverse[1]
        least = MEETS * np.minimum(inverse[0][0], inverse[1][1])
        on = (apart[0] * apart[1] <= 0) | (np.abs(apart) < least).any(axis=0)
        on &= (triangle[here] >= 0) & (triangle[there] >= 0)
        step = np.abs(1 / inverse[0][0] - 1 / inverse[1][1])
        highest = np.where(on, highest, np.maximum(highest, step))
        smooth &= on
    return smooth, highest


def figures(kind: str, seed: int, height: int) -> NDArray[np.float64]:
    """For every rule parts and their wholes: smooth surface lost, that beyond FAR, and all with noise; edges of HIGH bridged, all
    edges, and those of HIGH with noise. Surface by solid angle, edges by length."""
    place = capture(kind, seed)
    directions = erp_directions(height, 2 * height)
    hits = cast(place.scene, place.position, directions.reshape(-1, 3))
    triangle = hits.triangle.reshape(directions.shape[:2])
    known = triangle >= 0
    depth = np.where(known, hits.distance.reshape(triangle.shape), 0)
    area = np.broadcast_to(erp_area_weights(height)[:, None], depth.shape)
    noisy = depth * np.exp(np.random.default_rng(seed).normal(0, NOISE, depth.shape))
    edges, lengths, heights = [], [np.ones_like(area), area], []
    for one, other in _pairs(triangle, directions, known):
        ask = one["known"] & other["known"] & (one["triangle"] != other["triangle"])
        edge, high = np.zeros(ask.shape, bool), np.zeros(ask.shape)
        smooth, high[ask] = truly_joined(place, one["directions"][ask], other["directions"][ask])
        edge[ask] = ~smooth
        edges.append(edge)
        heights.append(high)
    surface = known & ~_touched(*edges)
    far = surface & (depth > FAR)
    rows = []
    for rule in RULES.values():
        row: list[float] = []
        exact, wavering = (_inner(rule(distances, known)) for distances in (depth, noisy))
        for kept, of in ((exact, surface), (exact, far), (wavering, surface)):
            lost = _touched(*(pair & ~one for pair, one in zip(_both(known), kept)))
            row += [area[of & lost].sum(), area[of].sum()]
        for kept, least in ((exact, HIGH), (exact, 0), (wavering, HIGH)):
            which = [edge & (high > least) for edge, high in zip(edges, heights)]
            row += [
                sum(length[edge & one].sum() for length, edge, one in zip(lengths, which, kept)),
                sum(length[edge].sum() for length, edge in zip(lengths, which)),
            ]
        rows.append(row)
    return np.array(rows)


def _pairs(triangle: NDArray[np.intp], directions: Array, known: Bools) -> Iterator[tuple[dict, dict]]:
    """Pixels and their neighbours to the right, then those below; the last row has itself, so no edge."""
    arrays = {"triangle": triangle, "directions": directions, "known": known}
    yield arrays, {name: np.roll(array, -1, axis=1) for name, array in arrays.items()}
    yield arrays, {name: np.concatenate([array[1:], array[-1:]]) for name, array in arrays.items()}


def _both(known: Bools) -> tuple[Bools, Bools]:
    below = np.concatenate([known[1:], np.zeros_like(known[:1])])
    return known & np.roll(known, -1, axis=1), known & below


def _inner(kept: tuple[Bools, Bools]) -> tuple[Bools, Bools]:
    """Without the pairs over the poles: (H, W) to the right, (H, W) down, the last row never asked for."""
    return kept[0], kept[1][1:]


def _touched(right: Bools, down: Bools) -> Bools:
    """Pixels on either side of marked pairs."""
    above = np.concatenate([np.zeros_like(down[:1]), down[:-1]])
    return right | np.roll(right, 1, axis=1) | down | above


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=6, help="rooms, and as many streets")
    given = parser.parse_args()
    print(f"# Where surfaces tear: {given.count} rooms and {given.count} streets, exact distances\n")
    print(
        "*Lost*: share of the smooth surface (pixels of which no neighbour lies over a true edge), by solid angle, that a rule\n"
        f"tears from a neighbour: all of it, the worst panorama's, that beyond {FAR:g} m, and all under noise of {NOISE:.1%} a\n"
        "pixel. *Bridged*: share of true occluding edges, by length, that a rule takes for one surface: those with a step of\n"
        f"more than {HIGH:g} m, and all, down to the thickness of a door's frame; the rest are cut. All in %. *incidence*:\n"
        f"within {np.degrees(MAX_INCIDENCE):.0f} degrees and {TOLERANCE:.0%}, more where distances waver, or on a plane that\n"
        "goes on (geometry/surfaces/incidence.py); *alone*: none of these three. *PaGeR's*: 0.1 m and 0.2 %.\n"
    )
    columns = ("lost", "worst", "beyond 10 m", "with noise", "bridged, > 0.1 m", "all", "> 0.1 m, with noise")
    print(f"| scenes | rows | rule | {' | '.join(columns)} |\n|{'---|' * 10}")
    for kind in ("room", "street"):
        for height in SIZES:
            jobs = [(kind, SEED + number, height) for number in range(given.count)]
            found = np.array(in_processes(figures, jobs, 1))
            for number, name in enumerate(RULES):
                one, total = found[:, number], found[:, number].sum(axis=0)
                worst = f"{100 * (one[:, 0] / one[:, 1]).max():.2f}"
                shares = [_share(total, part) for part in range(0, 12, 2)]
                shares.insert(1, worst)
                print(f"| {kind}s | {height} | {name} | {' | '.join(shares)} |", flush=True)
    print(
        f"\n{date.today()}, Python {platform.python_version()}, numpy {np.__version__}. "
        f"Command: `python -m benchmarks.labels.incidence --count {given.count}`"
    )


def _share(total: Array, index: int) -> str:
    return f"{100 * total[index] / total[index + 1]:.2f}" if total[index + 1] else "–"


if __name__ == "__main__":
    main()
