"""From the entries of a pipeline to its graph: who reads whom, and what every stage's output depends on, in one pass.

What a stage reads comes from the nearest stage before it that gives that product over the same panoramas, unless the entry names
another.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from configs.pipeline import ALWAYS, Keep
from configs.settings import ConfigError
from storage.fingerprint import Identity
from storage.items import Block
from tasks.stage.grain import of_all, of_block, stands_for
from tasks.stage.kind import HUB, OVER, Edge, Inputs, Kind, Outside, Stage, Step, upstream_names
from tasks.stage.late import stored
from tasks.stage.plain import Found

Given = tuple[Stage | Outside, ...]
Weigh = Literal["all", "here", "none"]
"""Which weights are looked for: ``all``, an error where they are not; those that are ``here``, noting the others; or ``none``."""
NOT_HERE = "not here"
"""Stands for the digest of weights that are not there: whose identity says so can be of no block."""


@dataclass(frozen=True)
class Typed:
    """One stage as the file says it: its key, its kind, its settings, and the inputs that it names.

    ``given`` are stages of another pipeline, ready made, with their blocks.
    """

    key: str
    kind: Kind
    settings: Any
    named: Mapping[str, tuple[str | Outside, ...]] = field(default_factory=dict)
    given: Step | None = None
    keep: Keep = ALWAYS


def resolve(
    entries: Iterable[Typed], root: str, blocks: Mapping[str, Sequence[Block]], weigh: Weigh = "all", found: Found = stored
) -> list[Step]:
    """The stages in order, each with its inputs, its identity and its blocks.

    Parameters
    ----------
    entries : iterable of Typed
    root : str
        The store.
    blocks : mapping
        By the key of a stage that reads a source, the blocks of its manifest.
    weigh : Weigh
        With ``none`` identities are not those of a plan: enough to know who reads whom. With ``here`` a stage says what it lacks.
    found : Found
        The receipts that say what blocks of some stages hold; by default those in the store.

    Raises
    ------
    ConfigError
        A key stands twice, a name is not that of an earlier stage, nothing gives what a stage needs, or inputs are over different
        panoramas; the message names the key and the fix.
    """
    steps: dict[str, Step] = {}
    for entry in entries:
        if entry.key in steps:
            raise ConfigError(f"stages.{entry.key}: stands twice; give each stage its own key")
        steps[entry.key] = entry.given or _resolve(entry, steps, root, blocks, weigh, found)
    _refuse_joined_to_many([step.stage for step in steps.values()])
    return list(steps.values())


def _refuse_joined_to_many(stages: Sequence[Stage]) -> None:
    """Raise ConfigError if what is made within its reader has not just one."""
    for stage in (one for one in stages if one.is_joined and one.owes):
        readers = [one.key for one in stages if any(read.key == stage.key for read in upstream_names(one.inputs).values())]
        if len(readers) != 1:
            who = f"{', '.join(readers)} read it" if readers else "no stage reads it"
            raise ConfigError(
                f"stages.{stage.key}.keep: never: is for what one stage reads, which makes it on the way; {who}; write "
                "`keep: until_read`"
            )


def _resolve(
    entry: Typed, before: Mapping[str, Step], root: str, blocks: Mapping[str, Sequence[Block]], weigh: Weigh, receipts: Found
) -> Step:
    kind = entry.kind
    if kind.grain == "source":
        identity = Identity(kind.stored_name(entry.key), kind.version, dict(kind.says(entry.settings, {})))
        return Step(Stage(entry.key, kind, entry.settings, {}, identity, root), tuple(blocks.get(entry.key, ())))
    named = {name: _named(entry, name, keys, before) for name, keys in entry.named.items()}
    over = _panoramas(entry, named, before)
    inputs: dict[str, Given] = {}
    for name, edge in sorted(kind.reads.items(), key=lambda read: bool(read[1].read_by)):  # these need what others found
        if over is None or edge.when(over):
            found = named[name] if name in named else _nearest(entry, name, edge, over, inputs, before)
            inputs |= {name: found} if found else {}
    inputs = {name: inputs[name] for name in kind.reads if name in inputs}
    like = before.get(kind.like(entry.settings, entry.key))
    weights, lacks = _weighed(entry, inputs, weigh)
    identity = _identity(entry, inputs, before, weights)
    lacks = {key: why for one in upstream_names(inputs).values() for key, why in one.lacks.items()} | lacks
    like_name = like.stage.name if like else ""
    stage = Stage(entry.key, kind, entry.settings, inputs, identity, root, over, True, like_name, lacks, entry.keep)
    if kind.fits is not None:
        kind.fits(stage)
    return Step(stage, _blocks(stage, before, receipts))


def _named(entry: Typed, name: str, keys: Sequence[str | Outside], before: Mapping[str, Step]) -> Given:
    """What an entry names for an input."""
    where, edge = f"stages.{entry.key}.{name}", entry.kind.reads[name]
    found: list[Stage | Outside] = []
    for key in keys:
        found += [key] if isinstance(key, Outside) else _stages_called(where, key, edge, before)
    if len(found) > 1 and not (edge.many or edge.weighted):
        raise ConfigError(f"{where}: takes one stage, got {len(found)}; name one of them")
    if any(isinstance(one, Outside) for one in found) and not edge.outside:
        raise ConfigError(f"{where}: must be the key of a stage; {_hint('', _giving(edge.product, before), edge.product)}")
    return tuple(found)


def _stages_called(where: str, key: str, edge: Edge, before: Mapping[str, Step]) -> list[Stage]:
    """The stage of that key, or all parts of that entry that give the product."""
    own = [step.stage for step in before.values() if step.key == key or step.key.startswith(f"{key}.")]
    fitting = _giving(edge.product, before)
    if not own:
        outside = "; a folder is written ./" + key if edge.outside else ""
        raise ConfigError(f"{where}: no stage before it is called {key!r}; {_hint(key, fitting, edge.product)}{outside}")
    giving = [stage for stage in own if stage.kind.gives == edge.product]
    if not giving:
        raise ConfigError(f"{where}: {key} gives {own[-1].kind.gives}, not {edge.product}; {_hint(key, fitting, edge.product)}")
    return giving if edge.many else giving[-1:]


def _giving(product: str, before: Mapping[str, Step]) -> list[str]:
    return [step.key for step in before.values() if step.stage.kind.gives == product]


def _hint(key: str, fitting: Sequence[str], product: str) -> str:
    nearest = difflib.get_close_matches(key, fitting, n=1)
    if nearest:
        return f"did you mean {nearest[0]!r}?"
    return f"{product} come from {', '.join(fitting)}" if fitting else f"no stage before it gives {product}"


def _same(one: Stage, other: Stage) -> bool:
    """Whether two stages give the same panoramas: of one store, one source and one way of reading it."""
    return one.root == other.root and one.identity == other.identity and one.settings == other.settings


def _panoramas(entry: Typed, named: Mapping[str, Given], before: Mapping[str, Step]) -> Stage | None:
    """The stage whose panoramas this one works on: named, that of a named input, or that of the nearest stage that it needs."""
    bound = [name for name, edge in entry.kind.reads.items() if not edge.anywhere and not edge.maybe and not edge.parts_of]
    overs: list[Stage] = []
    for name in bound:
        for one in named.get(name, ()):
            if isinstance(one, Stage) and not any(_same(one.panoramas, known) for known in overs):
                overs.append(one.panoramas)
    if len(overs) > 1:
        told = ", ".join(one.key for one in overs)
        raise ConfigError(f"stages.{entry.key}: its inputs are over different panoramas ({told}); name inputs over the same ones")
    if overs:
        return overs[0]
    for name in bound:
        giving = _giving(entry.kind.reads[name].product, before)
        if giving:
            return before[giving[-1]].stage.panoramas
    return None


def _nearest(entry: Typed, name: str, edge: Edge, over: Stage | None, inputs: Inputs, before: Mapping[str, Step]) -> Given:
    if edge.read_by:
        return _read_by(inputs.get(edge.read_by, ()), edge.product)
    giving = [before[key].stage for key in _giving(edge.product, before)]
    if edge.parts_of:
        entries = {one.key.partition(".")[0] for one in inputs.get(edge.parts_of, ()) if isinstance(one, Stage)}
        giving = [one for one in giving if one.key.partition(".")[0] in entries]
    here = giving if edge.anywhere or over is None else [one for one in giving if _same(one.panoramas, over)]
    if not here:
        if edge.maybe or edge.parts_of:
            return ()
        elsewhere = f" over the panoramas of {over.key!r}" if over and giving else ""
        outside = " (a stage, a folder, a URL or a hub id)" if edge.outside else ""
        raise ConfigError(
            f"stages.{entry.key}: needs {edge.product}, which no stage before it gives{elsewhere}; put one before it, or name it"
            f"{outside}: {entry.key}: {{{name}: ...}}"
        )
    return tuple(_since_given(here, over, before)) if edge.many else (here[-1],)


def _read_by(readers: Given, product: str) -> Given:
    """The stages that give a product to the readers, each once, in the order of these."""
    read = [one for reader in readers if isinstance(reader, Stage) for one in upstream_names(reader.inputs).values()]
    giving = [one for one in read if one.kind.gives == product]
    return tuple({(one.root, one.name, one.identity.fingerprint): one for one in giving}.values())


def _since_given(here: Sequence[Stage], over: Stage | None, before: Mapping[str, Step]) -> list[Stage]:
    """Those that came since the nearest stage that gave their panoramas: a source that is read twice begins anew."""
    keys = list(before)
    giving = [key for key in keys if before[key].stage.kind.gives == OVER]
    given = [key for key in giving if over is not None and _same(before[key].stage, over)]
    start = keys.index(given[-1]) if given else 0
    since = [one for one in here if keys.index(one.key) > start]
    return since or list(here)


def _blocks(stage: Stage, before: Mapping[str, Step], receipts: Found) -> tuple[Block, ...]:
    """The blocks of a stage: its panoramas' own, one for each of them, or one for all that it reads."""
    kind, inputs, over = stage.kind, stage.inputs, stage.over
    read = [one for found in inputs.values() for one in found if isinstance(one, Stage)]
    if over is not None:
        own = next((step.blocks for step in before.values() if step.stage is over), None) or _of_given(over, before)
    else:
        own = tuple({block.name: block for one in read for block in before[one.key].blocks}.values())
    if kind.grain == "block":
        return own
    if kind.derive is not None:
        return tuple(kind.derive(stage, block, receipts) for block in own)
    names = [name for block in own for name in stands_for(block)]
    if kind.grain == "derived":
        return tuple(of_block(name) for name in names)
    return (of_all(names),) if names or not kind.reads else ()


