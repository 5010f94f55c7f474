"""The runs of a config that a plan compares it with, as if they had been of the panoramas that its sources have now."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from configs.pipeline import Config
from flows.comparing.reasons import identity_before
from flows.sources import Part, Source
from storage.records.runs import read_runs
from storage.urls import children, join
from tasks.stage.kind import Stage


class RunsBefore:
    """Records of runs that chose no panoramas, newest first; each is read once, and only if somebody asks so far back."""

    def __init__(self, config: Config, sources: Sequence[Source]) -> None:
        self._left = _whole_runs(config, sources)
        self._read: list[Mapping[str, Any]] = []

    def of(self, stage: Stage) -> Mapping[str, Any] | None:
        """The last run that had the stage's fingerprint, where anything of that is there still; otherwise the last run.

        So what was made and is not there any more is never taken for the change of a setting since.
        """
        last = next(self._records(), None)
        if last is None or _had(last, stage) or not children(join(stage.root, "stages", stage.name, stage.identity.fingerprint)):
            return last
        return next((record for record in self._records() if _had(record, stage)), last)

    def _records(self) -> Iterator[Mapping[str, Any]]:
        return chain(tuple(self._read), self._more())

    def _more(self) -> Iterator[Mapping[str, Any]]:
        for record in self._left:
            self._read.append(record)
            yield record


def _had(record: Mapping[str, Any], stage: Stage) -> bool:
    found = identity_before(stage, record)
    return found is not None and found["fingerprint"] == stage.identity.fingerprint


def _whole_runs(config: Config, sources: Sequence[Source]) -> Iterator[Mapping[str, Any]]:
    parts = [source for source in sources if isinstance(source, Part)]
    for record in read_runs(config.root):
        if record["config"]["name"] != config.name or "panoramas" in record.get("trial", {}):
            continue
        known = record.get("blocks")
        own = {one.key: _known_then(one, known.get(one.key, ())) for one in parts} if isinstance(known, Mapping) else {}
        yield {**record, "blocks": {**known, **own}} if isinstance(known, Mapping) else record


def _known_then(source: Part, names: Collection[str]) -> list[str]:
    """The blocks of a part of a source whose whole blocks a run knew."""
    indices = {block.index for block in source.of.blocks if block.name in names}
    return [block.name for block in source.blocks if block.index in indices]
