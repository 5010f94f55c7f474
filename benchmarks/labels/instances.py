"""Instances across patches: our merging against stitching, components and sahi, on procedural rooms and streets.

``pip install --no-deps --target work/sahi sahi==0.12.8 shapely==2.2.0`` (its other dependencies would replace the OpenCV
in use), then ``PYTHONPATH=work/sahi python -m benchmarks.labels.instances > benchmarks/results/labels/instances.md``. All methods
get the same patches of one corrupted teacher, and the same fused classes for stuff. Upright panoramas have few objects on the
seam and none on a pole; tilted ones have many.
"""

import argparse
import os
import platform
import time
import tracemalloc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from importlib.metadata import PackageNotFoundError, version

import numpy as np
from numpy.typing import NDArray

from benchmarks.labels.instance_peers import Fields, Method, components, nearest_view, ours, pasted, sahi
from benchmarks.labels.instance_scenes import Errors, capture, wrong_views
from geometry import layouts
from geometry.cameras import Camera
from geometry.directions import erp_area_weights, erp_directions
from geometry.fusion.fuse import FusionSettings, fuse
from geometry.instances.fuse import InstanceSettings
from geometry.instances.masks import masks_of_ids
from geometry.instances.panoptic import panoptic_map
from metrics.intervals import jackknife_intervals
from metrics.panoptic import GROUPS, Panoptic, add_sums, class_quality, panoptic_figures, panoptic_sums
from scenes.vocabulary import CLASSES, THINGS

Array = NDArray[np.floating]
COUNT = len(CLASSES)
SPECK = 2e-3
ERRORS = {
    "all": Errors(),
    "outlines only": Errors(missed=0, split=0, joined=0, confused=0, false=0),
    "none": Errors(0, 0, 0, 0, 0, 0, 0),
}
COLUMNS = ("PQ", "PQ, things", "objects", "over the seam", "at a pole")
"""The last three take all classes of things for one: sum of IoUs over matches and half of what has none."""


@dataclass(frozen=True)
class Panorama:
    """What the teacher says of one panorama, its fused classes, and the truth."""

    fields: Fields
    cameras: Sequence[Camera]
    fused: Mapping[str, NDArray]
    truth: Panoptic


def panoramas(seeds: Sequence[int], tilted: bool, errors: Errors, height: int, patch: int) -> list[Panorama]:
    """A room and a street for each seed, seen by the twenty views of an icosahedron."""
    cameras = layouts.icosahedron(patch)
    directions = erp_directions(height, 2 * height)
    out = []
    for kind in ("room", "street"):
        for seed in seeds:
            place = capture(kind, seed, tilted)
            fields = wrong_views(place, cameras, errors, seed)
            settings = FusionSettings(off_axis_power=2.0, classes=COUNT)
            fused = fuse({"semantics": fields["semantics"]}, cameras, height, 2 * height, settings)
            out.append(Panorama(fields, cameras, fused, _without_specks(Panoptic(*place.look(directions)))))
    return out


def _without_specks(truth: Panoptic) -> Panoptic:
    """The truth with things below :data:`SPECK` steradians left open: a few pixels say nothing of merging."""
    masks = masks_of_ids(truth.ids, int(truth.ids.max()))
    specks = [number for number, mask in enumerate(masks, start=1) if mask.area < SPECK]
    return Panoptic(np.where(np.isin(truth.ids, specks), -1, truth.classes), truth.ids)


def measure(method: Method | None, one: Panorama) -> tuple[dict, float]:
    """Sums of panoptic quality by solid angle, and CPU seconds; without a method, components of the fused classes."""
    height, width = one.truth.ids.shape
    started = time.process_time()
    ids, classes = (
        method(one.fields, one.cameras, height, width) if method else components(one.fused["semantics"], sorted(THINGS))
    )
    seconds = time.process_time() - started
    said = panoptic_map({**one.fused, "instances": ids, "instance_class": classes}, THINGS, COUNT)
    labelling = Panoptic(np.where(said["panoptic_valid"], said["panoptic"].astype(int), -1), ids)
    weights = np.repeat(erp_area_weights(height)[:, None], width, axis=1)
    return panoptic_sums(labelling, one.truth, THINGS, weights), seconds


def table_of(sums: Sequence[dict]) -> Array:
    """Sums (panoramas, groups * classes * 4), so that they can be drawn again."""
    return np.stack([np.concatenate([add_sums([item], group, COUNT).ravel() for group in GROUPS]) for item in sums])


def figures(total: Array) -> Array:
    """The figures of :data:`COLUMNS` of summed sums, in per cent."""
    groups = dict(zip(GROUPS, total.reshape(len(GROUPS), COUNT, 4), strict=True))
    things = sorted(THINGS)
    whole = panoptic_figures(groups["all"], THINGS)
    objects = [class_quality(groups[name][things].sum(axis=0, keepdims=True))[0, 0] for name in GROUPS]
    values = [whole["pq"], whole["pq_things"], *objects]
    return 100 * np.array(values, np.float64)


def interval(items: Array) -> list[str]:
    """Every figure with its interval over panoramas."""
    return _shown(figures(items.sum(axis=0)), *jackknife_intervals(items, figures))


def _shown(values: Array, low: Array, high: Array) -> list[str]:
    """Values with their intervals; a dash where nothing counts."""
    return [f"{v:.1f} [{a:.1f}, {b:.1f}]" if np.isfinite(v) else "–" for v, a, b in zip(values, low, high, strict=True)]


