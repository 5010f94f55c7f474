"""Which block of which stage a run makes next: a block goes through all that can be made of it before others are begun."""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from flows.plan import Plan
from storage.items import Block
from tasks.stage.grain import read_blocks, waits_for_all
from tasks.stage.kind import Stage, Step, stages_read

Key = tuple[str, str]
"""Fingerprint of a stage, and name of a block of it."""
Chain = tuple[str, str, int]
"""Panoramas by their stage's fingerprint, name of a block of them, and number of a stretch: what goes through stages together."""


@dataclass(frozen=True)
class Work:
    """A block that a run makes; ``after`` are those that it reads and that the same run makes.

    ``order`` is the number of its stage. Stages between two that stand for everything are a ``stretch``.
    """

    step: Step
    block: Block
    order: int
    stretch: int
    after: frozenset[Key] = field(repr=False)
    guarded: bool = False

    @property
    def key(self) -> Key:
        """What others wait for."""
        return self.step.stage.identity.fingerprint, self.block.name

    @property
    def on_gpu(self) -> bool:
        """Whether it runs a network."""
        return self.step.stage.wants_gpu

    @property
    def chain(self) -> Chain | None:
        """What it is one link of; None where its block stands for everything."""
        stage = self.step.stage
        return None if stage.kind.grain == "all" else (stage.panoramas.identity.fingerprint, self.block.name, self.stretch)


def works_of(plan: Plan, only: Mapping[str, Sequence[str]] | None = None, whole: bool = True) -> list[Work]:
    """All that a plan makes, in the order of its stages; of ``only`` these blocks, by stage, if it is given.

    Unless all panoramas are read (``whole``), nothing of stages that wait for all of them.
    """
    works: list[Work] = []
    stretches: dict[str, int] = {}
    there = {step.stage.identity.fingerprint: {block.name for block in step.blocks} for step in plan.steps}
    made: dict[str, set[str]] = defaultdict(set)  # by fingerprint, names of the blocks that are made
    for order, step in enumerate(plan.chosen):
        stage = step.stage
        if not whole and waits_for_all(stage):
            continue
        read = stages_read(stage)
        stretches[step.key] = max((stretches.get(one.key, 0) + (one.kind.grain == "all") for one in read), default=0)
        wanted = None if only is None else set(only.get(step.key, ()))
        blocks = [block for block in plan.owed_blocks(step) if wanted is None or block.name in wanted]
        for block in blocks:
            after = frozenset(key for one in read for key in _made_of(one, read_blocks(stage, block, one), there, made))
            works.append(Work(step, block, order, stretches[step.key], after))
        made[stage.identity.fingerprint] |= {block.name for block in blocks}
    return works


def _made_of(
    read: Stage, names: Sequence[str], there: Mapping[str, Collection[str]], made: Mapping[str, Collection[str]]
) -> Iterator[Key]:
    """Of the blocks of a stage that are read those that the run makes: all, where it has none of these names."""
    fingerprint = read.identity.fingerprint
    known = set(names).intersection(there.get(fingerprint, ()))
    return ((fingerprint, name) for name in made.get(fingerprint, ()) if not known or name in known)


def parts_of(works: Sequence[Work], most: int) -> list[list[Work]]:
    """Works in parts that are made one after the other: one if there are at most ``most``, else whole chains together.

    Chains that read each other go in parts by stages. What stands for everything makes a part of its own, after all chains of its
    stretch.
    """
    if len(works) <= most:
        return [list(works)] if works else []
    parts: list[list[Work]] = []
    for stretch in sorted({work.stretch for work in works}):
        own = [work for work in works if work.stretch == stretch]
        parts += _of_chains([work for work in own if work.chain is not None], most)
        parts += [[work] for work in own if work.chain is None]
    return parts


