"""From a pipeline's file to the graph of its stages, in order, each with what its output depends on and its blocks."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from configs.pipeline import ALWAYS, NEVER, Config, Entry, Keep, as_entries
from configs.places import is_relative, placed
from configs.reading import PLACES, explain, framed, laid_over, read_settings
from configs.settings import ConfigError
from storage.items import Block, blocks_of
from storage.urls import exists
from tasks.catalogue import kind_named, kind_of_entry, names
from tasks.elsewhere import newest, those_there
from tasks.ingest import ingest
from tasks.migration import refuse_old_form
from tasks.stage.graph import Typed, Weigh, resolve
from tasks.stage.kind import HUB, Edge, Kind, Outside, Part, Stage, Step
from tasks.stage.late import stored
from tasks.stage.models import MODEL
from tasks.stage.plain import Found

FROM = "from"
"""Word of the grammar: a stage of another pipeline, which owes nothing."""
FROM_KEYS = frozenset({"config", "of", "incomplete", "latest", "set"})
KEY = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)?")
BlocksOf = Callable[[Stage], Sequence[Block]]
"""The blocks of a stage that reads a source."""


def load(path: str | Path, overrides: Mapping[str, Any] | None = None) -> Config:
    """Read a pipeline's file, and check what each of its stages says and reads.

    Parameters
    ----------
    path : str or Path
    overrides : mapping, optional
        Dotted keys to values, laid over the file; relative paths among them are those of the working directory.

    Raises
    ------
    ConfigError
        The file cannot be used; every problem is named with its key and the fix.
    """
    return validated(_values(path, overrides), f"config {path}", (str(Path(path).resolve()),))


def load_values(path: str | Path, values: Mapping[str, Any]) -> Config:
    """:func:`load` of a file that is not written yet, from the values that it will have."""
    return validated(laid_over(path, values), f"config {path}", (str(Path(path).resolve()),))


def _values(path: str | Path, overrides: Mapping[str, Any] | None = None) -> dict[str, Any]:
    values = read_settings(path)
    refuse_old_form(path, values)
    return laid_over(path, values, overrides)


def first_source(path: str | Path) -> str:
    """Key of the first stage of a file that reads a source. ConfigError if there is none."""
    found = as_entries(_values(path).get("stages", {}))
    keys = [str(one["key"]) for one in found if one["kind"] in names() and kind_named(one["kind"]).grain == "source"]
    if not keys:
        raise ConfigError(f"config {path}: no stage reads a source")
    return keys[0]


def validated(data: dict[str, Any], what: str = "config", files: tuple[str, ...] = ()) -> Config:
    """Values as a pipeline whose stages were checked; a ConfigError begins with ``what`` they are.

    ``files`` are those that are being read, so that a circle of them is seen.
    """
    config = framed(data, what)
    try:
        config = config.model_copy(update={"stages": tuple(_with_pipeline(config, entry, files) for entry in config.stages)})
        plain_stages(config)
    except ConfigError as error:
        told = str(error)
        raise ConfigError(f"{what}:\n{told}" if "\n" in told else f"{what}: {told.strip()}") from error
    return config


def _with_pipeline(config: Config, entry: Entry, files: tuple[str, ...]) -> Entry:
    """An entry that names another file, with what that says: workers and records need no file."""
    if entry.kind != FROM or "pipeline" in entry.values:
        return entry
    where = f"stages.{entry.key}"
    unknown = sorted(entry.values.keys() - FROM_KEYS)
    if unknown or not {"config", "of"} <= entry.values.keys():
        but = f", not {unknown[0]}" if unknown else ""
        raise ConfigError(f"{where}: takes config and of, and may take incomplete, latest and set{but}")
    for key in ("incomplete", "latest"):
        if not isinstance(entry.values.get(key, False), bool):
            raise ConfigError(f"{where}.{key}: must be true or false")
    path = placed(config.folder, str(entry.values["config"]))
    chain = (*files, str(Path(path).resolve()))
    if chain[-1] in files:
        raise ConfigError(f"{where}.config: files read each other in a circle: {' -> '.join(chain)}; take one `from` out of it")
    data = _values(path, _said_here(config.folder, where, entry.values.get("set", {})))
    other = validated(data, f"{where}: config {path}", chain)
    frame = {"folder": other.folder, "name": other.name, "root": data["root"], "stages": as_list(other.stages)}
    return entry.model_copy(update={"values": {**entry.values, "pipeline": frame}})


def _said_here(folder: str, where: str, said: Any) -> dict[str, Any]:
    """What an entry lays over another file: places in it are seen from the file that says it."""
    if not isinstance(said, Mapping):
        raise ConfigError(f"{where}.set: must be a mapping of dotted keys to values, such as {{fuse.height: 512}}")
    return {
        str(dotted): placed(folder, value) if isinstance(value, str) and str(dotted).rpartition(".")[2] in PLACES else value
        for dotted, value in said.items()
    }


def as_list(stages: Sequence[Entry]) -> list[dict[str, Any]]:
    """Entries as a list of mappings with one key each, with all that they say."""
    return [
        {
            one.key: ({"stage": one.kind} if one.kind != one.key else {})
            | ({"keep": one.keep} if one.keep != ALWAYS else {})
            | dict(one.values)
        }
        for one in stages
    ]


def steps(config: Config, blocks: BlocksOf, weigh: Weigh = "all", found: Found = stored) -> list[Step]:
    """All stages in the order in which they run, each with its blocks; ``blocks`` gives those of a manifest.

    ``weigh`` and ``found`` as for :func:`tasks.stage.graph.resolve`.
    """
    own = {stage.key: tuple(blocks(stage)) for stage in sources(config)}
    return resolve(entries(config, _recorded, weigh), config.root, own, weigh, found)


def stages(config: Config) -> list[Stage]:
    """All stages in the order in which they run, as they are without any panorama."""
    return [step.stage for step in resolve(entries(config), config.root, {})]


def plain_stages(config: Config) -> list[Stage]:
    """All stages, without looking for any weights: who reads whom, and what each says."""
    return [step.stage for step in resolve(entries(config, weigh="none"), config.root, {}, "none")]


def sources(config: Config) -> list[Stage]:
    """The stages that read a source: they run before all others, and give blocks their panoramas."""
    own = [one for one in entries(config) if one.kind.grain == "source" and one.given is None]
    return [step.stage for step in resolve(own, config.root, {})]


def _recorded(stage: Stage) -> Sequence[Block]:
    return blocks_of(ingest.recorded(stage).known)


def entries(config: Config, elsewhere: BlocksOf | None = None, weigh: Weigh = "all") -> list[Typed]:
    """What the stages of a config say, checked by the models of their kinds, and expanded; all problems are told at once.

    ``elsewhere`` gives the blocks of sources of other pipelines; without it no store is looked at. ``weigh`` as for
    :func:`tasks.stage.graph.resolve`.
    """
    typed: list[Typed] = []
    problems: list[str] = []
    for entry in config.stages:
        try:
            if entry.kind == FROM:
                typed.append(_of_other(entry, elsewhere, weigh))
            else:
                own = _typed(entry.key, _kind_of(entry), entry.values, config.folder)
                typed += own if entry.keep == ALWAYS else _kept(own, entry.key, entry.keep)
        except ConfigError as error:
            problems.append(str(error))
    if problems:
        raise ConfigError("\n".join(f"  {line.strip()}" for problem in problems for line in problem.split("\n")))
    for one in typed:
        if one.given is None and one.kind.grain == "source":
            _refuse_memory(config, one)
    return typed


def _kept(typed: Sequence[Typed], key: str, keep: Keep) -> list[Typed]:
    """Stages whose data goes once it is read, or is never stored. ConfigError if what they make must stay, or be stored."""
    if whole := [one.key for one in typed if not may_go(one.kind)]:
        raise ConfigError(f"stages.{key}.keep: what {whole[0]} makes is no labels of single panoramas; take `keep` out")
    if keep == NEVER and (whole := [one.key for one in typed if not one.kind.joins]):
        raise ConfigError(f"stages.{key}.keep: never: {whole[0]} makes whole blocks; write `keep: until_read`")
    return [replace(one, keep=keep) for one in typed]


def may_go(kind: Kind) -> bool:
    """Whether the data of a kind's blocks need not stay: it is of single panoramas, and nothing else rests on it."""
    return kind.grain in ("block", "derived") and kind.gives != MODEL and kind.tells is None


