"""What a config needs to begin: its device, the weights of its teachers, its panoramas and their truth."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from configs.adapt import AdaptConfig
from configs.schema import Config
from flows.setup.checks import Check, guarded
from flows.setup.first_look import figures_in_words, look_into
from storage.urls import exists, join
from tasks.ingest.datasets.inspection import inspect
from tasks.ingest.datasets.listing import look_at
from tasks.ingest.entries import Entry
from tasks.label import label
from tasks.label.teacher_trial import missing_files, unread_urls
from tasks.stage.devices import resolve_device


def check_device(config: Config) -> Iterator[Check]:
    """The device of the config exists and takes an array."""
    import torch

    device = resolve_device(config.execution.device)
    torch.zeros(1, device=device).add_(1).cpu()
    yield Check("execution.device", "ok", f"{config.execution.device} is {device}")


def check_weights(config: Config) -> Iterator[Check]:
    """The weights of every teacher, or the source model, are here, with the digest that enters the fingerprint."""
    if isinstance(config, AdaptConfig):
        yield from guarded("model", lambda: _check_model(config), "give the folder of a source model, or settings that fit it")
    for teacher in config.teachers:
        name = f"weights of {teacher.name}"

        def probe(teacher=teacher, name=name) -> Iterator[Check]:  # type: ignore[no-untyped-def]
            identity = label.identity(config, teacher)
            yield Check(name, "ok", f"{teacher.kind}, sha256 {identity.weights[teacher.name]}")
            if ":" in teacher.kind:
                yield from _check_named_files(name, teacher.settings)

        yield from guarded(name, probe, f"correct the settings of teacher {teacher.name!r}, or fetch its weights")


def _check_model(config: AdaptConfig) -> Iterator[Check]:
    """The source model can be read, and fits the settings."""
    from tasks.adapt.fit import refuse_misfit  # here, since they import networks
    from tasks.seamless.model import model_digest, read_model

    found = model_digest(config.model)
    model = read_model(config.model, found)
    refuse_misfit(config, model)
    yield Check("model", "ok", f"{len(model.classes)} classes, sha256 {found}")


def _check_named_files(name: str, settings: dict) -> Iterator[Check]:
    """A teacher of one's own is digested with the files that it names; one that is not there is left out in silence."""
    for key, text in missing_files(settings):
        yield Check(name, "failure", f"{key}: there is no {text}", f"put the file there, or correct settings.{key}")
    for key, text in unread_urls(settings):
        advice = "name what lies there by its version, or keep a copy on this machine"
        yield Check(name, "warning", f"{key}: {text} is not read here, so a change of what lies there is not seen", advice)


def check_source(config: Config) -> Iterator[Check]:
    """The source can be listed; its truth is there."""
    found = look_at(config.source)
    size = sum(entry.size for entry in found.entries)
    yield Check("source", "ok", f"{len(found.entries)} panoramas, {size / 1e9:.3g} GB, at {config.source.url}")
    for note in found.notes:
        yield Check("source", "warning", note, "see docs/operations.md, Sources, for what is read")
    if wrong := [f"{entry.item}: {entry.problem}" for entry in found.entries if entry.problem]:
        yield Check(
            "source", "warning", f"{len(wrong)} panoramas would be quarantined; the first: {wrong[0]}", "correct the source"
        )
    yield from guarded("source.pictures", lambda: _check_pictures(config, found.entries), "see docs/operations.md, Pictures")
    if config.source.kind != "files":
        yield from guarded("source.truth", lambda: _check_data_set(config), "see docs/datasets.md for what is expected")
    if config.source.truth is not None:
        there = exists(join(config.source.truth, "dataset.json"))
        seen = f"{config.source.truth} {'has' if there else 'lacks'} dataset.json"
        yield Check("source.truth", "ok" if there else "failure", seen, "" if there else "correct source.truth, or remove it")


def _check_pictures(config: Config, entries: Sequence[Entry]) -> Iterator[Check]:
    """Some panoramas are what they seem: they decode, and each joins itself."""
    items = look_into(entries, config.ingest)
    reasons = [f"{item.item}: {item.reason}" for item in items if item.reason]
    figures = figures_in_words([item for item in items if not item.reason])
    seen = f"{len(items)} looked into, {len(reasons)} would be quarantined" + (f"; {figures}" if figures else "")
    yield Check("source.pictures", "warning" if reasons else "ok", seen, "; ".join(reasons[:3]))


def _check_data_set(config: Config) -> Iterator[Check]:
    """The truth of a data set is there, and what one panorama's says fits together."""
    found = inspect(config.source)
    yield Check("source.truth", "warning" if found.problems else "ok", found.seen, "; ".join(found.problems))
