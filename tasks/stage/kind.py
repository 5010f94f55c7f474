"""What a stage is: all that plan, run, gc, cost, trace, verify and the UI may know of it.

A kind is declared once, beside the functions that make it, and named in one line of tasks/catalogue.py. Its functions stand at
the top of a module, so that a stage travels to workers as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from configs.pipeline import ALWAYS, NEVER, Keep
from configs.settings import Settings
from storage.fingerprint import Identity
from storage.items import Block
from storage.receipts import block_url
from tasks.stage import plain

Grain = Literal["source", "block", "derived", "all"]
"""What one block of a stage is made of: the ``block`` that it reads; files that a ``source`` lists, whose manifest has the
blocks; one new block for each block read (``derived``); or one for everything (``all``), which waits for all of it."""

OVER = plain.PANORAMAS
"""The input that chooses the panoramas; all others must be over the same ones."""

Facts = tuple[str, ...]
"""What a stage reads of an item beyond its pixels: its ``name``, all of its ``metadata``, or one value, ``metadata.position``."""


class Nothing(Settings):
    """Settings of a stage that has none."""


@dataclass(frozen=True)
class Edge:
    """What a stage reads: a ``product``, by default of the nearest stage before it that gives it over the same panoramas.

    ``many``: every stage that gives it over those panoramas. ``maybe``: none is no error. ``outside``: may be named by a folder,
    a URL or a hub id, of what no stage made. ``anywhere``: may be over other panoramas, as a model is. ``parts_of`` names another
    input: only stages of the same entries as that one's are read; ``read_by``: what the stages of that input read of it.
    ``weighted``: may be named with a weight for each stage. ``when`` says of what gave the panoramas whether it is read.
    """

    product: str
    many: bool = False
    maybe: bool = False
    outside: bool = False
    anywhere: bool = False
    parts_of: str = ""
    read_by: str = ""
    weighted: bool = False
    when: Callable[[Stage], bool] = plain.always


@dataclass(frozen=True)
class Part:
    """One of the stages that an entry expands to: what follows the entry's key, the name of its kind, and what it says."""

    name: str
    kind: str
    values: Mapping[str, Any]
    named: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Kind:
    """A kind of stage.

    Parameters
    ----------
    name : str
        Stands in identities and paths, whatever the stage's key; ``{key}`` in it is the key, as in ``label.{key}``.
    version : str
        Of the code; raised when its output can differ.
    settings : type of Settings
    reads : mapping
        Name of each input -> :class:`Edge`. An entry of the YAML may name its inputs under these names.
    gives : str
        The product, such as ``labels``.
    make : str
        ``module:function`` of one block, imported on the worker; empty for a kind that only expands or reads a source.
    joins : str
        ``module:function`` of a job: how its items are made one by one (:class:`tasks.stage.making.Making`), for a kind that may
        be joined to its reader (``keep: never``).
    grain : Grain
    says : function of (settings, inputs)
        What enters the fingerprint; by default all of the settings.
    weights : function of (settings, inputs)
        Name of each set of weights -> digest; ``{key}`` in a name is the key of the entry.
    facts : function of (settings, inputs)
        What it reads of an item beyond pixels and earlier stages, by default name and metadata: rows of alike ones are copied.
    opens : function of (settings, inputs)
        Whether it opens the panoramas' own files, by default if it reads what gives them: a plan counts none that are gone.
    network : bool
        Runs a network, and so wants a GPU, though no weights of it may be known beforehand.
    expand : function of (settings, named inputs)
        The parts of an entry that is several stages.
    becomes : function of settings
        Another kind that an entry is, where what it gives depends on what it says; None for this one.
    derive : function of (stage, block, found)
        Of grain ``derived``: the block that it makes of one that it reads; by default one that stands for it. What hangs on
        receipts, which ``found`` gives, is a :class:`tasks.stage.late.LateBlock`.
    tells : function of (stage, block, found)
        How many things it gives of a block, where these are no items of it, and whether that is more than foreseen; None if not.
    fits : function of a stage
        Raises ConfigError if its settings do not fit what it reads. Reads nothing.
    notes : str
        ``module:function`` of a stage: what its plan should tell, in sentences, such as the licence of its weights.
    outlook : str
        ``module:function`` of (stage, the blocks that it owes): what making them takes outside the machine, in sentences.
    check : str
        ``module:function`` of (stage, its blocks) that may refuse a run before any stage runs, by ConfigError.
    looks : str
        ``module:function`` of a stage: what ``doctor`` should know, as (state, what was seen, advice).
    tries : str
        ``module:function`` of (stage, device): tries the stage on one view, and tells (what, what was seen).
    shows : str
        ``module:function`` of what the stage made (:class:`tasks.stage.made.Made`): tables, pictures and words.
    summary : str
        ``module:function`` of the same: what a run's record says of the stage, as JSON values.
    decode : str
        ``module:function`` of (an item's arrays, ``about``): values in their units, NaN where not valid; by default as stored.
    work : function of inputs
        How much an item takes, in items of the kind in its plainest form.
    like : function of (settings, key)
        Key of a stage that does the same work, where one was likely measured first; empty if there is none.
    """

    name: str
    version: str
    settings: type[Settings]
    reads: Mapping[str, Edge]
    gives: str
    make: str = ""
    joins: str = ""
    grain: Grain = "block"
    says: Callable[[Any, Inputs], Mapping[str, Any]] = plain.all_settings
    weights: Callable[[Any, Inputs], Mapping[str, str]] = plain.no_weights
    facts: Callable[[Any, Inputs], Facts] = plain.all_facts
    opens: Callable[[Any, Inputs], bool] = plain.reads_panoramas
    network: bool = False
    expand: Callable[[Any, Mapping[str, Any]], Sequence[Part]] | None = None
    becomes: Callable[[Any], Kind | None] | None = None
    derive: Callable[[Stage, Block, plain.Found], Block] | None = None
    tells: Callable[[Stage, Block, plain.Found], tuple[int, bool] | None] | None = None
    fits: Callable[[Stage], None] | None = None
    notes: str = ""
    outlook: str = ""
    check: str = ""
    looks: str = ""
    tries: str = ""
    shows: str = ""
    summary: str = ""
    decode: str = ""
    work: Callable[[Inputs], int] = plain.plainest
    like: Callable[[Any, str], str] = plain.like_none

    def stored_name(self, key: str) -> str:
        """The stage's name in identities and paths."""
        return self.name.format(key=key)


