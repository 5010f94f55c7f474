"""What networks learn from, rendered once of procedural scenes and kept, some scenes a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scenes.processes import in_processes

UNSEEN = 50_000
"""Training scenes have seeds from 0, unseen ones from here."""
SCENES_PER_SHARD = 25
Arrays = Mapping[str, NDArray]


def load_shards(
    render: Callable[[int, int], Arrays], folder: Path, first_seed: int, scenes: int, size: int, processes: int = 2
) -> dict[str, NDArray]:
    """The arrays that ``render(seed, size)`` gives of ``scenes`` scenes from ``first_seed`` on, one scene behind the other.

    Shards that are not in ``folder`` yet are rendered first; ``render`` is a function that another process can import.
    """
    starts = range(first_seed, first_seed + scenes, SCENES_PER_SHARD)
    folder.mkdir(parents=True, exist_ok=True)
    jobs = [(folder, start, min(start + SCENES_PER_SHARD, first_seed + scenes), size) for start in starts]
    shards = [dict(np.load(path)) for path in in_processes(partial(_shard, render), jobs, processes)]
    return {name: np.concatenate([shard[name] for shard in shards]) for name in shards[0]}


def _shard(render: Callable[[int, int], Arrays], folder: Path, start: int, stop: int, size: int) -> Path:
    path = folder / f"{size}-{start:06d}-{stop:06d}.npz"
    if not path.exists():
        parts = [render(seed, size) for seed in range(start, stop)]
        temporary = path.with_suffix(".tmp.npz")
        arrays: dict[str, NDArray] = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        np.savez(temporary, **arrays)  # type: ignore[arg-type]
        temporary.replace(path)
    return path
