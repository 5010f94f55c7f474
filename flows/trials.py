"""What a trial takes of a pipeline: which stages, and which panoramas of which source.

Panoramas are chosen by their names among all that a source lists or its manifest knows, read or not, sound or not: so the same
trial is the same panoramas before and after its run.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from configs.pipeline import Config
from configs.settings import ConfigError
from configs.trial import Trial
from flows.invocation import typed
from flows.sources import Part, Source, part_of
from storage.columns import Columns
from storage.fingerprint import digest
from tasks.ingest import ingest
from tasks.ingest.entries import Entries
from tasks.ingest.ingest import NONE, Scan
from tasks.pipeline import plain_stages
from tasks.stage.kind import Stage, upstream_names

Chosen = Mapping[str, frozenset[str]]
"""Names of the panoramas by the key of their source."""


@dataclass(frozen=True)
class Reach:
    """Keys of the stages that a trial ``makes``, and of those that it ``looks`` at, since what it makes is made from them."""

    makes: frozenset[str]
    looks: frozenset[str]


@dataclass(frozen=True)
class Narrowed:
    """A pipeline cut down to a trial: its reach, and its sources with the panoramas that it takes."""

    trial: Trial
    reach: Reach
    sources: tuple[Source, ...]

    def refuse_owed(self, owed: Mapping[str, Sequence[str]]) -> None:
        """Raise ConfigError if what the trial's stages are made from owes blocks, and is not made with them."""
        unread = {one.key: len(one.whole.to_read) for one in self.sources if one.key in self._looked_at and not one.blocks}
        lacking = {key: f"{count} files" for key, count in unread.items() if count}
        lacking |= {key: f"{len(blocks)} block(s)" for key, blocks in owed.items() if key in self._looked_at and blocks}
        if lacking:
            told = ", ".join(f"{key} {count}" for key, count in lacking.items())
            more = self.trial.model_copy(update={"stage": None, "until": (self.trial.stage,)})
            fix = f"make that too: {typed('run', trial=more)}"
            raise ConfigError(f"--stage {self.trial.stage}: what it is made from is not there: {told}; {fix}")

    @property
    def _looked_at(self) -> frozenset[str]:
        return self.reach.looks - self.reach.makes


def narrowed(trial: Trial, config: Config, sources: Sequence[Stage], look: Callable[[Stage], Scan]) -> Narrowed:
    """A pipeline cut down to a trial. ``look`` compares a source with its manifest; it is asked only of sources in reach.

    Raises
    ------
    ConfigError
        The trial names no stage of the file, or takes no panorama.
    """
    found = reach(trial, config)
    scans = {one.key: look(one) if one.key in found.looks else ingest.recorded(one) for one in sources}
    chosen = choose(trial, [one for one in sources if one.key in found.looks], scans)
    parts = []
    for one in sources:
        source = Source(one, scans[one.key])
        part = source if chosen is None else part_of(source, chosen.get(one.key, frozenset()))
        parts.append(part if one.key in found.makes else _as_known(part))
    return Narrowed(trial, found, tuple(parts))


def _as_known(source: Source) -> Source:
    """A source that is not read: its files that are not known yet are left alone."""
    own = replace(source.scan, to_read=Entries.made_of([]), checked=NONE)
    return Part(source.stage, own, source, own.known)


def reach(trial: Trial, config: Config) -> Reach:
    """The stages that a trial takes. ConfigError if one that it names is not there."""
    stages = {stage.key: stage for stage in plain_stages(config)}
    name, keys = ("until", trial.until) if trial.stage is None else ("stage", (trial.stage,))
    for key in keys:
        if key not in stages:
            raise ConfigError(f"--{name} {key}: no stage is called so; {_nearest(key, stages, 'stages')}")
    looks = frozenset(keys).union(*(behind(stages[key]) for key in keys)) if keys else frozenset(stages)
    return Reach(looks if trial.stage is None else frozenset(keys), looks)


