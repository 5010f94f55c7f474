"""All metrics of the seamless suite on 100 panoramas of 2048x400 with 60 objects each, whole and visible.

``python -m benchmarks.adaptation.seamless_metrics > benchmarks/results/adaptation/seamless_metrics.md``. The peer is the common
way to intersect masks, a float32 matrix product, in the same run. Two processes share the panoramas, as blocks would, and the
counts are joined last.
"""

import os
import platform
import time
from concurrent.futures import ProcessPoolExecutor
from datetime import date

import numpy as np

from metrics.seamless.amodal_panoptic import AmodalPanoptic, amodal_panoptic_counts
from metrics.seamless.average_precision import detection_counts
from metrics.seamless.mohan_valada import AmodalScene, mohan_valada_counts
from metrics.seamless.objects import Objects, intersections, pack
from metrics.seamless.panoptic import panoptic_counts, panoptic_map
from metrics.seamless.seams import seam_detection_counts
from metrics.seamless.semantic import miou, semantic_counts

HEIGHT, WIDTH, OBJECTS, STUFF, CLASSES, IMAGES, WORKERS = 400, 2048, 60, 11, 18, 100, 2
THINGS = range(STUFF, CLASSES)
METRICS = ("mIoU", "PQ", "APQ", "AP", "AAP", "AP at the seam", "Mohan-Valada")


def ellipses(boxes: np.ndarray) -> np.ndarray:
    """Whole masks (N, H, W) bool of centres and half axes (N, 4) in pixels, across the seam where they reach it."""
    row, column = np.arange(HEIGHT)[:, None], np.arange(WIDTH)[None, :]
    masks = np.zeros((len(boxes), HEIGHT, WIDTH), bool)
    for mask, (y, x, tall, wide) in zip(masks, boxes):
        across = (column - x + WIDTH / 2) % WIDTH - WIDTH / 2
        mask[:] = ((row - y) / tall) ** 2 + (across / wide) ** 2 < 1
    return masks


def layers(whole: np.ndarray) -> np.ndarray:
    """Visible masks: later objects lie in front."""
    owner = np.full((HEIGHT, WIDTH), -1, np.int16)
    for index, mask in enumerate(whole):
        owner[mask] = index
    return owner[None] == np.arange(len(whole), dtype=np.int16)[:, None, None]


def side(boxes: np.ndarray, classes: np.ndarray, scores: np.ndarray | None, edges: np.ndarray) -> dict:
    whole = ellipses(boxes)
    visible = layers(whole)
    stuff = np.repeat(np.digitize(np.arange(HEIGHT), edges)[:, None], WIDTH, axis=1)
    thing = visible.any(axis=0)
    instances = np.where(thing, visible.argmax(axis=0) + 1, 0)
    semantics = np.where(thing, classes[instances - 1], stuff)
    return {
        "semantics": semantics,
        "instances": instances,
        "stuff": np.where(thing, -1, stuff),
        "visible": Objects(visible, classes, scores),
        "whole": Objects(whole, classes, scores),
    }


def panorama(seed: int) -> tuple[dict, dict, np.ndarray]:
    generator = np.random.default_rng(seed)
    spread = ((40, 360), (0, WIDTH), (8, 45), (8, 90))
    boxes = np.stack([generator.uniform(*one, OBJECTS) for one in spread], axis=1)
    classes = generator.integers(STUFF, CLASSES, OBJECTS)
    edges = np.sort(generator.integers(5, HEIGHT - 5, STUFF - 1))
    truth = side(boxes, classes, None, edges)
    moved = boxes + generator.normal(0, 3, boxes.shape)
    moved[:, 2:] = np.maximum(moved[:, 2:], 4)
    said = side(moved, classes, generator.random(OBJECTS), np.sort(edges + generator.integers(-3, 4, STUFF - 1)))
    void = np.zeros((HEIGHT, WIDTH), bool)
    void[380:] = True
    return said, truth, void


def fresh(given: Objects) -> Objects:
    """The same objects without anything worked out before."""
    return Objects(given.masks, given.classes, given.scores)


