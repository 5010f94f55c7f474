"""Which block comes next: each once, none before what it reads, few begun at a time; what fails takes with it all behind it."""

from __future__ import annotations

import random
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.running.schedule import Key, Schedule, Work, parts_of
from storage.fingerprint import Identity
from storage.items import Block, Item
from tasks.stage.kind import Edge, Kind, Nothing, Stage, Step

SOURCE = Stage(
    "ingest", Kind("ingest", "1", Nothing, {}, "panoramas", grain="source"), Nothing(), {}, Identity("ingest", "1"), "/x"
)


def stage(name: str, grain: str = "block", gpu: bool = False) -> Stage:
    kind = Kind(name, "1", Nothing, {"before": Edge("labels")}, "labels", grain=grain, network=gpu)  # type: ignore[arg-type]
    return Stage(name, kind, Nothing(), {}, Identity(name, "1"), "/x", SOURCE)


def block(number: int) -> Block:
    return Block(number, (Item(f"p{number}", f"/{number}.png", f"{number:064x}", 8, 16, 1, ""),))


def works(blocks: int, *names: str, barrier: str = "") -> list[Work]:
    """A chain of stages over some blocks, and behind ``barrier`` a stage for everything."""
    made: list[Work] = []
    before: list[Key] = []
    for order, name in enumerate(names):
        own = stage(name, "all" if name == barrier else "block", gpu=name == "label")
        stretch = int(bool(barrier) and order > names.index(barrier))
        if name == barrier:
            made.append(Work(Step(own, (block(0),)), block(0), order, stretch, frozenset(before)))
            before = [made[-1].key]
            continue
        row = [block(number) for number in range(blocks)]
        for number, one in enumerate(row):
            after = before if len(before) != blocks else [before[number]]
            made.append(Work(Step(own, tuple(row)), one, order, stretch, frozenset(after)))
        before = [work.key for work in made[-blocks:]]
    return made


def carried_out(
    schedule: Schedule, at_once: int, seed: int, fails: frozenset[Key] = frozenset(), window: int = 10**9
) -> list[Work]:
    """Let workers that take any time do what the schedule hands out; returns it in that order."""
    chance, flying, order = random.Random(seed), list[Work](), list[Work]()
    done: set[Key] = set()
    while True:
        while len(flying) < at_once and (work := schedule.next(idle=not flying)):
            assert work.after <= done, "nothing is handed out before what it reads"
            flying.append(work)
            order.append(work)
            links = {one.chain for one in order if one.chain} - _finished(order, flying, schedule)
            assert len(links) <= window
        if not flying:
            return order
        work = flying.pop(chance.randrange(len(flying)))
        if work.key in fails:
            schedule.lose(work)
        else:
            done.add(work.key)
            schedule.done(work)


def _finished(order: list[Work], flying: list[Work], schedule: Schedule) -> set[object]:
    return {work.chain for work in order if work.chain and not schedule.is_begun(work.chain)}


@given(st.integers(1, 8), st.integers(1, 4), st.integers(1, 4), st.integers(0, 99), st.booleans())
def test_each_is_handed_out_once_in_order_and_few_are_begun(
    blocks: int, at_once: int, window: int, seed: int, whole: bool
) -> None:
    all_works = works(blocks, "project", "label", "fuse", "train", "predict", barrier="train" if whole else "")
    order = carried_out(Schedule(all_works, window), at_once, seed, window=window)
    assert sorted(work.key for work in order) == sorted(work.key for work in all_works)


def test_a_block_goes_through_all_stages_before_the_next() -> None:
    order = carried_out(Schedule(works(3, "project", "label", "fuse"), 1), 1, 0)
    assert [(work.block.index, work.order) for work in order] == [(number, stage) for number in range(3) for stage in range(3)]


@given(st.sets(st.integers(0, 14), max_size=4), st.integers(0, 99))
def test_what_fails_takes_with_it_what_reads_it_and_nothing_else(failing: set[int], seed: int) -> None:
    all_works = works(5, "project", "label", "fuse", "train", barrier="train")
    fails = frozenset(all_works[number].key for number in failing)
    schedule = Schedule(all_works, 3)
    order = carried_out(schedule, 2, seed, fails)
    behind = closure({work.key: work.after for work in all_works}, fails)
    handed = {work.key for work in order}
    never = (behind - fails) | {key for key in fails if behind_of(all_works, fails, key)}
    assert handed == {work.key for work in all_works} - never
    assert schedule.lost == behind


def closure(after: Mapping[Key, frozenset[Key]], lost: frozenset[Key]) -> set[Key]:
    """What is lost with some works: they, and all that reads any of it; by repetition until nothing changes."""
    found = set(lost)
    while more := {key for key, read in after.items() if read & found} - found:
        found |= more
    return found


def behind_of(all_works: list[Work], fails: frozenset[Key], key: Key) -> set[Key]:
    """The work itself, if it lies behind another that fails, and so is never handed out."""
    others = fails - {key}
    return {key} & (closure({work.key: work.after for work in all_works}, others) - others)


@pytest.mark.parametrize("most", [4, 6, 100])
def test_large_runs_go_in_parts_of_whole_chains(most: int) -> None:
    all_works = works(5, "project", "label", "train", "predict", barrier="train")
    parts = parts_of(all_works, most)
    assert sorted(work.key for part in parts for work in part) == sorted(work.key for work in all_works)
    if most == 100:
        assert len(parts) == 1
        return
    assert all(len(part) <= most for part in parts)
    for part in parts:
        chains = {work.chain for work in part}
        own = [work for work in all_works if work.chain in chains and work.chain]
        assert chains == {None} or len(own) == len(part), "whole chains"
    position = {work.key: number for number, part in enumerate(parts) for work in part}
    assert all(position[key] <= position[work.key] for work in all_works for key in work.after)


def test_what_was_lost_in_an_earlier_part_stays_lost() -> None:
    all_works = works(2, "project", "label", "fuse")
    first, second = all_works[:2], all_works[2:]
    schedule = Schedule(second, 4, lost={first[0].key})
    assert not schedule.lost - {first[0].key} or {key[1] for key in schedule.lost} == {first[0].block.name}


def test_stages_without_a_network_go_on_while_the_gpu_is_busy() -> None:
    schedule = Schedule(works(3, "project", "label", "fuse"), 9)
    first = schedule.next(idle=True, gpu=True)
    assert first is not None
    schedule.done(first)
    on_gpu = schedule.next(idle=False, gpu=True)
    assert on_gpu is not None
    assert on_gpu.on_gpu
    rest = [schedule.next(idle=False, gpu=False) for _ in range(3)]
    assert [(work.block.index, work.order) for work in rest if work] == [(1, 0), (2, 0)], "blocks are begun, none is labelled"


def test_chains_that_read_each_other_go_in_parts_by_stages() -> None:
    first = works(4, "project", "label")
    last = stage("neighbours")
    row = [work.block for work in first[:4]]
    reading = [  # each block reads the labels of the next one, too
        Work(Step(last, tuple(row)), one, 2, 0, frozenset({first[4 + number].key, first[4 + (number + 1) % 4].key}))
        for number, one in enumerate(row)
    ]
    parts = parts_of([*first, *reading], 5)
    position = {work.key: number for number, part in enumerate(parts) for work in part}
    assert len(position) == 12
    assert all(position[key] <= position[work.key] for part in parts for work in part for key in work.after)
