"""Does consistency without ground truth predict the true error? On procedural rooms and streets, teacher by teacher.

``python -m benchmarks.labels.confidence > benchmarks/results/labels/confidence.md`` also draws ``docs/images/confidence.svg``.
Every panorama is labelled through the pipeline's own functions, once through the layout's views and once through turned ones.
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.labels.confidence_report import Found, draw, merged, report
from benchmarks.runs.direct import labelling
from configs.pipeline import Config
from geometry.fields import Field
from geometry.fusion.consistency import angle_consistency
from geometry.fusion.fuse import FusionSettings
from geometry.resampling.patches import extract_patches
from metrics.audit.risk_coverage import aurc_gain, risk_coverage, spearman
from metrics.consistency import consistency_figures
from metrics.depth_normals import depth_normal_angles, depth_normal_figures
from metrics.normals import angles
from metrics.semantics import vocabulary_map
from metrics.weights import area_mean, row_weights
from models.teachers import Teacher, load_teacher
from scenes.build import build_scene
from scenes.render import Frame, render_erp
from scenes.teacher import Corruptions, ScenesTeacher
from scenes.vocabulary import CLASSES
from tasks.label.labellings import Labelling, fuse_labellings
from tasks.label.project import choose_views
from tasks.label.rotations import rotated_views
from tasks.label.teachers.looking import look
from tasks.pipeline import plain_stages

Array = NDArray[np.floating]
Labels = dict[str, NDArray]
HEIGHT = 256  # rows of the fused panorama
IMAGE = 512  # rows of the panorama that teachers look at
FIELDS = ("depth", "normals", "semantics")
FIRST_SEED = 80_000  # of scenes that no teacher has seen
GRID = np.linspace(0.02, 1, 50)


@dataclass(frozen=True)
class Place:
    """A panorama with its truth, and what the teacher of truth must know of it."""

    about: dict
    image: NDArray[np.uint8]
    truth: Frame


def place(kind: str, seed: int) -> Place:
    scene = build_scene(kind, seed)
    generator = np.random.default_rng(seed)
    position, heading = scene.free_position(generator), float(generator.uniform(0, 2 * np.pi))
    about = {"item": f"{kind}_{seed}", "scene": kind, "seed": seed, "position": position.tolist(), "heading": heading}
    image = render_erp(scene, position, IMAGE, 2 * IMAGE, 2, heading).image
    return Place(about, image, render_erp(scene, position, HEIGHT, 2 * HEIGHT, 1, heading))


@dataclass(frozen=True)
class Setting:
    """A teacher for each panorama, under the config that ships for it, at a size that is quick to measure."""

    name: str
    config: str
    teacher: Callable[[Config, int], Teacher]
    overrides: dict = field(default_factory=dict)
    tasks: tuple[str, ...] = FIELDS


def settings_of(config: Config, kind: str) -> Any:
    """Settings of the first stage of a kind."""
    return next(stage.settings for stage in plain_stages(config) if stage.name.partition(".")[0] == kind)


def corrupted(config: Config, _seed: int) -> Teacher:
    return ScenesTeacher(Corruptions(**settings_of(config, "label").settings))


def corrupted_unevenly(config: Config, seed: int) -> Teacher:
    """Each error of the config times a factor of 0 to 2, drawn for each panorama and error."""
    generator = np.random.default_rng([7, seed])
    stated = {name: value for name, value in settings_of(config, "label").settings.items() if name != "seed"}
    return ScenesTeacher(Corruptions(seed=seed, **{name: value * generator.uniform(0, 2) for name, value in stated.items()}))


def shipped(config: Config, _seed: int) -> Teacher:
    own = settings_of(config, "label")
    return load_teacher(own.kind, own.settings, "cpu")


SMALL = {"project.patch_size": 128, "project.layout.count": 20}
SETTINGS = (
    Setting("corrupted truth", "configs/corrupted_truth.yaml", corrupted, SMALL),
    Setting("corrupted truth, `blend`", "configs/corrupted_truth.yaml", corrupted, SMALL | {"fuse.depth": "blend"}, ("depth",)),
    Setting("corrupted truth, severity drawn per panorama", "configs/corrupted_truth.yaml", corrupted_unevenly, SMALL),
    Setting("demo network", "configs/demo.yaml", shipped),
)


def labellings(config: Config, teacher: Teacher, where: Place, rotations: int) -> list[Labelling]:
    """What the teacher says through the layout's views, and through them turned."""
    cameras = choose_views(settings_of(config, "project"), f"{where.about['seed']:064x}")
    said = []
    for rotation in range(rotations + 1):
        views = rotated_views(cameras, settings_of(config, "project").layout, rotation)
        pixels = extract_patches(where.image, views)
        said.append((look(teacher, pixels, views, where.about, FIELDS, 8), dict.fromkeys(FIELDS, views)))
    return said


def fused(config: Config, teacher: Teacher, said: Sequence[Labelling]) -> Labels:
    own = settings_of(config, "fuse")
    settings = FusionSettings(
        off_axis_power=own.off_axis_power,
        edge_feather=own.edge_feather,
        depth=own.depth,
        depth_edge=own.depth_edge,
        consistency_scale=own.consistency_scale,
        classes=len(teacher.classes),
        sky_class=list(teacher.classes).index("sky"),
    )
    return fuse_labellings(said, HEIGHT, settings, metric=said[0][0]["depth"].unit == "metre")


