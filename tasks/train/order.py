"""The order in which training sees panoramas: a pure function of seed and epoch, so that any step can be returned to."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]


def epoch_order(shards: Sequence[Indices], weights: Sequence[float], seed: int, epoch: int, window: int) -> Indices:
    """Item numbers of one epoch, shuffled, while only few shards are in use at a time.

    The shards are shuffled, and then the items of ``window`` of them at a time. So reads stay near each other in the store.

    Parameters
    ----------
    shards : sequence of int arrays
        Item numbers that lie in one shard of the store.
    weights : sequence of float, one per shard
        How often its items come in an epoch, on average: 2.5 is twice, and in half of the epochs once more.
    seed, epoch : int
    window : int
        Shards whose items are mixed.

    Returns
    -------
    (items,) int64
    """
    generator = np.random.default_rng([seed, epoch])
    times = np.floor(np.asarray(weights) + generator.random(len(shards))).astype(int)
    order = generator.permutation(np.repeat(np.arange(len(shards)), times))
    groups = [order[start : start + window] for start in range(0, len(order), window)]
    parts = [generator.permutation(np.concatenate([shards[shard] for shard in group])) for group in groups]
    return np.concatenate([np.empty(0, np.int64), *parts])


def batch_of(step: int, batch_size: int, rank: int = 0, world: int = 1) -> Indices:
    """Positions in an order that one of ``world`` processes takes at a step; those of all processes together are in a row."""
    start = (step * world + rank) * batch_size
    return np.arange(start, start + batch_size)


def steps_in(order: Indices, batch_size: int, world: int = 1) -> int:
    """Whole steps of an epoch; what is left over waits for the next one's shuffle."""
    return len(order) // (batch_size * world)
