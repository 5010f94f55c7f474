"""Instances within the stage fuse: from a teacher's masks to one map, and in and out of the store.

Every panorama of a block has arrays of the same shape: the table has room for ``fuse.instances.room`` instances, and hidden masks
for ``fuse.instances.runs`` runs a row; what is not used is zero.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from geometry.fields import Field
from geometry.instances.fuse import InstanceSettings, fuse_instances
from geometry.instances.masks import SphericalMask, masks_of_ids, unpack_masks
from geometry.instances.panoptic import panoptic_map
from geometry.spheres import View
from metrics.semantics import vocabulary_map
from tasks.label.settings import Fuse
from tasks.stage.job import BadItem

TABLE = ("class", "score", "agreement", "area", "direction", "seam", "pole", "views")
"""Arrays ``instance_<name>`` with a row for each instance."""


def joint_classes(classes: Sequence[str], others: Sequence[str]) -> list[str]:
    """The vocabulary of semantics, then what only the instances' has; the former's indices stay as they are."""
    known = vocabulary_map(others, classes)
    return [*classes, *(name for name, index in zip(others, known, strict=True) if index < 0)]


def thing_labels(settings: Fuse, named: Sequence[str] | None, classes: Sequence[str]) -> list[int] | None:
    """Indices of the classes that have instances, as the config or else the teacher says; None if neither does.

    Raises
    ------
    ValueError
        The config names a class that no teacher knows.
    """
    wanted = settings.instances.things if settings.instances.things is not None else named
    if wanted is None:
        return None
    labels = vocabulary_map(wanted, classes)
    if settings.instances.things is not None and (labels < 0).any():
        unknown = [name for name, label in zip(wanted, labels, strict=True) if label < 0]
        raise ValueError(f"fuse.instances.things: {', '.join(unknown)} not among the teachers' classes: {', '.join(classes)}")
    return sorted({int(label) for label in labels if label >= 0})


def with_classes(field: Field, own: Sequence[str], classes: Sequence[str]) -> Field:
    """The field with the classes of its segments named by their index in the joint vocabulary."""
    table = field.tables["segment_class"]
    named = np.append(vocabulary_map(own, classes), -1).astype(np.int32)
    tables = {**field.tables, "segment_class": named[np.where((table >= 0) & (table < len(own)), table, len(own))]}
    return Field(field.name, field.values, field.valid, field.unit, tables=tables)


def add_instances(
    labels: Mapping[str, NDArray],
    field: Field,
    cameras: Sequence[View],
    settings: Fuse,
    things: Sequence[int] | None,
    classes: int,
    observed: NDArray[np.bool_] | None = None,
) -> dict[str, NDArray]:
    """Fused labels with instances and the panoptic map.

    Parameters
    ----------
    labels : arrays (H, W[, C]) of :func:`geometry.fusion.fuse.fuse`
    field : Field
        ``instances`` over the N views of the panorama.
    cameras : N cameras
    settings : Fuse
    things : classes that have instances; without, all classes that masks have
    classes : int
        Size of the vocabulary.
    observed : (H, W) bool, optional
        As :func:`geometry.instances.fuse.fuse_instances` takes it.

    Returns
    -------
    dict
        The labels, what the table of :mod:`geometry.instances.fuse` names, and :func:`geometry.instances.panoptic.panoptic_map`.

    Raises
    ------
    BadItem
        There are more instances or runs than the config has room for.
    """
    wanted = settings.instances
    fusion = InstanceSettings(
        overlap=wanted.overlap,
        threshold=wanted.threshold,
        across_classes=wanted.across_classes,
        min_support=wanted.min_support,
        min_visible=wanted.min_visible,
        off_axis_power=settings.off_axis_power,
        edge_feather=settings.edge_feather,
    )
    instances = fuse_instances(field, cameras, settings.height, 2 * settings.height, fusion, things, observed)
    _check_room(instances, settings)
    together = {**labels, **instances}
    named = np.unique(field.tables["segment_class"]).tolist() if things is None else things
    return {**together, **panoptic_map(together, [label for label in named if label >= 0], classes)}


def _check_room(arrays: Mapping[str, NDArray], settings: Fuse) -> None:
    count, runs, wanted = len(arrays["instance_class"]), len(arrays["instance_runs"]), settings.instances
    if count > wanted.room:
        raise BadItem(f"has {count} instances; set fuse.instances.room, which is {wanted.room}, to that or more")
    if runs > wanted.runs * settings.height:
        least = -(-runs // settings.height)
        raise BadItem(f"hidden masks take {runs} runs; set fuse.instances.runs, which is {wanted.runs}, to {least} or more")


def with_room(arrays: Mapping[str, NDArray], settings: Fuse) -> dict[str, NDArray]:
    """Arrays for the store: table (room, ...) and runs (R, 2) filled up with zeros to one R and room for every panorama.

    Dtypes stay; ``instance_offsets`` (room + 1,) goes on with its last number.
    """
    count, room = len(arrays["instance_class"]), settings.instances.room
    table = {f"instance_{name}": _filled(arrays[f"instance_{name}"], room) for name in TABLE}
    return {
        **arrays,
        **table,
        "instance_runs": _filled(arrays["instance_runs"], settings.instances.runs * settings.height),
        "instance_offsets": np.pad(arrays["instance_offsets"], (0, room - count), mode="edge"),
    }


def _filled(array: NDArray, rows: int) -> NDArray:
    return np.pad(array, [(0, rows - len(array))] + [(0, 0)] * (array.ndim - 1))


def without_room(arrays: Mapping[str, NDArray]) -> dict[str, NDArray]:
    """What :func:`with_room` made, with as many rows as there are instances and runs: (K, ...) and (R, 2), of the same dtypes."""
    count = int((arrays["instance_area"] > 0).sum())
    table = {f"instance_{name}": arrays[f"instance_{name}"][:count] for name in TABLE}
    offsets = arrays["instance_offsets"][: count + 1]
    return {**arrays, **table, "instance_offsets": offsets, "instance_runs": arrays["instance_runs"][: offsets[-1]]}


def whole_masks(labels: Mapping[str, NDArray]) -> list[SphericalMask]:
    """The mask of each of K instances of decoded labels, ``instances`` (H, W) uint16, with what other instances hide of it."""
    height, width = labels["instances"].shape
    shown = masks_of_ids(labels["instances"], len(labels["instance_class"]))
    hidden = unpack_masks(labels["instance_runs"], labels["instance_offsets"], height, width)
    return [whole if len(whole.starts) else mask for whole, mask in zip(hidden, shown, strict=True)]


def instance_figures(labels: Mapping[str, NDArray]) -> dict[str, float]:
    """For the receipt: number of instances, of those over the seam and over a pole, and the mean number of views of one."""
    count = len(labels["instance_class"])
    views = labels["instance_views"].sum(axis=1).mean() if count else 0.0
    return {
        "instances": count,
        "instances_seam": int(labels["instance_seam"].sum()),
        "instances_pole": int(labels["instance_pole"].sum()),
        "instance_views": round(float(views), 2),
    }
