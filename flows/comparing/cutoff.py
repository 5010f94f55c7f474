"""Which blocks need not be made, because what they read is what an earlier fingerprint of their stage has read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

from flows.receipts import Receipts
from storage.items import Block
from storage.receipts import Receipt, block_url, receipt_files
from storage.records.accepted import read_accepted
from storage.urls import children, join
from tasks.stage.grain import read_blocks
from tasks.stage.job import Job
from tasks.stage.kind import OVER, Stage, upstream_names
from tasks.stage.reuse.adopt import seen_by_readers


class Cutoff:
    """The early cut-off of one stage: earlier blocks that those of now would come out as.

    Earlier ones are of the same stage, version, settings and weights, under another fingerprint, which differs in stages that
    they read; and every block that they read shows readers just what the block shows that is there now.
    """

    def __init__(self, stage: Stage, receipts: Receipts) -> None:
        self._stage, self._receipts = stage, receipts

    def told(self, job: Job) -> Job:
        """A job that knows which block its own would come out as; one that is finished and owed all the same, to try items again,
        is made in any case."""
        there = self._receipts.get(self._stage, job.block.name)
        return job if there else replace(job, adopts=self.adoptable(job.block))

    def adoptable(self, block: Block) -> str:
        """URL of an earlier block that a block would come out as; empty if none is known."""
        stage = self._stage
        for identity in self._earlier:
            place = (stage.root, stage.name, identity["fingerprint"], block.name)
            if self._reads_alike(block, identity) and _is_whole(self._receipts.at(*place)):
                return block_url(*place)
        return ""

    def may_adopt(self, blocks: Sequence[Block]) -> bool:
        """Whether an earlier block is there for any of these, whatever it has read."""
        names = {block.name for block in blocks}
        places = ((self._stage.root, self._stage.name, one["fingerprint"]) for one in (self._earlier if names else ()))
        return any(not names.isdisjoint(receipt_files(*place)) for place in places)

    @cached_property
    def _earlier(self) -> list[Mapping[str, Any]]:
        """Identities of the stage that are in the store and differ from it in upstream fingerprints alone, or were accepted.

        None is made with what was learned from other panoramas.
        """
        stage, own = self._stage, self._stage.identity.as_json()
        accepted = (read_accepted(stage.root, stage.name, own["fingerprint"]) or {}).get("before")
        found = []
        for fingerprint in children(join(stage.root, "stages", stage.name)):
            known = self._receipts.sample(stage.root, stage.name, fingerprint, 1) if fingerprint != own["fingerprint"] else []
            for identity in (one.made.get("identity", {}) for one in known):
                alike = all(identity.get(key) == own[key] for key in ("version", "settings", "weights"))
                over = identity.get("settings", {}).get(OVER) == own["settings"].get(OVER)
                alike_in_form = identity.get("upstream", {}).keys() == own["upstream"].keys()
                if (alike or (fingerprint == accepted and over)) and alike_in_form:
                    found.append(identity)
        return found

    def _reads_alike(self, block: Block, earlier: Mapping[str, Any]) -> bool:
        stage, receipts = self._stage, self._receipts
        for name, read in upstream_names(stage.inputs).items():
            before = earlier["upstream"].get(name)
            if before == read.identity.fingerprint:
                continue
            if read.is_source or before is None:
                return False
            names = read_blocks(stage, block, read)
            pairs = [(receipts.get(read, own), receipts.at(read.root, read.name, before, own)) for own in names]
            known = [pair for pair in pairs if pair != (None, None)]  # of several label sets each has some of the blocks
            if not known or not all(now and then and seen_by_readers(now) == seen_by_readers(then) for now, then in known):
                return False
        return True


def _is_whole(receipt: Receipt | None) -> bool:
    """Whether a block is there in which the stage itself gave up nothing: what it did is tried once more."""
    return receipt is not None and all(row.inherited for row in receipt.quarantined)