HUB = "hf://"
"""What a repository of the hub begins with, as a URL."""


@dataclass(frozen=True)
class Outside:
    """A model that no stage of the file made: a folder, a URL or a hub id."""

    reference: str


@dataclass(frozen=True)
class Stage:
    """A stage of a pipeline, with what it reads; ``over`` is the stage that gave the panoramas that it works on.

    ``root`` is the store of its blocks, and ``keep`` says how long their data stays there. One of another pipeline ``owes``
    nothing. ``like`` names a stage that does the same work. ``lacks`` says, by stage, why weights are not here on which it rests.
    """

    key: str
    kind: Kind
    settings: Any
    inputs: Inputs
    identity: Identity
    root: str
    over: Stage | None = field(default=None, repr=False)
    owes: bool = True
    like: str = ""
    lacks: Mapping[str, str] = field(default_factory=dict, compare=False)
    keep: Keep = field(default=ALWAYS, compare=False)

    @property
    def name(self) -> str:
        """Its name in identities and paths, such as ``project`` or ``label.geometry``."""
        return self.identity.stage

    @property
    def panoramas(self) -> Stage:
        """The stage that gave the panoramas; itself if it did."""
        return self if self.over is None or self.kind.gives == OVER else self.over

    @property
    def origin(self) -> Stage:
        """The stage that read the source of the panoramas: it gave them, or what they were taken from."""
        return self if self.over is None else self.over.origin

    @property
    def is_source(self) -> bool:
        """Whether it reads a source, and no other stage."""
        return self.kind.grain == "source"

    @property
    def keeps_data(self) -> bool:
        """Whether the data of its blocks stays in the store."""
        return self.keep == ALWAYS

    @property
    def is_joined(self) -> bool:
        """Whether the one stage that reads it makes its items, and none of them is stored."""
        return self.keep == NEVER

    @property
    def runs_network(self) -> bool:
        """Whether it runs a network itself."""
        return self.kind.network or bool(self.identity.weights)

    @property
    def wants_gpu(self) -> bool:
        """Whether a block of it runs a network, its own or that of a stage that is joined to it."""
        return self.runs_network or any(one.is_joined and one.wants_gpu for one in upstream_names(self.inputs).values())

    @property
    def work(self) -> int:
        """How much an item takes, in items of the kind in its plainest form."""
        return self.kind.work(self.inputs)

    @property
    def make(self) -> Callable[..., Any]:
        """The function of one block."""
        return plain.named_function(self.kind.make)

    def stages(self, name: str) -> list[Stage]:
        """The stages that it reads under the name of an input; none where nothing is read."""
        return stages_of(self.inputs, name)

    def reads(self, other: Stage) -> bool:
        """Whether it reads that stage."""
        return any(one.identity == other.identity and one.root == other.root for one in upstream_names(self.inputs).values())

    def block_url(self, block: str) -> str:
        """Where a block of it lies."""
        return block_url(self.root, self.name, self.identity.fingerprint, block)

    def block_of(self, read: Stage, own: str) -> str:
        """Name of the block of a stage that it reads for its block ``own``: that of the same panoramas, or the one of all."""
        wholes: Mapping[str, str] = self.identity.settings.get(OVER, {})
        names = {name for name, one in upstream_names(self.inputs).items() if one.key == read.key}
        return next((wholes[name] for name in names if name in wholes), own)


Inputs = Mapping[str, tuple[Stage | Outside, ...]]
"""Name of each input -> what is read under it."""


@dataclass(frozen=True)
class Step:
    """A stage and its blocks: those of the manifest, or others that stand for them (tasks/stage/grain.py)."""

    stage: Stage
    blocks: tuple[Block, ...]

    @property
    def key(self) -> str:
        """What the file calls the stage."""
        return self.stage.key


def stages_of(inputs: Inputs, name: str) -> list[Stage]:
    """The stages among what is read under a name; none where nothing is."""
    return [one for one in inputs.get(name, ()) if isinstance(one, Stage)]


def upstream_names(inputs: Inputs) -> dict[str, Stage]:
    """All stages that are read, by their names in identities; a second one of a name has its key beside it."""
    named: dict[str, Stage] = {}
    for one in (one for found in inputs.values() for one in found if isinstance(one, Stage)):
        taken = one.name in named and named[one.name].identity != one.identity
        named[f"{one.name} ({one.key})" if taken else one.name] = one
    return named


def stages_read(stage: Stage) -> list[Stage]:
    """The stages whose blocks a stage reads: those that it names, and what stages read that are joined to it."""
    found: dict[str, Stage] = {}
    for one in upstream_names(stage.inputs).values():
        found |= {more.key: more for more in (one, *(stages_read(one) if one.is_joined else ()))}
    return list(found.values())