def less(ours_items: Array, items: Array) -> list[str]:
    """Paired differences, ours less a peer's, of objects and of those over the seam, with their intervals."""
    both = np.concatenate([ours_items, items], axis=1)

    def difference(total: Array) -> Array:
        one, other = np.split(total, 2)
        return (figures(one) - figures(other))[2:4]

    return _shown(difference(both.sum(axis=0)), *jackknife_intervals(both, difference))


def methods() -> dict[str, Method | None]:
    found: dict[str, Method | None] = {"`panolabel`": ours(OURS), "nearest view": nearest_view, "pasted views": pasted}
    found["components of fused classes"] = None
    try:
        found |= {f"sahi {kind}, IOS 0.5": sahi(kind) for kind in ("GREEDYNMM", "NMM")}
    except ImportError:
        print("sahi is not installed, and is left out.\n")
    return found


OURS = InstanceSettings(off_axis_power=2.0)
VARIANTS = {
    "as it is": OURS,
    "`overlap: smaller`": replace(OURS, overlap="smaller"),
    "`threshold: 0.15`": replace(OURS, threshold=0.15),
    "`threshold: 0.5`": replace(OURS, threshold=0.5),
    "`across_classes: false`": replace(OURS, across_classes=False),
    "`min_support: 0.33`": replace(OURS, min_support=0.33),
    "`min_visible: 0`": replace(OURS, min_visible=0.0),
    "merging alone: both 0": replace(OURS, min_support=0.0, min_visible=0.0),
}


def row(*cells: object) -> None:
    print("| " + " | ".join(str(cell) for cell in cells) + " |")


def compare(found: Sequence[Panorama]) -> None:
    """One table of all methods."""
    truths = table_of([panoptic_sums(one.truth, one.truth, THINGS, np.ones(one.truth.ids.shape)) for one in found]).sum(axis=0)
    every, seam, pole = truths.reshape(len(GROUPS), COUNT, 4)[:, sorted(THINGS), 1].sum(axis=1).astype(int)
    print(f"{every} objects, {seam} of them over the seam, {pole} at a pole.\n")
    row("method", *COLUMNS, "`panolabel` less this: objects", "over the seam", "CPU s")
    row(*["---"] * (len(COLUMNS) + 4))
    first = None
    for name, method in methods().items():
        sums, seconds = zip(*(measure(method, one) for one in found), strict=True)
        items = table_of(sums)
        first = items if first is None else first
        row(name, *interval(items), *less(first, items), f"{np.median(seconds):.2f}")
    print()


def variants(found: Sequence[Panorama]) -> None:
    """One table of our settings."""
    row("setting", *COLUMNS)
    row(*["---"] * (len(COLUMNS) + 1))
    for name, settings in VARIANTS.items():
        row(name, *interval(table_of([measure(ours(settings), one)[0] for one in found])))
    print()


def cost(seed: int, repeats: int = 3) -> None:
    """CPU seconds and memory at 2048x1024 from patches of 504 pixels, room and street."""
    for kind, one in zip(("room", "street"), panoramas([seed], False, ERRORS["all"], 1024, 504), strict=True):
        seconds = [measure(ours(OURS), one)[1] for _ in range(repeats + 1)][1:]
        tracemalloc.start()
        _, classes = ours(OURS)(one.fields, one.cameras, *one.truth.ids.shape)
        peak = tracemalloc.get_traced_memory()[1] / 2**20
        tracemalloc.stop()
        masks = int((one.fields["instances"].tables["segment_class"] >= 0).sum())
        took = f"{min(seconds):.2f} CPU seconds, {peak:.0f} MiB beyond the patches"
        print(f"- a {kind}: {masks} masks to {len(classes)} instances in {took}")


ABOUT = f"""Panoptic quality in % by solid angle, with 95 % intervals over panoramas (t, jackknife). *Objects*: all classes of
things taken for one; *over the seam*, *at a pole*: those that cross the +-180 degree seam, or touch a pole. In each view an
object is missed with probability {Errors.missed}, split {Errors.split}, joined with a neighbour of its class
{Errors.joined}, given another class {Errors.confused}, and a false one is seen {Errors.false};
outlines move by {Errors.margin:.0%} of the object's size, and in waves of {Errors.ragged:.0%}. Objects below {SPECK} sr are
left open. Our settings were chosen on other scenes.
"""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=8, help="rooms, and as many streets")
    parser.add_argument("--seed", type=int, default=91_000)
    parser.add_argument("--height", type=int, default=256)
    parser.add_argument("--patch", type=int, default=160)
    options = parser.parse_args()
    seeds = range(options.seed, options.seed + options.count)
    print(f"# Instances: 20 views, {options.count} rooms and {options.count} streets, upright and tilted\n")
    print(ABOUT)
    for tilted in (False, True):
        for name, errors in ERRORS.items() if tilted else {"all": ERRORS["all"]}.items():
            found = panoramas(seeds, tilted, errors, options.height, options.patch)
            print(f"## {'Tilted' if tilted else 'Upright'}, errors: {name}\n")
            compare(found)
            if tilted and name == "all":
                variants(found)
    print("## Cost at 2048x1024, patches of 504 pixels, least of three with the layout's geometry at hand\n")
    cost(options.seed)
    print()
    made = f"{date.today()}, Python {platform.python_version()}, numpy {np.__version__}, {_sahi()}"
    arguments = f"--count {options.count} --seed {options.seed} --height {options.height} --patch {options.patch}"
    print(
        f"{os.cpu_count()} CPU cores, shared with other work; {made}. "
        f"Command: `python -m benchmarks.labels.instances {arguments}`"
    )


def _sahi() -> str:
    try:
        return f"sahi {version('sahi')}"
    except PackageNotFoundError:
        return "no sahi"


if __name__ == "__main__":
    main()
