"""A teacher looks at what the views of a panorama show, and what it says is held against what it was shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from geometry.fields import Field, canonical, concatenate, spread, where_observed
from geometry.spheres import View
from models.teachers import CannotLabel, Teacher
from tasks.ingest.observed import Observed
from tasks.stage.devices import OutOfMemory, free_memory, is_out_of_memory
from tasks.stage.job import BadItem

Said = TypeVar("Said")
LESS = {
    False: "lower execution.batch_size or project.patch_size",
    True: "this teacher sees them all at once: take a smaller `dtype` in its settings, or a device with more memory",
}
"""How a teacher that is asked for some patches, or one that sees all at once, needs less memory."""


@dataclass(frozen=True)
class Patches:
    """What the N views of a panorama show: ``pixels`` (N, h, w, 3) uint8, and which of them were photographed, (N, h, w) bool."""

    pixels: NDArray[np.uint8]
    cameras: tuple[View, ...]
    observed: Observed = None


def look_at_observed(
    teacher: Teacher, patches: Patches, item: Mapping[str, object], wanted: tuple[str, ...], batch_size: int | None
) -> dict[str, Field]:
    """:func:`look`, valid only where something was photographed; views that show nothing of it are not looked at, unless the
    teacher sees all at once.

    Raises
    ------
    BadItem
        No view shows anything that was photographed, or a field is valid nowhere there.
    """
    observed = patches.observed
    if observed is None:
        return look(teacher, patches.pixels, patches.cameras, item, wanted, batch_size)
    shown: NDArray[np.bool_] = np.any(observed, axis=(1, 2))
    if not shown.any():
        raise BadItem("no view shows a pixel that was photographed: too little of the sphere was")
    if batch_size is None:
        shown = np.ones_like(shown)
    cameras = tuple(camera for camera, there in zip(patches.cameras, shown, strict=True) if there)
    said = look(teacher, patches.pixels[shown], cameras, item, wanted, batch_size)
    fields = {name: where_observed(spread(field, shown), observed) for name, field in said.items()}
    for name, field in fields.items():
        if not field.valid.any():
            raise BadItem(f"the teacher's {name} has no valid pixel where the panorama was photographed")
    return fields


def look(
    teacher: Teacher,
    pixels: NDArray[np.uint8],
    cameras: tuple[View, ...],
    item: Mapping[str, object],
    wanted: tuple[str, ...],
    batch_size: int | None,
) -> dict[str, Field]:
    """All wanted fields of one panorama's patches, canonical, computed in batches.

    Parameters
    ----------
    pixels : (N, h, w, 3) uint8
    cameras : N cameras
    item : the panorama's name and capture metadata
    batch_size : int or None
        Patches in one call; None for all of them, whatever they need.

    Raises
    ------
    BadItem
        The teacher says that it cannot label this panorama, or a field has no valid pixel in any view.
    OutOfMemory
        Half a batch is too much for the device too, or all views of a panorama are to a teacher that sees them at once.
    ValueError
        The teacher does not give a wanted field, or one with a factor that calls for some of the views cannot share.
    """
    sizes = (len(cameras),) if batch_size is None else (batch_size, max(1, batch_size // 2))
    batches = that_fits(partial(_look_in_batches, teacher, pixels, cameras, item, wanted), sizes, LESS[batch_size is None])
    if batch_size is not None and any(field.unit == "shared" for field in batches[0].values()):
        raise ValueError(
            "the teacher's depth has one factor for all views of a panorama (`shared`), but it is asked for some at a time; say "
            'SEES = "views" in its module, or give the unit `scale`'
        )
    fields = {name: concatenate([batch[name] for batch in batches]) for name in wanted}
    for name, field in fields.items():
        if not field.valid.any():
            raise BadItem(f"the teacher's {name} has no valid pixel in any view (not finite, or all sky)")
    return fields


def _look_in_batches(
    teacher: Teacher,
    pixels: NDArray[np.uint8],
    cameras: tuple[View, ...],
    item: Mapping[str, object],
    wanted: tuple[str, ...],
    batch_size: int,
) -> list[dict[str, Field]]:
    batches = []
    for start in range(0, len(cameras), batch_size):
        some = cameras[start : start + batch_size]
        try:
            answer = teacher(pixels[start : start + batch_size], some, item)
            said = {name: answer[name] for name in wanted if name in answer}
        except CannotLabel as error:
            raise BadItem(str(error)) from error
        lacking(wanted, said, answer)
        for name in wanted:
            check_said(said[name], some, getattr(teacher, "classes", None))
        batches.append({name: canonical(said[name], some) for name in wanted})
    return batches


def check_said(field: Field, cameras: Sequence[View], classes: Sequence[str] | None) -> None:
    """That a teacher's field lies over its patches, and names no class that is not in its vocabulary.

    Raises
    ------
    ValueError
        It does not; what it says elsewhere would be taken for another place, or another class.
    """
    refuse_shape(field.name, field.values.shape, cameras)
    if classes is None:
        return
    if field.name == "semantics":
        numbers = field.values[field.valid]
    elif field.name == "instances":
        numbers = field.tables.get("segment_class", np.empty(0, np.int32))
    else:
        return
    if numbers.size:
        refuse_unnamed(field.name, int(numbers.max()), classes)


def lacking(wanted: Sequence[str], said: Mapping[str, object], answer: Mapping[str, object]) -> None:
    """ValueError if a teacher does not say all that is wanted of it."""
    if missing := set(wanted) - set(said):
        raise ValueError(f"the teacher does not give {sorted(missing)}, only {sorted(answer)}; change its `fields`")


def refuse_shape(name: str, shape: tuple[int, ...], cameras: Sequence[View]) -> None:
    """ValueError if a field does not lie over the patches of its cameras."""
    expected = (len(cameras), cameras[0].height, cameras[0].width)
    if shape[:3] != expected:
        raise ValueError(
            f"the teacher's {name} has the shape {shape}, but its patches are {expected}; give an answer of the patches' own size"
        )


def refuse_unnamed(name: str, most: int, classes: Sequence[str]) -> None:
    """ValueError if the largest number of a class that a field says is none of the vocabulary's."""
    if most >= len(classes):
        raise ValueError(
            f"the teacher's {name} says class {most}, but its vocabulary names {len(classes)} (0 to "
            f"{len(classes) - 1}); name every class, in the order of their numbers"
        )


def that_fits(look: Callable[[int], list[Said]], sizes: Sequence[int], less: str) -> list[Said]:
    """``look`` with the first batch size for which the device's memory is large enough.

    If it is for none, OutOfMemory that says how to need ``less``.
    """
    for patches in sizes:
        try:
            return look(patches)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            free_memory()
    raise OutOfMemory(f"the device ran out of memory with {sizes[-1]} patches at a time; {less}")
