"""The frame of a pipeline's file: a name, a store, stages in their order, and how they are carried out.

What a stage may say is its kind's own business (tasks/catalogue.py); here an entry is a key, the name of a kind, and values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema, model_validator

from configs.execution import Execution
from configs.places import PlaceField
from configs.settings import Identifier, PlainSettings, Settings
from storage.credentials import mask_settings

Keep = Literal["always", "until_read", "never"]
"""How long the data of a block stays: ``always``; until every stage of the file that reads it has its receipt; or ``never``: the
one stage that reads it makes it item by item, and none of it is stored."""
ALWAYS: Keep = "always"
UNTIL_READ: Keep = "until_read"
NEVER: Keep = "never"


class Entry(Settings):
    """One stage as the file says it."""

    key: Identifier
    """What the file calls it."""
    kind: str
    """Name of its kind; the key where the entry does not say ``stage:``."""
    keep: Keep = ALWAYS
    """How long what it makes stays in the store; its receipts stay in any case."""
    values: PlainSettings
    """All else that the entry says."""

    def as_json(self) -> dict[str, Any]:
        """The entry as the file would have it: one key and its values."""
        kind = {"stage": self.kind} if self.kind != self.key else {}
        keep = {"keep": self.keep} if self.keep != ALWAYS else {}
        return {self.key: kind | keep | mask_settings(self.values)}


def as_entries(stages: Any) -> Any:
    """Entries from a mapping of keys to values, or from a list of mappings with one key each, which keeps its order as JSON."""
    if isinstance(stages, Mapping):
        stages = [{key: values} for key, values in stages.items()]
    if not isinstance(stages, Sequence) or isinstance(stages, str):
        raise ValueError("must be a mapping of keys to stages, or a list of mappings with one key each")
    if not stages:
        raise ValueError("name at least one stage, such as ingest: {source: {url: FOLDER}}")
    return [_entry(one) for one in stages]


def _entry(one: Any) -> Any:
    if isinstance(one, Entry):
        return one
    if not isinstance(one, Mapping) or len(one) != 1:
        raise ValueError("every item of the list must be a mapping with one key: that of the stage")
    ((key, values),) = one.items()
    values = {} if values is None else values
    if not isinstance(values, Mapping):
        raise ValueError(f"{key}: must be a mapping of settings; write {key}: {{}} for defaults")
    kind = values.get("stage", key)
    if not isinstance(kind, str):
        raise ValueError(f"{key}.stage: must be the name of a kind of stage")
    keep = values.get("keep", ALWAYS)
    if isinstance(keep, str) and keep not in (ALWAYS, UNTIL_READ, NEVER):
        raise ValueError(f"{key}.keep: must be {ALWAYS}, {UNTIL_READ} or {NEVER}, got {keep!r}")
    own = ("stage", "keep") if isinstance(keep, str) else ("stage",)  # of checkpoints a training keeps a number
    rest = {name: value for name, value in values.items() if name not in own}
    return {"key": key, "kind": kind, "keep": keep if isinstance(keep, str) else ALWAYS, "values": rest}


def _as_list(entries: Sequence[Entry]) -> list[dict[str, Any]]:
    return [entry.as_json() for entry in entries]


WRITTEN: dict[str, Any] = {
    "anyOf": [
        {"type": "object", "minProperties": 1},
        {"type": "array", "minItems": 1, "items": {"type": "object", "minProperties": 1, "maxProperties": 1}},
    ]
}
"""How entries are written, for whoever checks values by a schema; what each may say is told by tasks/schema.py."""

Entries = Annotated[
    tuple[Entry, ...],
    BeforeValidator(as_entries),
    PlainSerializer(_as_list, return_type=list[dict[str, Any]]),
    Field(min_length=1),
    WithJsonSchema(WRITTEN),
]


class Config(Settings):
    """One pipeline: where it keeps its work, what its stages are, and how a run of it is carried out."""

    folder: str = ""
    """Where relative paths start: the folder of the file, as seen from the working directory; empty for that itself."""
    name: Identifier
    root: PlaceField
    """URL of the store that receives manifests, blocks, receipts and reports."""
    stages: Entries
    """By key, in their order; a list of mappings with one key each says the same."""
    execution: Execution = Execution()

    @model_validator(mode="after")
    def _keys_once(self) -> Config:
        keys = [entry.key for entry in self.stages]
        if twice := [key for key in keys if keys.count(key) > 1]:
            raise ValueError(f"stages.{twice[0]}: stands twice; give each stage a key of its own, and write `stage: KIND` in it")
        return self

    @model_validator(mode="after")
    def _shared_store(self) -> Config:
        self.refuse_memory("root", self.root)
        return self

    def refuse_memory(self, key: str, url: str) -> None:
        """Raise ValueError if a place lives in the memory of one process, and workers of Dask would have to see it."""
        if self.execution.runner.kind == "dask" and "memory://" in url:
            raise ValueError(
                f"{key}: {url!r} lives in the memory of one process, which workers of execution.runner.kind: dask cannot "
                "see; give a folder or bucket that all of them reach, or write execution.runner.kind: threads"
            )