def _kind_of(entry: Entry) -> Kind:
    try:
        return kind_of_entry(entry.kind)
    except ConfigError as error:
        more = "" if entry.kind != entry.key else f"; or say of which kind it is: {entry.key}: {{stage: KIND, ...}}"
        raise ConfigError(f"stages.{entry.key}: {error}{more}") from error


def _typed(key: str, kind: Kind, values: Mapping[str, Any], folder: str) -> list[Typed]:
    """An entry's settings and named inputs; those of its parts if it expands."""
    given = {name: _in_order(value) for name, value in values.items() if name in kind.reads}
    shares = _shares(kind, given)
    said = {name: value for name, value in values.items() if name not in kind.reads}
    said |= {"shares": list(shares.values())} if shares else {}
    try:
        settings = kind.settings.model_validate(said, context={"folder": folder})
    except ValidationError as error:
        called = {f"shares.{number}": name for number, name in enumerate(shares)}
        raise ConfigError(explain(error, kind.settings, f"stages.{key}.", kind.reads, called=called)) from error
    kind = (kind.becomes and kind.becomes(settings)) or kind
    if unread := [name for name in given if name not in kind.reads]:
        raise ConfigError(f"stages.{key}.{unread[0]}: is not read where the settings are these; take it out")
    if kind.expand is not None:
        return [one for part in kind.expand(settings, given) for one in _part(key, part, folder)]
    named = {name: _references(key, name, kind.reads[name], value, folder) for name, value in given.items()}
    return [Typed(key, kind, settings, named)]


