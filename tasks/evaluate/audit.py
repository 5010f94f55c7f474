"""audit: fused labels (+ patch labels and truth) -> where their error comes from, and where views disagree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from configs.settings import ConfigError
from geometry.fields import Field
from geometry.fusion.alignment import aligned_distance
from geometry.fusion.fuse import fuse
from geometry.fusion.sightings import patch_fields, sightings
from geometry.fusion.sky import sky_class, without_sky
from geometry.spheres import View
from metrics.audit.agreement import agreement_sums
from metrics.audit.attribution import LEVELS, PARTS, level_errors, parts
from metrics.audit.bands import splits
from metrics.audit.measure import FIGURES, MAP, PATCH_MAP, Measured, make_path, measure, rows_of
from metrics.semantics import vocabulary_map
from storage.items import Item
from storage.receipts import Receipt
from tasks.evaluate.evaluate import Digests, has_its_truth, read_truth, read_truth_classes, truth_facts, truth_of
from tasks.evaluate.settings import Audit
from tasks.ingest.observed import Observed, read_observed
from tasks.label import label
from tasks.label.arrays import decode_fields
from tasks.label.consistency import task_consistencies
from tasks.label.fuse import decode_labels, encode_labels, fusion_settings
from tasks.label.settings import Fuse
from tasks.label.views import Cameras, main_views
from tasks.stage.block import run_block
from tasks.stage.job import Job, Output
from tasks.stage.kind import Edge, Inputs, Kind, Stage, stages_of
from tasks.stage.upstream import Upstream

VERSION = "2"
Labels = dict[str, NDArray]


@dataclass(frozen=True)
class Evidence:
    """What is read of one item: fused labels, their main views, patch labels (none without truth) with the views of each, truth,
    the figures of ``fuse``, and what was photographed."""

    fused: Labels
    views: tuple[View, ...]
    fields: Mapping[str, Field]
    cameras: Mapping[str, tuple[View, ...]]
    truth: Labels
    truth_digest: Digests
    figures: Mapping[str, Any]
    observed: Observed = None


def _has_truth(panoramas: Stage) -> bool:
    return truth_of(panoramas.origin.settings.source) is not None


def _says(_settings: Audit, inputs: Inputs) -> dict[str, Any]:
    return {"truth": truth_of(stages_of(inputs, "labels")[0].origin.settings.source)}


def _made_of_patches(stage: Stage) -> None:
    (labels,) = stage.stages("labels")
    if not labels.stages("views"):
        raise ConfigError(
            f"stages.{stage.key}: the labels of {labels.key!r} have no views to trace errors to; audit labels of `fuse`"
        )


KIND = Kind(
    "audit",
    VERSION,
    Audit,
    {
        "labels": Edge("labels"),
        "views": Edge("views", many=True, read_by="labels"),
        "patches": Edge(label.PATCH_LABELS, many=True, read_by="labels", when=_has_truth),  # to be held against it
    },
    "audit",
    make="tasks.evaluate.audit:audit_block",
    says=_says,
    facts=truth_facts,
    fits=_made_of_patches,
    shows="tasks.evaluate.shown_audit:shows",
    summary="tasks.evaluate.shown_audit:summary",
)


def audit_block(job: Job) -> Receipt:
    """Audit every fused panorama of a block."""
    labels_stage, source = job.input("labels"), job.source
    fused, views = Upstream(job, labels_stage), Cameras(job)
    main = main_views(labels_stage.stages("labels"))
    teachers = [Upstream(job, stage) for stage in sorted(job.stage.stages("patches"), key=lambda stage: stage.name)]
    label_classes, truth_classes = fused.receipt.about["classes"], read_truth_classes(source)

    def read(slot: int, item: Item) -> Evidence:
        fields: dict[str, Field] = {}
        cameras: dict[str, tuple[View, ...]] = {}
        for teacher in teachers:
            fields |= (said := decode_fields(teacher.item(slot), teacher.receipt.about))
            cameras |= dict.fromkeys(said, views.of(teacher.stage, slot))
        labels = decode_labels(fused.item(slot))
        observed = read_observed(item, job.panoramas, len(labels["views"]))
        truth, digests = read_truth(source, item)
        figures = fused.receipt.items[slot].figures
        return Evidence(labels, views.cut_by(main, slot), fields, cameras, truth, digests, figures, observed)

    def audit_item(_item: Item, evidence: Evidence) -> Output:
        parted = splits(evidence.fused, label_classes, evidence.views, evidence.observed)
        arrays: Labels = {"agreement": agreement_sums(evidence.fused, parted)}
        consistency = evidence.figures.get("consistency")
        figures: dict[str, Any] = {"consistency": consistency, "tasks": task_consistencies(evidence.figures)}
        if truth_of(source) is not None:
            measured = attribute(labels_stage.settings, evidence, label_classes, truth_classes)
            arrays |= as_arrays(measured, truth_classes)
            figures |= {**_headlines(measured), "truth": evidence.truth_digest}
        return Output(arrays, figures)

    about = {"classes": label_classes, "truth_classes": truth_classes}
    return run_block(job, audit_item, about, read=read, holds=has_its_truth(source))


def attribute(
    fusion: Fuse, evidence: Evidence, label_classes: Sequence[str], truth_classes: Sequence[str]
) -> dict[str, Measured]:
    """The errors of every task that labels and truth share, at every place along their path."""
    if not evidence.truth:
        return {}
    height, width = evidence.fused["views"].shape
    truth = truth_labels(evidence.truth, (height, width), len(truth_classes), evidence.observed)
    cameras = {name: evidence.cameras.get(name, evidence.views) for name in FIGURES}
    true = {name: field for own in dict.fromkeys(cameras.values()) for name, field in _true(truth, cameras, own).items()}
    # The floor is stored and read back too: what rounding costs belongs to the round trip.
    settings = fusion_settings(fusion, truth_classes)
    floor = decode_labels(encode_labels(fuse(true, cameras, height, width, settings, evidence.observed), fusion))
    land = without_sky(evidence.fields, sky_class(label_classes), evidence.cameras, evidence.fused.get("sky"))  # as fuse does
    said, fused = in_words_of(truth_classes, label_classes, replace(evidence, fields=land))
    if "depth" in said and "depth" in truth:
        said["depth"], fused["depth"] = in_metres(said["depth"], cameras["depth"], fused, truth)
    by_truth = splits(truth, truth_classes, evidence.views, evidence.observed)
    measured = {}
    for task in (task for task in FIGURES if task in said and task in true and task in fused):
        path, seen = make_path(task, said[task], true[task], truth, fused, floor), cameras[task]
        sights = [sightings(camera, height, width) for camera in seen]
        measured[task] = measure(path, seen, sights, by_truth, len(truth_classes))
    return measured


def _true(truth: Labels, cameras: Mapping[str, Sequence[View]], own: Sequence[View]) -> dict[str, Field]:
    """What a perfect teacher would say through ``own`` views of the tasks that have these."""
    return {name: field for name, field in patch_fields(truth, own).items() if cameras[name] == own}


def truth_labels(truth: Mapping[str, NDArray], shape: tuple[int, int], classes: int, observed: Observed = None) -> Labels:
    """Truth arrays at the size of the fused labels (the nearest pixel's), each with where it says something that was seen.

    Of truth (h, w[, 3]) and a ``shape`` (H, W): ``depth`` (H, W) and ``normals`` (H, W, 3) float32, ``semantics`` (H, W) uint16,
    and their ``*_valid`` (H, W) bool; ``observed`` is (H, W) bool.
    """
    rows, columns = (((np.arange(size) + 0.5) * have // size).astype(int) for size, have in zip(shape, _size(truth)))
    here = {name: array[rows[:, None], columns[None, :]] for name, array in truth.items() if array.ndim >= 2}
    land = ~here["sky"].astype(bool) if "sky" in here else np.ones(shape, bool)
    seen = np.ones(shape, bool) if observed is None else observed

    def told(name: str) -> NDArray[np.bool_]:
        return seen & here.get(f"{name}_valid", True)

    labels: Labels = {}
    if "depth" in here:
        distance = here["depth"].astype(np.float32)
        known = land & told("depth") & np.isfinite(distance) & (distance > 0)
        labels |= {"depth": np.where(known, distance, 0), "depth_valid": known}
    if "normals" in here:
        length = np.linalg.norm(here["normals"].astype(np.float32), axis=-1)
        known = land & told("normals") & np.isfinite(length) & (length > 0.5)
        labels |= {"normals": np.where(known[..., None], here["normals"], 0).astype(np.float32), "normals_valid": known}
    if "semantics" in here and classes:
        known = told("semantics") & (here["semantics"] < classes)
        labels |= {"semantics": np.where(known, here["semantics"], 0).astype(np.uint16), "semantics_valid": known}
    return labels


def _size(truth: Mapping[str, NDArray]) -> tuple[int, ...]:
    return next(array.shape[:2] for array in truth.values() if array.ndim >= 2)


def in_words_of(
    truth_classes: Sequence[str], label_classes: Sequence[str], evidence: Evidence
) -> tuple[dict[str, Field], Labels]:
    """Patch and fused labels with classes of the truth's vocabulary, by name; -1, always wrong, where it has none.

    ``semantics`` are then (N, h, w, 1) integers of the views, the first class alone, and (H, W) integers of the sphere.
    """
    said, fused = dict(evidence.fields), dict(evidence.fused)
    to_truth = np.append(vocabulary_map(label_classes, truth_classes), -1)
    if "semantics" in said and "semantics" in fused:
        first = said["semantics"].values[..., :1]
        said["semantics"] = replace(said["semantics"], values=to_truth[np.minimum(first, len(to_truth) - 1)])
        fused["semantics"] = to_truth[np.minimum(fused["semantics"], len(to_truth) - 1)]
    return said, fused


def in_metres(depth: Field, cameras: Sequence[View], fused: Labels, truth: Labels) -> tuple[Field, NDArray]:
    """Distances (N, h, w) and (H, W) in the truth's unit, float32. A teacher that is not metric gets one factor, a median."""
    distance, usable = aligned_distance(depth, cameras)
    if depth.unit == "metre":
        return replace(depth, valid=usable), fused["depth"]
    both = fused["depth_valid"] & truth["depth_valid"]
    factor = np.float32(np.median(truth["depth"][both] / fused["depth"][both])) if both.any() else np.float32(1)
    values = np.where(usable, distance * factor, 0).astype(np.float32)
    return replace(depth, values=values, valid=usable, unit="metre"), fused["depth"] * factor


def as_arrays(measured: Mapping[str, Measured], classes: Sequence[str]) -> Labels:
    """Measurements as arrays for the store, in the order of ``rows_of`` and ``FIGURES``; zeros for a task without truth."""
    order = dict.fromkeys(row[:3] for row in rows_of(classes))
    lengths = {key: sum(row[:3] == key for row in rows_of(classes)) for key in order}
    sums = [
        measured[task].sums[figure, split] if task in measured else np.zeros((lengths[task, figure, split], 7))
        for task, figure, split in order
    ]
    semantics = measured.get("semantics")
    maps = [(one.erp_map, one.patch_map) if (one := measured.get(task)) else _no_maps() for task in FIGURES]
    return {
        "sums": np.concatenate(sums),
        "overlap": semantics.overlap if semantics else np.zeros((len(LEVELS), 3, len(classes))),
        "erp_maps": np.stack([erp for erp, _ in maps]).astype(np.float32),
        "patch_maps": np.stack([patch for _, patch in maps]).astype(np.float32),
    }


def _no_maps() -> tuple[NDArray, NDArray]:
    return np.zeros((2, *MAP)), np.zeros((2, *PATCH_MAP))


def _headlines(measured: Mapping[str, Measured]) -> dict[str, Any]:
    """The parts of each error, and the share of the truth that was judged, for the receipt."""
    found: dict[str, Any] = {"judged": {task: round(one.judged, 4) for task, one in measured.items()}, "parts": {}}
    for task, one in measured.items():
        for figure in FIGURES[task]:
            values = parts(level_errors(one.sums[figure, "all"])[0])
            if np.isfinite(values).all():
                found["parts"][figure] = {name: round(float(value), 6) for name, value in zip(PARTS, values, strict=True)}
    return found
