"""The finished labels of a config: every fused block with its receipt, or a refusal that says what is owed."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from configs.pipeline import Config
from configs.settings import ConfigError
from flows.invocation import typed
from flows.plan import Plan, make_plan
from flows.stores.items import same_panoramas
from flows.stores.stored import plan_if_listed
from flows.trials import behind
from storage.about import common_about, refuse_other_arrays
from storage.arrays import BlockReader, arrays_digest, damaged
from storage.items import Block, Item
from storage.receipts import Receipt, damage, read_receipts, withdraw
from storage.records.forgotten import forgotten_names
from storage.rows import ItemRow
from tasks.pipeline import plain_stages
from tasks.stage.kind import Stage, Step

LABELS = "labels"
"""The product that is published, exported and counted."""


class NotFinished(ValueError):
    """Labels are owed, or damaged; the message says which and how to go on."""


@dataclass(frozen=True)
class Finished:
    """Blocks of labels and their receipts, in the order of the manifest; ``owed`` counts the blocks that each stage still owes.

    ``about`` is what all blocks with labels say of them; ``remake`` the command that makes what is owed. ``left_out`` are items
    that are forgotten, or gone from the source; ``kept`` those that are gone, and whose labels stay since somebody asked for it.
    """

    blocks: tuple[tuple[str, Block, Receipt], ...]
    stage: Stage
    plan: Plan
    owed: Mapping[str, int]
    about: Mapping[str, Any] = field(default_factory=dict)
    remake: str = ""
    left_out: frozenset[str] = frozenset()
    kept: tuple[str, ...] = ()

    def of_block(self, block: Block, receipt: Receipt) -> list[tuple[int, Item, ItemRow]]:
        """Slots, items and rows of a block that are not left out."""
        rows = zip(block.items, receipt.items, strict=True)
        return [(slot, item, row) for slot, (item, row) in enumerate(rows) if item.item not in self.left_out]

    def rows(self) -> Iterator[tuple[Item, ItemRow]]:
        """Every panorama with what became of it."""
        for _, block, receipt in self.blocks:
            yield from ((item, row) for _, item, row in self.of_block(block, receipt))

    def arrays(self) -> Iterator[Mapping[str, NDArray] | None]:
        """The stored labels of every panorama, None where it was given up. Each block's bytes are checked before they are read.

        Raises
        ------
        NotFinished
            A block's bytes are not those of its receipt.
        Contradiction
            The labels of a panorama have another form than those before.
        """
        first: Mapping[str, NDArray] | None = None
        for url, block, receipt in self.blocks:
            self.refuse_damaged(url, receipt)
            reader = BlockReader(url, receipt.files) if receipt.files else None
            for slot, item, row in self.of_block(block, receipt):
                if reader is None or row.state != "done":
                    yield None
                    continue
                arrays = reader.item(slot)
                if row.digest and arrays_digest(arrays) != row.digest:  # it was changed since the block was checked
                    raise damaged(url, f"the arrays of {item.item} are not those that were stored", receipt.files)
                first = first if first is not None else arrays
                refuse_other_arrays(first, arrays, item.item)
                yield arrays

    def refuse_damaged(self, url: str, receipt: Receipt) -> None:
        """Raise NotFinished if a block's bytes are not those of its receipt, which is withdrawn then."""
        if problems := damage(url, receipt):
            raise NotFinished(f"{url}: {problems[0]}; {withdraw(url, receipt)}: {self.remake}, then try again")


