"""The JSON schema of a pipeline's file: what editors need to complete and check its YAML.

What an entry may say follows from its kind: the settings, whose descriptions are the texts under their fields, and the inputs.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, get_args

from pydantic.json_schema import models_json_schema

from configs.pipeline import ALWAYS, Config, Keep
from tasks.catalogue import kind_named, names
from tasks.pipeline import FROM, may_go
from tasks.stage.kind import Edge, Kind

DIALECT = "https://json-schema.org/draft/2020-12/schema"
Schema = dict[str, Any]

WORD: Schema = {"type": "string", "minLength": 1}
OF_OTHER: Schema = {
    "title": FROM,
    "description": "A stage of another pipeline, as it is there: nothing of it is made.",
    "type": "object",
    "properties": {
        "stage": {"const": FROM},
        "config": {**WORD, "description": "YAML file of the other pipeline."},
        "of": {**WORD, "description": "Key of the stage there."},
        "incomplete": {"type": "boolean", "default": False, "description": "Take what is there, though blocks are owed."},
        "set": {"type": "object", "description": "Values laid over that file: dotted keys to values."},
    },
    "required": ["config", "of"],
    "additionalProperties": False,
}


NAMES_ITS_KIND: Schema = {"type": "object", "required": ["stage"]}
ENTRIES: Schema = {"$ref": "#/$defs/entries"}
STAGES: Schema = {
    "type": ["object", "array"],
    "minProperties": 1,
    **ENTRIES,
    "minItems": 1,
    "items": {"type": "object", "minProperties": 1, "maxProperties": 1, **ENTRIES},
}
"""A mapping of keys to entries, or a list of mappings with one key each."""


def schema_text() -> str:
    """The schema as JSON text, which ends in a newline; the same on every call."""
    return json.dumps(json_schema(), indent=1, ensure_ascii=False) + "\n"


def json_schema() -> Schema:
    """The schema of a pipeline: the frame, and every kind of stage that is installed."""
    frame = Config.model_json_schema()
    properties = {name: one for name, one in frame["properties"].items() if name != "folder"}  # set by reading
    models, kinds = _kinds()
    ours = {_own(name): one for name, one in kinds.items()}
    return {
        "$schema": DIALECT,
        **frame,
        "title": "panolabel pipeline",
        "properties": {**properties, "stages": {"description": properties["stages"]["description"], **STAGES}},
        "$defs": {**frame["$defs"], **models, **ours, "stage": _any_stage(list(kinds)), "entries": _entries(list(kinds))},
    }


def _own(name: str) -> str:
    """What the definition of a kind's entries is called; models have names without a colon."""
    return f"stage:{name}"


def _ref(definition: str) -> Schema:
    return {"$ref": f"#/$defs/{definition}"}


def _entries(kinds: list[str]) -> Schema:
    """Keys and what stands under them: a key that is the name of a kind needs no ``stage``."""
    by_key = {name: {"if": NAMES_ITS_KIND, "then": _ref("stage"), "else": _ref(_own(name))} for name in kinds}
    others = {**NAMES_ITS_KIND, **_ref("stage")}
    return {"propertyNames": {"pattern": "^[a-z][a-z0-9_]*$"}, "properties": by_key, "additionalProperties": others}


def _any_stage(kinds: list[str]) -> Schema:
    return {"title": "stage", "anyOf": [_ref(_own(name)) for name in kinds]}


def _kinds() -> tuple[Mapping[str, Schema], dict[str, Schema]]:
    """The models that settings hold, by name, and the entries of every kind."""
    forms = {name: list(_forms(name)) for name in names()}
    settings = {kind.settings for found in forms.values() for kind, _ in found}
    ordered = sorted(settings, key=lambda one: (one.__module__, one.__name__))
    found, schema = models_json_schema([(one, "validation") for one in ordered])
    models = dict(schema["$defs"])
    flat = {model: models.pop(ref["$ref"].rpartition("/")[2]) for (model, _), ref in found.items()}
    entries = {name: _entry(name, found, flat) for name, found in forms.items()}
    return models, {**entries, FROM: OF_OTHER}


def _forms(name: str) -> Iterator[tuple[Kind, Schema]]:
    """A kind and what else its entries say; where one takes the settings of a kind that it chooses, each of those.

    ``train: {kind: seamless}`` has the settings of ``train.seamless``.
    """
    kind = kind_named(name)
    if kind.settings.model_config.get("extra") != "allow":
        yield kind, {}
        return
    for field, chosen in kind.settings.model_fields.items():
        for choice in get_args(chosen.annotation):
            needed = {} if choice == chosen.default else {"required": [field]}
            said = {"const": choice, "description": chosen.description}
            yield kind_named(f"{name}.{choice}"), {"properties": {field: said}, **needed}


def _entry(name: str, forms: list[tuple[Kind, Schema]], flat: Mapping[Any, Schema]) -> Schema:
    found = [_one_form(name, kind, flat[kind.settings], more) for kind, more in forms]
    return found[0] if len(found) == 1 else {"title": name, "anyOf": found}


def _one_form(name: str, kind: Kind, settings: Schema, more: Schema) -> Schema:
    """An entry of one kind: its settings, its inputs, and ``stage``, which may be left out where the key says it."""
    own = {key: one for key, one in settings.get("properties", {}).items() if key != "shares"}  # weights of inputs
    reads = {key: _input(edge) for key, edge in kind.reads.items()}
    needed = [*settings.get("required", ()), *more.get("required", ())]
    return {
        **settings,
        "title": name,
        "type": "object" if needed else ["object", "null"],
        "properties": {"stage": {"const": name}, **_keep(kind), **more.get("properties", {}), **reads, **own},
        **({"required": needed} if needed else {}),
    }


def _keep(kind: Kind) -> Schema:
    """How long what a stage makes stays, for those that make blocks of panoramas."""
    told = (
        "How long the data of its blocks stays: always; until every stage of the file that reads them has made its own; or "
        "never: the one stage that reads them makes them item by item."
    )
    return {"keep": {"enum": [*get_args(Keep)], "default": ALWAYS, "description": told}} if may_go(kind) else {}


def _input(edge: Edge) -> Schema:
    """What names an input: the key of a stage, several of them, or each with its weight."""
    several = [{"type": "array", "items": WORD, "minItems": 1}] if edge.many or edge.weighted else []
    weights = {"type": "object", "additionalProperties": {"type": "number", "exclusiveMinimum": 0}, "minProperties": 1}
    forms = [WORD, *several, *([weights] if edge.weighted else [])]
    return {"description": _told(edge), **(forms[0] if len(forms) == 1 else {"anyOf": forms})}


def _told(edge: Edge) -> str:
    outside = ", or a folder, a URL or a hub id" if edge.outside else ""
    default = "none" if edge.maybe else "all of them" if edge.many else "the nearest"
    same = "" if edge.anywhere or edge.maybe else ", over the same panoramas"
    return f"Stage before this one that gives {edge.product}{outside}; by default {default}{same}."
