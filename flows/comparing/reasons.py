"""Why blocks are owed: what changed since the last run of a config, most telling cause first."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from storage.columns import found_in
from storage.fingerprint import differences
from storage.items import Block
from storage.urls import children, join
from tasks.ingest.ingest import Scan, unchanged
from tasks.stage.grain import stands_for
from tasks.stage.kind import Stage


def source_reasons(stage: Stage, scan: Scan) -> list[str]:
    """Why files of a source must be read."""
    known = {item.item: item for item in scan.known.where(found_in(scan.known.column("item"), scan.to_read.names))}
    new = [entry.item for entry in scan.to_read if entry.item not in known]
    again = [entry.item for entry in scan.to_read if entry.item in known and unchanged(entry, known[entry.item])]
    changed = [entry.item for entry in scan.to_read if entry.item in known and not unchanged(entry, known[entry.item])]
    reasons = [f"new files: {len(new)}"] * bool(new)
    rehash = f" ({stage.key}.rehash)" * stage.settings.rehash
    for word, items in (("changed files", changed), (f"files to read again{rehash}", again)):
        reasons += [f"{word}: {', '.join(items[:3])}{f' ... {len(items)} in all' * (len(items) > 3)}"] * bool(items)
    return reasons + [f"files that a stopped run or a trial has read, to be placed: {len(scan.checked)}"] * bool(scan.checked)


def reasons_of(
    stage: Stage, missing: Sequence[Block], redo: set[str], previous: Mapping[str, Any] | None, forgotten: Collection[str] = ()
) -> list[str]:
    """Why blocks of the manifest are owed.

    Parameters
    ----------
    stage : Stage
    missing : blocks that it must make
    redo : names of those among them that are there, and must be made once more
    previous : the record of the run that they are compared with, if there is one
    forgotten : names of blocks in which an item is forgotten
    """
    if not missing:
        return []
    again = [block for block in missing if block.name in redo]
    reasons = [f"quarantined items tried again, or another model: {len(again)} block(s)"] * bool(again)
    rest = [block for block in missing if block.name not in redo]
    if not rest:
        return reasons
    before = identity_before(stage, previous)
    if before is None:
        return [*reasons, "first run"]
    if before["fingerprint"] != stage.identity.fingerprint:
        return [*reasons, *(str(change) for change in differences(before, stage.identity.as_json(), stage.key))]
    return [*reasons, *_causes(stage, rest, previous or {}, set(forgotten))]


def identity_before(stage: Stage, previous: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """What the record of a run says of a stage."""
    identities = (previous or {}).get("identities", {})
    found: Mapping[str, Any] | None = identities.get(stage.key) or identities.get(stage.name)
    return found  # records of old name stages as receipts do


def lacking(stage: Stage) -> list[str]:
    """That nothing is known of a stage's blocks, since weights are not here that they are made with; nothing if all are."""
    if stage.key in stage.lacks:
        return [f"weights not here: {stage.key}"]
    return [f"at most: weights not here: {', '.join(stage.lacks)}"] * bool(stage.lacks)


def _known(stage: Stage, previous: Mapping[str, Any]) -> set[str]:
    """The blocks of the stage's panoramas that the last run knew; of stages over several sources, of all of them."""
    blocks = previous.get("blocks", ())
    if not isinstance(blocks, Mapping):  # of records older than pipelines of several sources
        return set(blocks)
    own = blocks.get(stage.panoramas.key)
    return set(own) if own is not None else {name for names in blocks.values() for name in names}


def _causes(stage: Stage, missing: Sequence[Block], previous: Mapping[str, Any], forgotten: set[str]) -> list[str]:
    known, made = _known(stage, previous), _made_all(stage, previous)
    numbers = {_number(name) for name in known}
    folder = join(stage.root, "stages", stage.name, stage.identity.fingerprint)
    on_disk = set(children(folder))
    causes: dict[str, int] = {}
    for block in missing:
        made_of = stands_for(block)
        if not numbers.issuperset(map(_number, made_of)):
            cause = "new items"
        elif not known.issuperset(made_of):
            cause = "items forgotten" if forgotten.intersection(made_of) - known else "items changed"
        else:
            cause = "receipt missing" if block.name in on_disk else "there no more" if made else "not run yet"
        causes[cause] = causes.get(cause, 0) + 1
    return [f"{cause}: {count} block{'s' * (count > 1)}" for cause, count in sorted(causes.items())]


def _made_all(stage: Stage, record: Mapping[str, Any]) -> bool:
    """Whether a run has made, or found, every block of a stage."""
    return record.get("state") == "completed" and any(row.get("stage") == stage.key for row in record.get("stages", ()))


def _number(block: str) -> str:
    return block.split("-")[0]