def finished_labels(
    config: Config,
    allow_incomplete: bool = False,
    need_source: bool = True,
    remake: str | None = None,
    stage: str | None = None,
    keep_removed: bool = False,
) -> Finished:
    """The labels of a config that exist. Without ``need_source`` the manifest is enough where the source cannot be listed.

    Parameters
    ----------
    config : Config
    allow_incomplete : bool
    remake : str, optional
        The command that makes what is owed; that of the config which the command line names if none is given.
    stage : str, optional
        Key of the stage that gives the labels; may be left out where there is only one.
    keep_removed : bool
        Take panoramas too that are in the source no more, if they have labels.

    Raises
    ------
    NotFinished
        A stage owes blocks and ``allow_incomplete`` is false, or there are no labels at all.
    Contradiction
        Blocks say different things of their labels.
    ConfigError
        No stage, or several, give labels, or the named one does not.
    """
    remake = f"`{remake}`" if remake else typed("run")
    plan = make_plan(config, rehash=False) if need_source else plan_if_listed(config)
    step = labels_step(plan, stage)
    wanted = {step.key, *behind(step.stage)}
    owed = {one.stage: one.to_run for one in plan.stages if one.to_run and one.stage in wanted}
    urls = [step.stage.block_url(block.name) for block in step.blocks]
    read = zip(urls, step.blocks, read_receipts(urls), strict=True)
    blocks = tuple((url, block, receipt) for url, block, receipt in read if receipt is not None)
    if len(blocks) < len(urls):  # one may have gone since the plan was made
        owed[step.key] = max(owed.get(step.key, 0), len(urls) - len(blocks))
    if owed and not allow_incomplete:
        told = ", ".join(f"{stage} {count}" for stage, count in owed.items())
        raise NotFinished(
            f"not all labels are finished; owed by stage: {told}. "
            f"Finish them with {remake}, or pass --allow-incomplete to take what is there"
        )
    labelled = {row.item for _, _, receipt in blocks for row in receipt.items if row.state == "done"}
    left, kept = _left_out(plan, step, labelled, keep_removed)
    about = common_about(receipt for _, _, receipt in blocks)
    found = Finished(blocks, step.stage, plan, owed, about, remake, left, kept)
    if not any(row.state == "done" for _, row in found.rows()):
        raise NotFinished(f"no panorama has labels in {config.root}; make them with {remake}")
    return found


def _left_out(plan: Plan, step: Step, labelled: Collection[str], keep_removed: bool) -> tuple[frozenset[str], tuple[str, ...]]:
    """Items with a place that are left out of the labels, and those that are gone and kept: of the ``labelled`` ones those that
    are not forgotten."""
    own = [source for source in plan.sources if same_panoramas(source.stage, step.stage.panoramas)][:1]
    placed = [known.where(known.numbers("block") >= 0) for known in (source.scan.known for source in own)]
    forgotten = {name for known in placed for name in forgotten_names(known)}
    gone = {name for source in own for name in source.scan.absent}.intersection(*(known.names for known in placed)) - forgotten
    kept = gone.intersection(labelled) if keep_removed else set()
    return frozenset(forgotten | gone - kept), tuple(sorted(kept))


def labels_step(plan: Plan, key: str | None) -> Step:
    """The stage that gives labels: the named one, or the only one. ConfigError if there is no such stage, or a choice."""
    return plan.step(_chosen([step.key for step in plan.steps if step.stage.kind.gives == LABELS], key))


def _chosen(giving: Sequence[str], key: str | None, option: str = "--stage") -> str:
    told = ", ".join(giving) or "none"
    if key is not None and key not in giving:
        raise ConfigError(f"{option} {key}: gives no labels; stages that do: {told}")
    if key is None and len(giving) != 1:
        raise ConfigError(f"stages that give labels: {told}; say which one: {option} KEY")
    return key or giving[0]


def labels_stage(config: Config, key: str | None, option: str) -> str:
    """Key of the stage of a config that gives labels, as :func:`labels_step` chooses it; ``option`` is how a user names it."""
    giving = [stage.key for stage in plain_stages(config) if stage.kind.gives == LABELS]
    return _chosen(giving, key, option)


def fingerprints(finished: Finished) -> dict[str, str]:
    """Fingerprints of the labels and of all that they were made of, by the names that stages have in the store."""
    wanted = {finished.stage.key, *behind(finished.stage)}
    return {one.name: one.identity.fingerprint for one in finished.plan.definitions if one.key in wanted}
