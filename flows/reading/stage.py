"""What one stage made, at one of its versions: a mapping from the names of panoramas to their labels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from configs.settings import ConfigError
from flows.invocation import typed
from flows.reading.absent import NotThere, nearest_of
from flows.reading.labels import Labels
from flows.reading.notebook import table_html
from flows.reading.origin import Origin, recorded_origin
from flows.reading.row import StoredRow
from flows.reading.versions import Version, versions_of
from flows.stores.finished import LABELS, NotFinished
from storage.receipts import Receipt, block_url, existing_receipts
from tasks.earlier import product

Place = tuple[str, Receipt, int]
"""URL and receipt of a block, and a slot in it."""


@dataclass(frozen=True, eq=False)
class StoredStage(Mapping[str, Labels]):
    """What a stage made: a mapping from the names of panoramas that were not given up to their :class:`Labels`.

    Attributes
    ----------
    key : what the pipeline's file calls it; its name in the store where there is no file
    name : its name in the store
    root : URL of the store
    fingerprint : the version that is read
    gives : what it makes, such as ``labels`` or ``views``; empty if that is not known
    origin : the pipeline and stage that this version is of, where the store was opened by a file and it is current
    """

    key: str
    name: str
    root: str
    fingerprint: str
    gives: str
    origin: Origin | None = None

    @property
    def versions(self) -> list[Version]:
        """All versions that the store holds, the newest first; ``current`` is that of the file it was opened with."""
        current = self.origin.step.stage.identity.fingerprint if self.origin else ""
        return versions_of(self.root, self.name, current)

    def version(self, fingerprint: str) -> StoredStage:
        """The same stage at another version, by the beginning of its fingerprint.

        Raises
        ------
        NotThere
            No version, or several, begin so.
        """
        known = [one.fingerprint for one in self.versions]
        found = [one for one in known if one.startswith(fingerprint)]
        if len(found) != 1:
            told = f"several begin so: {', '.join(found)}" if found else nearest_of(fingerprint, known)
            raise NotThere(f"{self.key} has no version {fingerprint!r} in {self.root}; {told}")
        return replace(self, fingerprint=found[0])

    @property
    def current(self) -> bool:
        """Whether this is the version that the file which the store was opened with says now."""
        return self.origin is not None and self.origin.step.stage.identity.fingerprint == self.fingerprint

    @cached_property
    def receipts(self) -> list[tuple[str, Receipt]]:
        """URL and receipt of every block, the oldest first. Of the current version only blocks of panoramas as they are now."""
        if self.origin is not None and self.current:
            stage, found = self.origin.step.stage, self.origin.plan.receipts.of(self.origin.step)
            known = [(stage.block_url(block.name), receipt) for block, receipt in found]
        else:
            made = existing_receipts(self.root, self.name, self.fingerprint)
            known = [(block_url(self.root, self.name, self.fingerprint, block), receipt) for block, receipt in made.items()]
        return sorted(known, key=lambda one: one[1].made.get("started", 0))

    @cached_property
    def _places(self) -> dict[str, Place]:
        """Of every panorama its place in the newest block that has it."""
        return {row.item: (url, receipt, slot) for url, receipt in self.receipts for slot, row in enumerate(receipt.items)}

    @property
    def given_up(self) -> dict[str, str]:
        """Panoramas that were given up here or before -> why."""
        rows = {item: receipt.items[slot] for item, (_, receipt, slot) in self._places.items()}
        return {item: row.reason for item, row in rows.items() if row.state != "done"}

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(item for item, (_, receipt, slot) in self._places.items() if receipt.items[slot].state == "done"))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __getitem__(self, item: str) -> Labels:
        """The labels of a panorama.

        Raises
        ------
        NotThere
            There is none of this name, or it was given up; a KeyError.
        NotFinished
            Nothing was made yet; the message says what to run.
        ConfigError
            The stage gives something else than labels.
        """
        if self.gives != LABELS:
            raise ConfigError(f"stage {self.key} gives {self.gives or 'something else'}, not labels; choose one that does")
        if not self._places:
            raise NotFinished(f"no panorama has labels of {self.key} {self.fingerprint} in {self.root}{self._what_to_do()}")
        if item not in self._places:
            raise NotThere(f"item {item!r} has no labels of {self.key} {self.fingerprint}; {self._why_not(item)}")
        url, receipt, slot = self._places[item]
        if receipt.items[slot].state != "done":
            raise NotThere(f"item {item!r} has no labels of {self.key}; it was quarantined: {receipt.items[slot].reason}")
        return Labels(StoredRow(item, self.key, self.root, url, receipt, slot, self._origin))

    def _origin(self) -> Origin:
        if self.origin is not None and self.current:
            return self.origin
        return recorded_origin(self.root, self.name, self.fingerprint)

    def _what_to_do(self) -> str:
        older = [one.fingerprint for one in self.versions]
        others = f"; there is version {', '.join(older)}: store.stage({self.key!r}).version({older[0]!r})" if older else ""
        return f"; make them with {typed('run')}{others}"

    def _why_not(self, item: str) -> str:
        known = self.origin.plan.items if self.origin else []
        reason = next((one.reason for one in known if one.item == item and one.reason), "")
        return f"it was quarantined as it was read: {reason}" if reason else nearest_of(item, list(self))

    def __repr__(self) -> str:
        made = f"{len(self)} panoramas" if self.gives == LABELS else f"{len(self._places)} rows"
        return f"StoredStage({self.key!r}, version={self.fingerprint!r}, gives={self.gives!r}, {made})"

    def _repr_html_(self) -> str:
        rows = [(one.fingerprint, f"{one.made:%Y-%m-%d %H:%M}", one.blocks, "current" * one.current) for one in self.versions]
        return table_html(repr(self), ("version", "made", "blocks", ""), rows)


def gives_of(stage: str, receipt: Receipt | None) -> str:
    """What a stage gives by one of its receipts; empty if it has none."""
    return product(stage, receipt.made) if receipt else ""