def _of_chains(works: Sequence[Work], most: int) -> list[list[Work]]:
    chain_of = {work.key: work.chain for work in works}
    if any(chain_of.get(key, work.chain) != work.chain for work in works for key in work.after):  # they read each other
        return [list(works[start : start + most]) for start in range(0, len(works), most)]
    chains: dict[Chain | None, list[Work]] = defaultdict(list)
    for work in works:
        chains[work.chain].append(work)
    parts: list[list[Work]] = []
    for chain in chains.values():
        if not parts or len(parts[-1]) + len(chain) > most:
            parts.append([])
        parts[-1] += chain
    return parts


class Schedule:
    """The works of one part, handed out as what they read is there, the last stage first.

    Parameters
    ----------
    works : sequence of Work
    window : int
        Chains that are begun and not finished, at most: of so many there is at a time what lies between two stages.
    lost : collection of Key
        Blocks that could not be made earlier: what reads them is lost, too.
    """

    def __init__(self, works: Sequence[Work], window: int, lost: Collection[Key] = ()) -> None:
        self.lost: set[Key] = set(lost)
        self._window = window
        self._numbers = {work.key: number for number, work in enumerate(works)}
        self._waits = {work.key: set(work.after & self._numbers.keys()) for work in works}
        self._readers: dict[Key, list[Work]] = defaultdict(list)
        self._links = Counter(work.chain for work in works if work.chain)
        self._begun: set[Chain] = set()
        self._ready: dict[bool, list[tuple[int, int, Work]]] = {False: [], True: []}
        self._held: dict[Chain, list[Work]] = {}
        for work in works:
            for key in self._waits[work.key]:
                self._readers[key].append(work)
        for work in works:
            if not work.after.isdisjoint(self.lost):
                self.lose(work)
        for work in works:
            if work.key not in self.lost and not self._waits[work.key]:
                self.offer(work)

    def next(self, idle: bool, gpu: bool = True) -> Work | None:
        """The work to begin now; None while there is none.

        If nothing is in hand (``idle``) the window holds up nothing. Without a free ``gpu`` it is one that runs no network.
        """
        while not self._fitting(gpu) and self._held and (idle or len(self._begun) < self._window):
            chain = next(iter(self._held))
            self._begun.add(chain)
            for work in self._held.pop(chain):
                self.offer(work)
        fitting = self._fitting(gpu)
        return heapq.heappop(min(fitting, key=lambda heap: heap[0][:2]))[2] if fitting else None

    def _fitting(self, gpu: bool) -> list[list[tuple[int, int, Work]]]:
        return [heap for network, heap in self._ready.items() if heap and (gpu or not network)]

    def is_begun(self, chain: Chain) -> bool:
        """Whether a chain is begun and not finished."""
        return chain in self._begun

    def offer(self, work: Work) -> None:
        """Let a work be handed out, for the first time or once more: what it reads is there."""
        if work.chain is None or work.chain in self._begun:
            heapq.heappush(self._ready[work.on_gpu], (-work.order, self._numbers[work.key], work))
        else:
            self._held.setdefault(work.chain, []).append(work)

    def done(self, work: Work) -> None:
        """A work is finished: those that waited for nothing else may begin."""
        self._leave(work)
        for reader in self._readers.pop(work.key, ()):
            waits = self._waits[reader.key]
            waits.discard(work.key)
            if not waits and reader.key not in self.lost:
                self.offer(reader)

    def lose(self, work: Work) -> list[Work]:
        """A work cannot be made; returns those that are lost with it, which read it, or read what does."""
        with_it: list[Work] = []
        doomed = [work]
        while doomed:
            one = doomed.pop()
            if one.key in self.lost:
                continue
            self.lost.add(one.key)
            self._leave(one)
            with_it += [one] if one is not work else []
            doomed += self._readers.pop(one.key, ())
        return with_it

    def _leave(self, work: Work) -> None:
        """Note that a link of a chain is over; with its last, another chain may begin."""
        if work.chain is None:
            return
        self._links[work.chain] -= 1
        if not self._links[work.chain]:
            self._begun.discard(work.chain)
