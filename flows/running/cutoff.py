"""Which blocks need not be made, because what they read is what an earlier fingerprint of their stage has read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flows.receipts import Receipts
from flows.running.schedule import read_blocks
from storage.accepted import read_accepted
from storage.manifest import Block
from storage.receipts import Receipt, block_url
from storage.urls import children, join
from tasks.stage.adopt import seen_by_readers
from tasks.stage.kind import OVER, Stage, upstream_names


def adoptable(stage: Stage, blocks: Sequence[Block], receipts: Receipts) -> dict[str, str]:
    """Names of blocks that would come out as earlier ones did -> URLs of those.

    Earlier ones are of the same stage, version, settings and weights, under another fingerprint, which differs in stages that
    they read; and every block that they read shows readers just what the block shows that is there now.
    """
    earlier = _earlier(stage, receipts) if blocks else []
    found: dict[str, str] = {}
    for block in blocks:
        for identity in earlier:
            place = (stage.root, stage.name, identity["fingerprint"], block.name)
            if block.name not in found and _reads_alike(stage, block, identity, receipts) and _is_whole(receipts.at(*place)):
                found[block.name] = block_url(*place)
    return found


def _is_whole(receipt: Receipt | None) -> bool:
    """Whether a block is there in which the stage itself gave up nothing: what it did is tried once more."""
    return receipt is not None and all(row.inherited for row in receipt.quarantined)


def _earlier(stage: Stage, receipts: Receipts) -> list[Mapping[str, Any]]:
    """Identities of the stage that are in the store and differ from it in upstream fingerprints alone, or were accepted.

    None is made with what was learned from other panoramas.
    """
    own = stage.identity.as_json()
    accepted = (read_accepted(stage.root, stage.name, own["fingerprint"]) or {}).get("before")
    found = []
    for fingerprint in children(join(stage.root, "stages", stage.name)):
        sample = receipts.sample(stage.root, stage.name, fingerprint, 1) if fingerprint != own["fingerprint"] else []
        for identity in (one.made.get("identity", {}) for one in sample[:1]):
            alike = all(identity.get(key) == own[key] for key in ("version", "settings", "weights"))
            over = identity.get("settings", {}).get(OVER) == own["settings"].get(OVER)
            if (alike or (fingerprint == accepted and over)) and identity.get("upstream", {}).keys() == own["upstream"].keys():
                found.append(identity)
    return found


def _reads_alike(stage: Stage, block: Block, earlier: Mapping[str, Any], receipts: Receipts) -> bool:
    for name, read in upstream_names(stage.inputs).items():
        before = earlier["upstream"].get(name)
        if before == read.identity.fingerprint:
            continue
        if read.is_source or before is None:
            return False
        pairs = [
            (receipts.get(read, own), receipts.at(read.root, read.name, before, own)) for own in read_blocks(stage, block, read)
        ]
        own_pairs = [pair for pair in pairs if pair != (None, None)]  # of several label sets each has some of the blocks
        if not own_pairs or not all(now and then and seen_by_readers(now) == seen_by_readers(then) for now, then in own_pairs):
            return False
    return True
