"""The views of patch labels: each teacher's own, turned as its stage was."""

from __future__ import annotations

from collections.abc import Sequence

from geometry.spheres import View
from tasks.label.project import decode_cameras
from tasks.label.rotations import rotated_views
from tasks.stage.job import Job
from tasks.stage.kind import Stage
from tasks.stage.upstream import Upstream

FIRST = ("depth", "normals", "semantics", "sky", "instances")
"""Fields by whose views a panorama is judged, the first that there is."""


def views_read(teacher: Stage) -> Stage:
    """The stage whose views a teacher's stage looked through."""
    (views,) = teacher.stages("views")
    return views


def main_views(teachers: Sequence[Stage]) -> Stage:
    """The stage that cut the views of the first of :data:`FIRST` that teachers give: those by which ``views`` are counted."""
    by_field = {field: teacher for teacher in reversed(teachers) for field in teacher.settings.fields}
    return views_read(next(by_field[field] for field in FIRST if field in by_field))


class Cameras:
    """The views of a job's items, of every stage that cut some, each read once an item."""

    def __init__(self, job: Job) -> None:
        self._blocks = {stage.key: Upstream(job, stage) for stage in job.stage.stages("views")}
        self._by_fingerprint = {stage.identity.fingerprint: stage.key for stage in job.stage.stages("views")}
        self._read: dict[str, tuple[int, tuple[View, ...]]] = {}

    def of(self, teacher: Stage, slot: int) -> tuple[View, ...]:
        """The views that a teacher's stage looked through at an item, turned as it turned them."""
        views = views_read(teacher)
        return rotated_views(self.cut_by(views, slot), views.settings.layout, teacher.settings.rotation)

    def cut_by(self, views: Stage, slot: int) -> tuple[View, ...]:
        """The views of an item that a stage cut. BadItem if it gave the item up."""
        key = self._by_fingerprint[views.identity.fingerprint]
        if key not in self._read or self._read[key][0] != slot:
            self._read[key] = slot, decode_cameras(self._blocks[key].item(slot))
        return self._read[key][1]