def measure(seeds: range) -> tuple[dict, dict[str, float]]:
    """Counts of some panoramas, and seconds of each metric."""
    totals: dict = {}
    seconds = dict.fromkeys((*METRICS, "packing", "peer: matrix product", "ours: the same pairs"), 0.0)

    def add(name: str, start: float, counts: object) -> None:
        seconds[name] += time.process_time() - start
        totals[name] = counts if name not in totals else totals[name] + counts

    for seed in seeds:
        said, truth, void = panorama(seed)
        labels = np.where(void, 255, truth["semantics"])
        for one in (said, truth):
            start = time.process_time()
            one["visible"].areas, one["whole"].areas
            seconds["packing"] += time.process_time() - start
        start = time.process_time()
        add("mIoU", start, semantic_counts(said["semantics"], labels, CLASSES))
        start = time.process_time()
        maps = [panoptic_map(s, one["instances"], CLASSES, THINGS) for s, one in ((said["semantics"], said), (labels, truth))]
        add("PQ", start, panoptic_counts(*maps, CLASSES))
        start = time.process_time()
        amodal = AmodalPanoptic(said["stuff"], said["whole"]), AmodalPanoptic(truth["stuff"], truth["whole"], void)
        add("APQ", start, amodal_panoptic_counts(*amodal, CLASSES))
        start = time.process_time()
        add("AP", start, detection_counts(said["visible"], truth["visible"], CLASSES, void))
        start = time.process_time()
        add("AAP", start, detection_counts(said["whole"], truth["whole"], CLASSES, void))
        start = time.process_time()
        add("AP at the seam", start, seam_detection_counts(said["whole"], truth["whole"], CLASSES, void))
        start = time.process_time()
        scenes = (AmodalScene(one["stuff"], one["whole"], one["visible"].masks, void) for one in (said, truth))
        add("Mohan-Valada", start, mohan_valada_counts(*scenes, CLASSES))
        compare(said["whole"], truth["whole"], seconds)
    return totals, seconds


def compare(said: Objects, truth: Objects, seconds: dict[str, float]) -> None:
    """All pairs of whole masks, whatever their class, by both ways; they must agree."""
    start = time.process_time()
    flat = [one.masks.reshape(OBJECTS, -1).astype(np.float32) for one in (truth, said)]
    product = flat[0] @ flat[1].T
    seconds["peer: matrix product"] += time.process_time() - start
    start = time.process_time()
    ours = intersections(pack(truth.masks), pack(said.masks), np.ones((OBJECTS, OBJECTS), bool))
    seconds["ours: the same pairs"] += time.process_time() - start
    if not np.array_equal(ours, product.astype(np.int64)):
        raise AssertionError("the two ways to intersect masks disagree")


def main() -> None:
    with ProcessPoolExecutor(WORKERS) as pool:
        parts = list(pool.map(measure, [range(worker, IMAGES, WORKERS) for worker in range(WORKERS)]))
    seconds = {name: sum(part[1][name] for part in parts) for name in parts[0][1]}
    joined = {name: parts[0][0][name] + parts[1][0][name] for name in METRICS}
    start = time.process_time()
    figures = {
        "mIoU": miou(joined["mIoU"])[0],
        "PQ": joined["PQ"].figures(THINGS)["quality"],
        "APQ": joined["APQ"].figures(THINGS)["quality"],
        **{name: joined[name].figures()["ap"] for name in ("AP", "AAP", "AP at the seam")},
        "Mohan-Valada": joined["Mohan-Valada"].figures()["mohan_valada_apq"],
    }
    last = time.process_time() - start
    report(seconds, figures, last)


def report(seconds: dict[str, float], figures: dict, last: float) -> None:
    suite = sum(seconds[name] for name in (*METRICS, "packing"))
    print(
        f"# Metrics of seamless segmentation: {IMAGES} panoramas of {WIDTH}x{HEIGHT}, {OBJECTS} objects each, {CLASSES} classes\n"
    )
    print("| metric | CPU seconds | figure |\n|---|---|---|")
    for name in METRICS:
        print(f"| {name} | {seconds[name]:.1f} | {figures[name]:.4f} |")
    print(f"| packing masks (once for all) | {seconds['packing']:.1f} | |\n| joining and curves | {last:.1f} | |")
    print(
        f"\nThe whole suite: {suite:.0f} CPU seconds, so {suite / WORKERS:.0f} seconds with {WORKERS} processes on idle cores.\n"
    )
    peer, ours = seconds["peer: matrix product"], seconds["ours: the same pairs"]
    print(
        f"Shared pixels of all {OBJECTS} x {OBJECTS} pairs of whole masks of every panorama: packed bits {ours:.1f} s, float32 "
        f"matrix product {peer:.1f} s\n({peer / ours:.1f} x). Both gave the same numbers. Making the panoramas is not timed.\n"
    )
    print(
        f"CPU seconds of {WORKERS} processes of one thread on a shared, busy 2-core CPU; "
        f"load average of the last 5 minutes {os.getloadavg()[1]:.1f}. "
        f"{date.today()},\nPython {platform.python_version()}, numpy {np.__version__}. "
        "Command: `OMP_NUM_THREADS=1 python -m benchmarks.adaptation.seamless_metrics "
        "> benchmarks/results/adaptation/seamless_metrics.md`"
    )


if __name__ == "__main__":
    main()
