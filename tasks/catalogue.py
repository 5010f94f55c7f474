"""The kinds of stages there are, by name: one line each. A kind is imported when a pipeline has a stage of it.

Packages add kinds of their own through the entry point ``panolabel.stages``: docs/add-a-stage.md.
"""

from __future__ import annotations

import difflib
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points

from configs.settings import ConfigError
from tasks.stage.kind import Kind

KINDS = {
    "ingest": "tasks.ingest.ingest:KIND",
    "cut": "tasks.video.cut:KIND",
    "frames": "tasks.video.frames:KIND",
    "caption": "tasks.caption.caption:KIND",
    "register": "tasks.video.register:KIND",
    "project": "tasks.label.project:KIND",
    "label": "tasks.label.label:KIND",
    "label.views": "tasks.label.label:VIEWS",
    "label.turned": "tasks.label.label:TURNED_VIEWS",
    "fuse": "tasks.label.fuse:KIND",
    "evaluate": "tasks.evaluate.evaluate:KIND",
    "audit": "tasks.evaluate.audit:KIND",
    "train": "tasks.train.recipe:KIND",
    "train.student": "tasks.train.train:KIND",
    "train.cubemap": "tasks.train.cubemap.train:KIND",
    "train.seamless": "tasks.train.seamless.train:KIND",
    "predict": "tasks.predict.predict:KIND",
    "adapt": "tasks.adapt.recipe:KIND",
    "adapt.predict": "tasks.adapt.predict:KIND",
    "adapt.translate": "tasks.adapt.from_labels:KIND",
    "adapt.scores": "tasks.adapt.scores:KIND",
    "adapt.thresholds": "tasks.adapt.thresholds:KIND",
    "adapt.omni": "tasks.adapt.omni:KIND",
    "adapt.pool": "tasks.adapt.pool:KIND",
    "adapt.learn": "tasks.adapt.adapt:KIND",
    "compare": "tasks.adapt.compare:KIND",
}
"""Names with a dot are parts of entries that expand: no entry says them."""

GROUP = "panolabel.stages"


@cache
def _added() -> dict[str, EntryPoint]:
    """Kinds that other packages add. ConfigError if two packages give one name, or one of ours."""
    found: dict[str, EntryPoint] = {}
    for one in entry_points(group=GROUP):
        other = "panolabel" if one.name in KINDS else _owner(found[one.name]) if one.name in found else ""
        if other and not (one.name in found and found[one.name].value == one.value):
            raise ConfigError(f"the stage {one.name!r} is given by {_owner(one)} and by {other}; uninstall one of them")
        found[one.name] = one
    return found


def _owner(one: EntryPoint) -> str:
    return one.dist.name if one.dist is not None else one.value


def names() -> list[str]:
    """All kinds that an entry of a pipeline may name."""
    return sorted(name for name in {*KINDS, *_added()} if "." not in name)


def kind_of_entry(name: str) -> Kind:
    """:func:`kind_named` for an entry of a pipeline, which may not name the part of another."""
    if name not in names():
        raise _unknown(name)
    return kind_named(name)


@cache
def kind_named(name: str) -> Kind:
    """The kind of that name, imported now.

    Raises
    ------
    ConfigError
        There is none, the message naming the nearest; or a package gives what cannot be imported, or is no kind.
    """
    if name in KINDS:
        module, _, attribute = KINDS[name].partition(":")
        own: Kind = getattr(import_module(module), attribute)
        return own
    if name not in _added():
        raise _unknown(name)
    added = _added()[name]
    where = f"the stage {name!r} of the package {_owner(added)}"
    try:
        kind = added.load()
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"{where}: {added.value} cannot be imported ({error})") from error
    if not isinstance(kind, Kind):
        raise ConfigError(f"{where}: {added.value} is a {type(kind).__name__}, not a {Kind.__module__}.Kind")
    return kind


def _unknown(name: str) -> ConfigError:
    nearest = difflib.get_close_matches(name.partition(".")[0], names(), n=1)
    hint = f"did you mean {nearest[0]!r}?" if nearest else f"kinds are {', '.join(names())}"
    return ConfigError(f"no stage is of the kind {name!r}; {hint}")
