"""The order of an epoch: all items, few shards at a time, the same when asked again."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.train.order import batch_of, epoch_order, steps_in


def shards_of(sizes):
    borders = np.cumsum([0, *sizes])
    return [np.arange(start, stop) for start, stop in pairwise(borders)]


layouts = st.lists(st.integers(1, 16), min_size=1, max_size=30)


@given(sizes=layouts, seed=st.integers(0, 1000), epoch=st.integers(0, 1000), window=st.integers(1, 8))
def test_every_item_comes_once_and_only_a_window_of_shards_is_open(sizes, seed, epoch, window):
    shards = shards_of(sizes)
    order = epoch_order(shards, [1.0] * len(shards), seed, epoch, window)
    np.testing.assert_array_equal(np.sort(order), np.arange(sum(sizes)))
    np.testing.assert_array_equal(order, epoch_order(shards, [1.0] * len(shards), seed, epoch, window))
    shard_of = np.repeat(np.arange(len(sizes)), sizes)[order]
    first = {shard: np.flatnonzero(shard_of == shard).min() for shard in set(shard_of)}
    last = {shard: np.flatnonzero(shard_of == shard).max() for shard in set(shard_of)}
    for position in range(len(order)):
        assert sum(first[shard] <= position <= last[shard] for shard in first) <= window


def test_epochs_and_seeds_differ():
    shards = shards_of([16] * 8)
    orders = {tuple(epoch_order(shards, [1.0] * 8, seed, epoch, 4)) for seed in range(3) for epoch in range(3)}
    assert len(orders) == 9


def test_items_of_a_shard_are_mixed_with_others():
    order = epoch_order(shards_of([16] * 8), [1.0] * 8, 0, 0, 4)
    assert len(set(order[:16] // 16)) > 1


def test_weights_say_how_often_items_come_on_average():
    shards, weights = shards_of([4, 4, 4]), [0.25, 1.0, 2.5]
    counts = np.zeros(12)
    for epoch in range(400):
        counts += np.bincount(epoch_order(shards, weights, 7, epoch, 2), minlength=12)
    np.testing.assert_allclose(counts.reshape(3, 4).mean(1) / 400, weights, rtol=0.15)
    assert epoch_order(shards, [0.0, 0.0, 0.0], 0, 0, 2).size == 0


@pytest.mark.parametrize("world", [1, 2, 3])
def test_processes_share_an_epoch_without_overlap(world):
    order = np.arange(25)
    steps = steps_in(order, 4, world)
    taken = np.concatenate([batch_of(step, 4, rank, world) for step in range(steps) for rank in range(world)])
    np.testing.assert_array_equal(taken, np.arange(steps * 4 * world))
    assert 25 - len(taken) < 4 * world