def _of_given(over: Stage, before: Mapping[str, Step]) -> tuple[Block, ...]:
    """The blocks of panoramas that another pipeline gave, which are those of its stage that is read here."""
    return next((step.blocks for step in before.values() if step.stage.over is over), ())


def _identity(entry: Typed, inputs: Inputs, before: Mapping[str, Step], weights: Mapping[str, str]) -> Identity:
    """What a stage's output depends on.

    What was made of a whole data set holds for that data set: whoever reads it has the name of its block in the fingerprint.
    """
    kind, names = entry.kind, upstream_names(inputs)
    says = dict(kind.says(entry.settings, inputs))
    of_all_read = {name: before[one.key].blocks for name, one in names.items() if one.kind.grain == "all"}
    wholes = {name: blocks[0].name for name, blocks in of_all_read.items() if blocks}
    if wholes:
        says[OVER] = wholes
    upstream = {name: one.identity.fingerprint for name, one in names.items()}
    return Identity(kind.stored_name(entry.key), kind.version, says, weights, upstream)


def _weighed(entry: Typed, inputs: Inputs, weigh: Weigh) -> tuple[dict[str, str], dict[str, str]]:
    """The digests of a stage's weights, and by its key why they are not here, if that is to be noted."""
    first = entry.key.partition(".")[0]
    try:
        found = {} if weigh == "none" else _weights(entry, inputs)
    except ConfigError as error:
        cause = error.__cause__
        is_away = isinstance(cause, OSError) or (cause is not None and isinstance(cause.__cause__, FileNotFoundError))
        if weigh == "here" and is_away:
            return {first: NOT_HERE}, {entry.key: str(cause)}
        raise
    return {name.format(key=first): value for name, value in found.items()}, {}


def _weights(entry: Typed, inputs: Inputs) -> Mapping[str, str]:
    try:
        return entry.kind.weights(entry.settings, inputs)
    except (ValueError, OSError) as error:
        outside = [one.reference for found in inputs.values() for one in found if isinstance(one, Outside)]
        hub = [one for one in outside if one.startswith(HUB)]
        meant = f" ({hub[0][len(HUB) :]} is no folder here, so it was taken for a repository of the hub)" if hub else ""
        raise ConfigError(f"stages.{entry.key}: {error}{meant}") from error
