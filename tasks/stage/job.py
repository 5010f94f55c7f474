"""A job: one block of one stage, and all that is needed to make it, on any worker; and what a stage makes of an item."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from configs.execution import Execution
from storage.credentials import mask_credentials
from storage.fingerprint import Identity
from storage.items import Block, Item
from storage.records.forgotten import is_forgotten
from storage.urls import join
from tasks.stage.code import code_of
from tasks.stage.kind import Stage

Copies = Mapping[int, tuple[str, int]]
"""Slot -> block and slot where the same row lies under the stage's fingerprint."""


class BadItem(ValueError):
    """This item cannot be processed; the message is the reason for its quarantine. The rest of the block goes on.

    Nothing else quarantines: any other exception is a fault of the code, of the config or of the store, and fails the block.
    ``given_up_at`` names the earlier stage that gave the item up, if one did.
    """

    def __init__(self, reason: str, given_up_at: str = "") -> None:
        super().__init__(mask_credentials(reason))
        self.given_up_at = given_up_at


GIVEN_UP_AT = "given_up_at"
"""Figure of an item that an earlier stage gave up before it was one: the name of that."""


def given_up(item: Item) -> BadItem:
    """What whoever works on an item raises that was given up before."""
    return BadItem(item.reason, str(item.figures.get(GIVEN_UP_AT, "")))


@dataclass(frozen=True)
class Job:
    """One block of one stage.

    ``code`` is the digest of the code that planned it; a worker with other code refuses. ``guarded`` asks for a process of its
    own, in which ``journal`` names the file that says which item is in hand, and ``given_up`` the items that must not be tried,
    with the reason. ``copies`` tells where rows lie that need not be made: they are looked at once more before they are copied.
    ``adopts`` is the URL of a finished block that this one will equal, if one is known. ``replaces`` is the run that made the
    block which was there when this one was planned, and is to be replaced: what another run has made since then stands.
    """

    stage: Stage
    block: Block
    run: str
    execution: Execution = field(default_factory=Execution)
    code: str = ""
    guarded: bool = False
    journal: str = ""
    given_up: Mapping[str, str] = field(default_factory=dict)
    copies: Copies = field(default_factory=dict)
    adopts: str = ""
    replaces: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "code", self.code or code_of(self.stage))

    @property
    def identity(self) -> Identity:
        """What the stage's output depends on."""
        return self.stage.identity

    @property
    def settings(self) -> Any:
        """The stage's own settings, of its kind's model."""
        return self.stage.settings

    @property
    def panoramas(self) -> Any:
        """Settings of the stage that gave the panoramas."""
        return self.stage.panoramas.settings

    @property
    def all_copied(self) -> bool:
        """Whether no item has to be made, as far as is known: what makes them need not be loaded."""
        items = enumerate(self.block.items)
        return not self.given_up and all(slot in self.copies or is_forgotten(item) for slot, item in items)

    @property
    def source(self) -> Any:
        """Where the panoramas come from, and their truth: what the stage says that read their files."""
        return self.stage.origin.settings.source

    @property
    def url(self) -> str:
        """Where the block's data and receipt go."""
        return self.stage.block_url(self.block.name)

    @property
    def key(self) -> str:
        """Fingerprint + contents of the block: the key of the cache, of the store and of Prefect."""
        return f"{self.identity.stage}-{self.identity.fingerprint}-{self.block.name}"

    @property
    def checkpoints(self) -> str:
        """Where a stage that trains keeps what it goes on from, until the block has its receipt."""
        return join(self.stage.root, "checkpoints", self.identity.fingerprint, self.block.name)

    def input(self, name: str) -> Stage:
        """The one stage that is read under the name of an input."""
        (found,) = self.stage.stages(name)
        return found

    def url_of(self, read: Stage) -> str:
        """Where the block of a stage lies that this one reads for its own."""
        return read.block_url(self.stage.block_of(read, self.block.name))


@dataclass(frozen=True)
class Output:
    """What a stage makes of one item: values that its ``encode`` turns into arrays for the store, and figures for the receipt.

    ``files`` are the entries of those that it wrote into the block's folder itself (:func:`storage.entries.write_file`).
    """

    values: Any = field(default_factory=dict)
    figures: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
