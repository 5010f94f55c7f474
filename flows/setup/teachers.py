"""What each teacher of a config says of one patch: its fields, units, ranges, classes, and how long it took."""

from __future__ import annotations

from collections.abc import Iterator

from configs.adapt import AdaptConfig
from configs.schema import Config, TeacherSettings
from flows.setup.checks import Check, guarded
from tasks.label.teacher_trial import View, first_view, try_teacher


def check_teachers(config: Config) -> Iterator[Check]:
    """Load every teacher of a config and let it look at one view of the first panorama that can be read."""
    if isinstance(config, AdaptConfig) or not config.teachers:
        yield Check("load", "ok", "this config has no teachers")
        return
    views: list[View] = []

    def look() -> Iterator[Check]:
        views.append(first_view(config))
        yield Check("load: patch", "ok", views[0].words)

    yield from guarded("load: patch", look, "the teachers were not tried; mend the source first")
    for view in views:
        for teacher in config.teachers:

            def probe(teacher: TeacherSettings = teacher, view: View = view) -> Iterator[Check]:
                yield from _try(config, teacher, view)

            yield from guarded(f"load: {teacher.name}", probe, f"correct the settings of teacher {teacher.name!r}")


def _try(config: Config, settings: TeacherSettings, view: View) -> Iterator[Check]:
    name = f"load: {settings.name}"
    trial = try_teacher(settings, config.execution.device, view)
    times = f"loaded in {trial.loading:.2f} s, one patch in {trial.saying:.2f} s on {trial.device}"
    yield Check(name, "ok", f"{times}; gives {trial.gives}")
    for field, seen in trial.fields.items():
        yield Check(f"{name}, {field}", "ok", seen)
