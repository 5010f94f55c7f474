"""One figure a run: how much of it the networks would have taken by themselves, and where the rest of the time went.

What a network takes by itself is what the quickest panorama of the run took: the same views, batch size and device, and nothing
to wait for.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

from configs.execution import Runner
from flows.running.measures.chips import Chips
from flows.text import duration
from storage.receipts import Receipt
from tasks.stage.joined import JOINED
from tasks.stage.kind import Stage
from tasks.stage.spent import PARTS, SPENT


class Efficiency:
    """What the blocks of a run's networks tell of their time; the workers of ``runner`` make blocks at the same time, on
    ``chips``."""

    def __init__(self, runner: Runner, chips: Chips) -> None:
        self._runner, self._chips = runner, chips
        self._started = time.monotonic()
        self._first: float | None = None
        self._last = self._started
        self._ended: float | None = None
        self._stages: dict[str, dict[str, float]] = {}
        self._devices: set[str] = set()

    def begun(self, stage: Stage) -> None:
        """A block is begun."""
        if stage.wants_gpu and self._first is None:
            self._first = time.monotonic()

    def done(self, stage: Stage, receipt: Receipt) -> None:
        """A block is made; what stands for everything, as a training, is no work on single panoramas."""
        for name, spent in _networks(stage, receipt) if stage.kind.grain != "all" else ():
            known = self._stages.setdefault(name, {**dict.fromkeys((*PARTS, "items"), 0.0), "quickest": spent["quickest"]})
            known |= {part: known[part] + spent[part] for part in (*PARTS, "items")}
            known["quickest"] = min(known["quickest"], spent["quickest"])
            self._devices.add(receipt.made["device"])
            self._last = time.monotonic()

    def end(self) -> None:
        """All is made that can be: from here on the figures stay."""
        self._ended = time.monotonic()

    def as_json(self) -> dict[str, Any] | None:
        """For the record of the run; None if no network ran. ``devices``: GPUs; where there is none, workers. ``chip_use``: share
        of the time that the GPUs of the flow's machine computed."""
        if not self._stages or self._first is None:
            return None
        now = time.monotonic() if self._ended is None else self._ended
        wall = now - self._started
        gpus = sum(one.startswith("cuda") for one in self._devices)
        bare = sum(one["items"] * one["quickest"] for one in self._stages.values())
        stages = {name: {key: round(value, 3) for key, value in one.items()} for name, one in self._stages.items()}
        pools = self._runner.pools  # each of whose workers calls its GPU by the same name
        devices = pools.gpu if pools else gpus or self._runner.workers
        chip_use = {"chip_use": round(self._chips.share, 4)} if gpus and self._chips.share is not None else {}
        return {
            "share": round(bare / (wall * devices), 4),
            "devices": devices,
            "seconds": round(wall, 2),
            "networks_alone": round(bare / devices, 2),
            "before_the_first": round(self._first - self._started, 2),
            "after_the_last": round(now - self._last, 2),
            "stages": stages,
            **chip_use,
        }

    def line(self) -> str | None:
        """The same in words; None if no network ran."""
        told = self.as_json()
        if told is None:
            return None
        blocks = sum(one[part] for one in self._stages.values() for part in PARTS) or 1.0
        waited = {part: sum(one[part] for one in self._stages.values()) / blocks for part in PARTS}
        each = ", ".join(f"{name} {one['quickest']:.3g} s a panorama" for name, one in self._stages.items())
        alone, whole, before, after = (
            duration(told[name]) for name in ("networks_alone", "seconds", "before_the_first", "after_the_last")
        )
        share = f"{told['share']:.0%}"
        chips = f"; the chips computed {told['chip_use']:.0%} of the time" if "chip_use" in told else ""
        return (
            f"efficiency {share}: networks alone would take {alone} of {whole}, {told['devices']} at a time ({each}). "
            f"Their blocks waited {waited['input']:.0%} of their time for input and {waited['output']:.0%} for output; "
            f"{before} before the first, {after} after the last{chips}"
        )


def _networks(stage: Stage, receipt: Receipt) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """What the block of a stage, and those that were made within it, tell of networks."""
    if stage.runs_network and isinstance(spent := receipt.made.get(SPENT), dict):
        yield stage.key, spent
    for name, joined in receipt.made.get(JOINED, {}).items():
        if isinstance(spent := joined.get(SPENT), dict):
            yield name, spent