def errors(labels: Labels, truth: Frame, classes: Sequence[str]) -> dict[str, tuple[Array, NDArray[np.bool_]]]:
    """Error (H, W) and where it counts: relative depth in metres and after one factor, degrees of normals, wrong classes."""
    land = labels["depth_valid"] & ~truth.sky
    ratio = np.where(land, labels["depth"], 1) / np.where(land, truth.depth, 1)
    known = labels["normals_valid"] & ~truth.sky
    forward = np.array([0, 0, 1.0])
    angle = angles(*(np.where(known[..., None], one, forward) for one in (labels["normals"], truth.normals)))
    wrong = vocabulary_map(classes, CLASSES)[labels["semantics"]] != truth.semantics
    return {
        "depth": (np.abs(ratio / np.median(ratio[land]) - 1), land),
        "depth, metric": (np.abs(ratio - 1), land),
        "normals": (angle, known),
        "semantics": (wrong.astype(np.float64), labels["semantics_valid"]),
    }


def confidences(labels: Labels, depth_edge: float) -> Iterator[tuple[str, str, Array]]:
    """Task, name of the confidence, and its values (H, W); 0 where it cannot be judged."""
    apart, compared = depth_normal_angles(labels, depth_edge)
    agreement = np.where(compared, angle_consistency(apart), 0)
    for task in FIELDS:
        yield task, f"`{task}_consistency`", labels[f"{task}_consistency"]
        if f"{task}_rotation_consistency" in labels:
            yield task, f"`{task}_rotation_consistency`", labels[f"{task}_rotation_consistency"]
        if task != "semantics":
            yield task, "depth-normal agreement", agreement
    yield "normals", "`normals_agreement`", labels["normals_agreement"]
    yield "semantics", "`semantics_confidence`", labels["semantics_confidence"]


def measure(where: Place, setting: Setting, rotations: int) -> Found:
    """Correlations and curves of one panorama, with its figures and errors."""
    config = labelling(setting.config, setting.overrides)
    teacher = setting.teacher(config, int(where.about["seed"]))
    labels = fused(config, teacher, labellings(config, teacher, where, rotations))
    wrong, found = errors(labels, where.truth, teacher.classes), Found(setting.name)
    area = np.repeat(row_weights(HEIGHT, True)[:, None], 2 * HEIGHT, axis=1)
    for task, name, confidence in confidences(labels, settings_of(config, "fuse").depth_edge):
        if task not in setting.tasks:
            continue
        error, counts = wrong[task]
        picked = counts & (confidence > 0)
        sample = confidence[picked].astype(np.float64), error[picked], area[picked]
        found.add_pixels(task, name, -spearman(*sample), aurc_gain(*sample), curve(*sample), curve(-sample[1], *sample[1:]))
    found.figures.append(consistency_figures(labels) | depth_normal_figures(labels, settings_of(config, "fuse").depth_edge))
    found.errors.append({task: area_mean(*pair) or 0.0 for task, pair in wrong.items()})
    return found


def curve(confidence: Array, error: Array, weights: Array) -> Array:
    """Risk at the coverages of ``GRID``."""
    return np.interp(GRID, *risk_coverage(confidence, error, weights))


def measure_biased(where: Place, rotations: int) -> list[Found]:
    """The same figures and errors of a teacher, and of it with an error that is the same in all views."""
    config = labelling("configs/corrupted_truth.yaml", SMALL)
    teacher = corrupted(config, 0)
    said, rows = labellings(config, teacher, where, rotations), []
    for name, change in BIASES.items():
        labels = fused(config, teacher, [(change(own), views) for own, views in said])
        means = {task: area_mean(*pair) or 0.0 for task, pair in errors(labels, where.truth, teacher.classes).items()}
        rows.append(Found(name, figures=[consistency_figures(labels)], errors=[means]))
    return rows


def enlarged(fields: dict[str, Field]) -> dict[str, Field]:
    """All distances too large by 30 %."""
    depth = fields["depth"]
    return fields | {"depth": Field("depth", depth.values * np.float32(1.3), depth.valid, depth.unit, depth.frame)}


def walls_called_buildings(fields: dict[str, Field]) -> dict[str, Field]:
    """Two classes that change places."""
    one = fields["semantics"]
    names = np.arange(len(CLASSES), dtype=np.uint16)
    wall, building = CLASSES.index("wall"), CLASSES.index("building")
    names[[wall, building]] = building, wall
    return fields | {"semantics": Field("semantics", names[one.values], one.valid, one.unit, confidence=one.confidence)}


BIASES: dict[str, Callable[[dict[str, Field]], dict[str, Field]]] = {
    "as it is": dict,
    "all distances 30 % too large": enlarged,
    "walls and buildings exchanged": walls_called_buildings,
}


def measure_place(kind: str, number: int, rotations: int) -> tuple[list[Found], list[Found]]:
    """All that is measured on one panorama; biases on every fourth, which is enough to see that nothing changes."""
    where = place(kind, FIRST_SEED + number)
    biased = [] if number % 4 else measure_biased(where, rotations)
    return [measure(where, setting, rotations) for setting in SETTINGS], biased


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=12, help="rooms, and as many streets")
    parser.add_argument("--rotations", type=int, default=1)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--picture", type=Path, default=Path("docs/images/confidence.svg"))
    given = parser.parse_args()
    jobs = list(zip(*((kind, number, given.rotations) for kind in ("room", "street") for number in range(given.count))))
    with ProcessPoolExecutor(given.processes, get_context("spawn")) as pool:
        measured = list(pool.map(measure_place, *jobs))
    found, biased = ([merged(rows) for rows in zip(*own)] for own in ([a for a, _ in measured], [b for _, b in measured if b]))
    draw([one for one in found if "," not in one.setting], GRID, given.picture)
    command = f"python -m benchmarks.labels.confidence --count {given.count} --rotations {given.rotations}"
    report(found, biased, f"{given.count} rooms and {given.count} streets", command)


if __name__ == "__main__":
    main()
