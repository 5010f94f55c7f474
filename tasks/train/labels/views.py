"""Labels of one random view: what a single patch says, on the sphere, so that no two views are ever mixed in one loss.

Views of a teacher may contradict each other in scale. Merged, the contradictions become edges and bends that a student learns;
one at a time, they become noise that it averages.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geometry.fields import Field
from geometry.fusion.fuse import FusionSettings, fuse
from geometry.spheres import View
from storage.arrays import BlockReader
from storage.receipts import Receipt, read_dropped, read_receipt
from tasks.label import project
from tasks.label.arrays import decode_fields
from tasks.label.views import views_read
from tasks.stage.kind import Stage


@dataclass(frozen=True)
class PatchBlock:
    """A block of a stage before fuse: the views, or a teacher's patch labels."""

    url: str

    @cached_property
    def receipt(self) -> Receipt:
        """Raises ValueError if its data is not there."""
        receipt = read_receipt(self.url)
        if receipt is None:
            why = "was dropped" if read_dropped(self.url) else "is not there"
            raise ValueError(
                f"{self.url}: {why}, so training cannot go view by view; write `keep: always` in the stages `label` of the "
                "pipeline and run it again, or train on merged labels"
            )
        return receipt

    @cached_property
    def reader(self) -> BlockReader:
        return BlockReader(self.url, self.receipt.files)


@dataclass(frozen=True)
class Patches:
    """The blocks that a block of labels was made from: what each teacher says, and the views that it looked through."""

    teachers: Sequence[PatchBlock]
    views: Sequence[PatchBlock]


def patch_blocks(stage: Stage, block: str) -> Patches | None:
    """What a block of fused labels was made from; None of labels that have no views."""
    teachers = stage.stages("labels")
    if not stage.stages("views"):
        return None
    views = [views_read(one) for one in teachers]
    return Patches([PatchBlock(one.block_url(block)) for one in teachers], [PatchBlock(one.block_url(block)) for one in views])


def check_views(blocks: Patches | None, tasks: Sequence[str]) -> None:
    """Raises ValueError if a task cannot be taught view by view from these blocks."""
    if len({_views_of(task, blocks).url for task in tasks}) > 1:
        raise ValueError(f"{', '.join(tasks)} were labelled through different views, so none shows all; train on merged labels")
    for task in tasks:
        unit = _teacher_of(task, blocks).receipt.about["fields"][task]["unit"]
        if task == "depth" and unit != "metre":
            raise ValueError(
                f"depth in the unit {unit!r} has another scale in every view, so that single views cannot be compared with a "
                "student's metres; train on merged depth, which has one scale"
            )


def one_view(
    blocks: Patches | None, slot: int, tasks: Sequence[str], height: int, classes: int, generator: np.random.Generator
) -> dict[str, NDArray[Any]]:
    """ERP labels (height, 2 height[, C]) of one random view of an item, valid where it looks.

    As those of :func:`geometry.fusion.fuse.fuse`, in its dtypes, without the consistency of views.
    """
    cameras = project.decode_cameras(_views_of(tasks[0], blocks).reader.item(slot, ("fov", "rotation", "size")))
    view = int(generator.integers(len(cameras)))
    fields = {task: _of_view(_teacher_of(task, blocks), slot, task, view) for task in tasks}
    seen: tuple[View, ...] = (cameras[view],)
    labels = fuse(fields, seen, height, 2 * height, FusionSettings(depth="single", edge_feather=0, classes=max(classes, 1)))
    # One view has no other to agree with: its consistency is zero, which means "not judged", not "worth nothing".
    return {name: array for name, array in labels.items() if not name.endswith("_consistency")}


def _of_view(teacher: PatchBlock, slot: int, task: str, view: int) -> Field:
    about = {"fields": {task: teacher.receipt.about["fields"][task]}}
    wanted = (task, f"{task}_valid", f"{task}_confidence", f"{task}_factor")
    names = tuple(name for name in teacher.reader.names if name in wanted)
    whole = decode_fields(teacher.reader.item(slot, names), about)[task]
    chosen = slice(view, view + 1)
    confidence = None if whole.confidence is None else whole.confidence[chosen]
    return replace(whole, values=whole.values[chosen], valid=whole.valid[chosen], confidence=confidence)


def _there(blocks: Patches | None) -> Patches:
    if blocks is None:
        raise ValueError("these labels have no views, so they cannot be trained view by view; train on merged labels")
    return blocks


def _views_of(task: str, blocks: Patches | None) -> PatchBlock:
    whole = _there(blocks)
    return whole.views[whole.teachers.index(_teacher_of(task, blocks))]


def _teacher_of(task: str, blocks: Patches | None) -> PatchBlock:
    for block in _there(blocks).teachers:
        if task in block.receipt.about["fields"]:
            return block
    raise ValueError(f"no teacher of this store gives {task}, so it cannot be trained view by view")
