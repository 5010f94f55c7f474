"""Whether the settings of ``fuse`` fit the teachers whose labels it reads; told before anything runs."""

from __future__ import annotations

from configs.settings import ConfigError
from tasks.label.views import views_read
from tasks.stage.kind import Stage

NEEDED_BY = {"points": {"depth"}, "edge_distance": {"depth", "semantics", "sky"}}
"""Auxiliary label -> fields of which one must be there."""


def refuse_misfit(stage: Stage) -> None:
    """Raise ConfigError if two teachers give one field, its views are not read, or a setting needs a field that none gives."""
    where, owner = f"stages.{stage.key}", dict[str, str]()
    for teacher in stage.stages("labels"):
        if not any(views.identity == own.identity for own in stage.stages("views") for views in teacher.stages("views")):
            raise ConfigError(
                f"{where}: {teacher.key!r} looked through views of {views_read(teacher).key!r}, which are not among those named; "
                "drop `views`, and each teacher's own are read"
            )
        for field in teacher.settings.fields:
            if field in owner:
                raise ConfigError(
                    f"{where}: both {owner[field]!r} and {teacher.key!r} give {field!r}; drop it from the `fields` of one, or "
                    f"name the teachers: {stage.key}: {{labels: [...]}}"
                )
            owner[field] = teacher.key
    if stage.settings.depth_normal == "enforce" and not {"depth", "normals"} <= owner.keys():
        raise ConfigError(f"{where}.depth_normal: 'enforce' needs teachers of depth and of normals; add them, or write measure")
    for name, sources in NEEDED_BY.items():
        if name in stage.settings.auxiliaries and not sources & owner.keys():
            raise ConfigError(
                f"{where}.auxiliaries: {name!r} needs a teacher of {' or '.join(sorted(sources))}; "
                "add it to the `fields` of one, or drop the auxiliary"
            )
