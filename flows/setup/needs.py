"""What a config needs to begin: its device, the weights and models of its stages, its panoramas and their truth."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from configs.pipeline import Config
from flows.setup.checks import Check, guarded
from flows.setup.first_look import figures_in_words, look_into
from storage.urls import exists, join
from tasks.ingest.datasets.inspection import inspect
from tasks.ingest.datasets.listing import look_at
from tasks.ingest.entries import Entry
from tasks.pipeline import plain_stages, sources
from tasks.stage.devices import resolve_device
from tasks.stage.kind import Stage
from tasks.stage.plain import named_function


def check_device(config: Config) -> Iterator[Check]:
    """The device of the config exists and takes an array."""
    import torch

    device = resolve_device(config.execution.device)
    torch.zeros(1, device=device).add_(1).cpu()
    yield Check("execution.device", "ok", f"{config.execution.device} is {device}")


def check_weights(config: Config) -> Iterator[Check]:
    """The weights that stages name are here, with the digest that enters the fingerprint, and what each kind itself looks at."""
    for stage in plain_stages(config):
        name = f"weights of {stage.key}"

        def probe(stage: Stage = stage, name: str = name) -> Iterator[Check]:
            for found in stage.kind.weights(stage.settings, stage.inputs).values():
                yield Check(name, "ok", f"{stage.kind.gives}, sha256 {found}")
            if stage.kind.looks:
                for row in named_function(stage.kind.looks)(stage):
                    yield Check(name, *row)

        yield from guarded(name, probe, f"correct the settings of stages.{stage.key}, or fetch its weights")


def check_source(config: Config) -> Iterator[Check]:
    """Every source can be listed; its truth is there."""
    for stage in sources(config):
        yield from guarded(f"{stage.key}.source", partial(_check_source, stage), "correct its url, or the access to it")


def _check_source(stage: Stage) -> Iterator[Check]:
    source, name = stage.settings.source, f"{stage.key}.source"
    found = look_at(source)
    size = sum(entry.size for entry in found.entries)
    yield Check(name, "ok", f"{len(found.entries)} panoramas, {size / 1e9:.3g} GB, at {source.url}")
    for note in found.notes:
        yield Check(name, "warning", note, "see docs/operations.md, Sources, for what is read")
    if wrong := [f"{entry.item}: {entry.problem}" for entry in found.entries if entry.problem]:
        yield Check(name, "warning", f"{len(wrong)} panoramas would be quarantined; the first: {wrong[0]}", "correct the source")
    yield from guarded(f"{name}.pictures", lambda: _check_pictures(stage, found.entries), "see docs/operations.md, Pictures")
    if source.is_data_set:
        yield from guarded(f"{name}.truth", lambda: _check_data_set(stage), "see docs/datasets.md for what is expected")
    if source.truth is not None:
        there = exists(join(source.truth, "dataset.json"))
        seen = f"{source.truth} {'has' if there else 'lacks'} dataset.json"
        yield Check(f"{name}.truth", "ok" if there else "failure", seen, "" if there else "correct source.truth, or remove it")


def _check_pictures(stage: Stage, entries: Sequence[Entry]) -> Iterator[Check]:
    """Some panoramas are what they seem: they decode, and each joins itself."""
    items = look_into(entries, stage.settings)
    reasons = [f"{item.item}: {item.reason}" for item in items if item.reason]
    figures = figures_in_words([item for item in items if not item.reason])
    seen = f"{len(items)} looked into, {len(reasons)} would be quarantined" + (f"; {figures}" if figures else "")
    yield Check(f"{stage.key}.source.pictures", "warning" if reasons else "ok", seen, "; ".join(reasons[:3]))


def _check_data_set(stage: Stage) -> Iterator[Check]:
    """The truth of a data set is there, and what one panorama's says fits together."""
    found = inspect(stage.settings.source)
    yield Check(f"{stage.key}.source.truth", "warning" if found.problems else "ok", found.seen, "; ".join(found.problems))