def _part(key: str, part: Part, folder: str) -> list[Typed]:
    return _typed(f"{key}.{part.name}" if part.name else key, kind_named(part.kind), {**part.values, **part.named}, folder)


def _shares(kind: Kind, given: Mapping[str, Any]) -> dict[str, Any]:
    """The weights of inputs that are named with one each, ``labels: {fuse: 1.0, indoor: 0.5}``, by their dotted keys."""
    if kind.expand is not None:
        return {}
    named = [(name, value) for name, value in given.items() if kind.reads[name].weighted and isinstance(value, Mapping)]
    return {f"{name}.{stage}": weight for name, value in named[:1] for stage, weight in value.items()}


def _in_order(named: Any) -> Any:
    """Inputs with weights have no order of their own: JSON may sort them."""
    return dict(sorted(named.items(), key=str)) if isinstance(named, Mapping) else named


def _references(key: str, name: str, edge: Edge, value: Any, folder: str) -> tuple[str | Outside, ...]:
    if isinstance(value, Mapping) and not edge.weighted:
        raise ConfigError(f"stages.{key}.{name}: takes no weights; name what is read alone: {name}: {[*value]}")
    words = list(value) if isinstance(value, (list, tuple, Mapping)) else [value]
    if not words or not all(isinstance(word, str) and word for word in words):
        example = "FOLDER, URL or hub id" if edge.outside else "[STAGE, ...]" if edge.many else "STAGE"
        raise ConfigError(f"stages.{key}.{name}: must name what is read: {name}: {example}")
    return tuple(word if KEY.fullmatch(word) else Outside(_outside(word, folder)) for word in words)


def _outside(text: str, folder: str) -> str:
    """Where a model from outside lies: ``owner/name`` is one of the hub, if there is no such folder."""
    place = placed(folder, text)
    hub = is_relative(text) and text.count("/") == 1 and not text.startswith(".") and not exists(place)
    return f"{HUB}{text}" if hub else place


def _of_other(entry: Entry, elsewhere: BlocksOf | None, weigh: Weigh) -> Typed:
    """A stage of another pipeline, with its blocks; its key is that of the entry, which stands before that of its panoramas."""
    frame = dict(entry.values["pipeline"])
    other = framed(frame, f"stages.{entry.key}")
    found = {stage.key: tuple(elsewhere(stage)) for stage in sources(other)} if elsewhere else {}
    made = {step.key: step for step in resolve(entries(other, elsewhere, weigh), other.root, found, weigh)}
    wanted = str(entry.values["of"])
    if wanted not in made:
        nearest = difflib.get_close_matches(wanted, made, n=1)
        hint = f"did you mean {nearest[0]!r}?" if nearest else f"stages are {', '.join(made)}"
        raise ConfigError(f"stages.{entry.key}.of: {entry.values['config']} has no stage {wanted!r}; {hint}")
    step = made[wanted]
    if entry.values.get("latest") and step.stage.kind.gives != MODEL:
        raise ConfigError(f"stages.{entry.key}.latest: is for models; {wanted} gives {step.stage.kind.gives}; take it out")
    if elsewhere and entry.values.get("latest"):
        step = newest(step)
    elif elsewhere and entry.values.get("incomplete"):
        step = those_there(step)
    if not step.stage.keeps_data:
        where = f"stages.{entry.key}: {entry.values['config']}"
        raise ConfigError(f"{where} does not keep what {wanted} makes (`keep: {step.stage.keep}`); take `keep` out there")
    stage = replace(step.stage, key=entry.key, over=_called_below(entry.key, step.stage.over), owes=False)
    return Typed(entry.key, stage.kind, stage.settings, given=Step(stage, step.blocks))


def _called_below(key: str, over: Stage | None) -> Stage | None:
    """The panoramas of another pipeline's stage, and all that they come from, under keys that no stage of this one has."""
    return over and replace(over, key=f"{key}.{over.key}", over=_called_below(key, over.over))


def _refuse_memory(config: Config, one: Typed) -> None:
    source = one.settings.source
    for key, url in (("url", source.url), ("truth", source.truth or "")):
        try:
            config.refuse_memory(f"stages.{one.key}.source.{key}", url)
        except ValueError as error:
            raise ConfigError(str(error)) from error