def behind(stage: Stage) -> set[str]:
    """Keys of all stages that a stage's output is made of, those that gave the panoramas among them."""
    read = {one.key: one for one in upstream_names(stage.inputs).values()} if stage.owes else {}
    return {stage.panoramas.key, *read}.union(*(behind(one) for one in read.values() if one.inputs))


def choose(trial: Trial, sources: Sequence[Stage], scans: Mapping[str, Scan]) -> Chosen | None:
    """The panoramas that a trial takes; None if it takes all.

    Raises
    ------
    ConfigError
        Nothing is chosen, or a name is that of no panorama; the message says what would be.
    """
    if not trial.chooses:
        return None
    splits = {one.key: _splits(scans[one.key]) for one in sources}
    chosen = {key: set(found) for key, found in splits.items()}
    if trial.items:
        chosen = _named(trial.items, splits)
    if trial.split is not None:
        of_all = {split for found in splits.values() for split in found.values()}
        chosen = {key: {item for item in names if splits[key][item] == trial.split} for key, names in chosen.items()}
        _refuse_none(trial, chosen, f"--split {trial.split}", _nearest(trial.split, of_all - {""}, "splits"))
    if trial.sample is not None:
        least = min((place(item) for names in chosen.values() for item in names), default=1.0)
        chosen = {key: {item for item in names if place(item) <= trial.sample} for key, names in chosen.items()}
        _refuse_none(trial, chosen, f"--sample {trial.sample:g}", f"the least share that has one is {least + 5e-5:.4f}")
    _refuse_none(trial, chosen, trial.told, "its sources have none")
    return {key: frozenset(_first(names, scans[key].absent, trial.limit)) for key, names in chosen.items()}


def _first(names: Collection[str], gone: Collection[str], limit: int | None) -> list[str]:
    """The first names; those of panoramas that are gone come after all that can be made."""
    left = set(gone)
    return sorted(names, key=lambda name: (name in left, name))[:limit]


def place(item: str) -> float:
    """Where a name stands between 0 and 1, by its digest: those up to a share are a sample of it."""
    return (int(digest(item.encode())[:12], 16) + 1) / 16**12


def _splits(scan: Scan) -> dict[str, str]:
    """The split of every panorama that is known or listed, as it was told last."""
    return {item: split for group in (scan.known, scan.checked, scan.to_read) for item, split in _told(group)}


def _told(columns: Columns[Any]) -> Iterable[tuple[str, str]]:
    return zip(columns.names, columns.values("split"), strict=True)


def _named(wanted: Sequence[str], known: Mapping[str, Mapping[str, str]]) -> dict[str, set[str]]:
    """By source the panoramas that are named: ``ITEM`` of whichever source has it, or ``SOURCE/ITEM``."""
    chosen: dict[str, set[str]] = {key: set() for key in known}
    for name in wanted:
        found = [(key, name) for key in known if name in known[key]]
        source, _, item = name.partition("/")
        found = found or [(source, item)] * (source in known and item in known.get(source, {}))
        if not found:
            names = [item for items in known.values() for item in items]
            raise ConfigError(f"--items {name}: no panorama is called so; {_nearest(name, names, 'panoramas')}")
        for key, item in found:
            chosen[key].add(item)
    return chosen


def _refuse_none(trial: Trial, chosen: Mapping[str, Collection[str]], option: str, hint: str) -> None:
    if not any(chosen.values()):
        among = f" (of {trial.told})" if option != trial.told else ""
        raise ConfigError(f"{option}: chooses no panorama{among}; {hint}")


def _nearest(name: str, names: Collection[str], what: str) -> str:
    nearest = difflib.get_close_matches(name, names, n=1)
    few = f"there are {', '.join(sorted(names))}" if 0 < len(names) <= 20 else f"there are {len(names)} {what}"
    return f"did you mean {nearest[0]!r}?" if nearest else few
