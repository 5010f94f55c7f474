"""What so many panoramas would cost: rates measured in the receipts of this store, times a number of panoramas.

A stage that has no receipts under its present fingerprint has no rate, and stays without figures: other settings, another
teacher or another machine would give others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from configs.pipeline import Config
from configs.settings import ConfigError
from flows.estimates import measured
from flows.running.file_groups import FILES_PER_CHECK
from storage.manifest import blocks_of
from storage.receipts import Receipt, block_url, read_dropped, read_receipt
from storage.urls import children, join
from tasks.ingest import ingest
from tasks.pipeline import steps
from tasks.stage.adopt import ADOPTED
from tasks.stage.kind import Stage

BYTES_PER_TASK_RUN = 19_000
"""What a task run leaves in Prefect's SQLite database, with its states and events."""
SAMPLE = 64
"""Receipts read for a rate; reading all of a large store would take long and change little."""
MEASURE_FIRST = "no receipts under these settings: run on a few panoramas first"


@dataclass(frozen=True)
class Rate:
    """What one panorama takes in a stage: the seconds of one worker, and the bytes stored."""

    seconds: float
    bytes: float
    panoramas: int
    devices: tuple[str, ...]


@dataclass(frozen=True)
class StageCost:
    """One stage over all panoramas; None where nothing was measured, and ``note`` says what to do."""

    stage: str
    task_runs: int
    flow_runs: int
    worker_seconds: float | None = None
    wall_seconds: float | None = None
    gpu_seconds: float | None = None
    bytes: int | None = None
    measured_on: int = 0
    note: str = ""


@dataclass(frozen=True)
class Cost:
    """All stages, and the assumptions behind the figures."""

    panoramas: int
    workers: int
    stages: tuple[StageCost, ...]
    price_per_gpu_hour: float | None

    def total(self, name: str) -> float | None:
        """Sum over the stages that have this figure; None if none has."""
        known = [value for stage in self.stages if (value := getattr(stage, name)) is not None]
        return sum(known) if known else None

    def as_json(self) -> dict[str, Any]:
        """The cost as JSON values; the totals lack the stages ``not_measured``, of which a run measures those ``to_measure``."""
        on_gpus = [stage.gpu_seconds for stage in self.stages]
        # A price that lacks a teacher would be taken for the whole.
        gpu_hours = None if None in on_gpus else sum(seconds or 0.0 for seconds in on_gpus) / 3600
        # The subflows of a run are task runs of their parent too: that is how Prefect links them.
        subflows = sum(stage.flow_runs for stage in self.stages)
        task_runs = sum(stage.task_runs for stage in self.stages) + subflows
        priced = None if gpu_hours is None or self.price_per_gpu_hour is None else gpu_hours * self.price_per_gpu_hour
        return {
            "panoramas": self.panoramas,
            "workers": self.workers,
            "stages": [asdict(stage) for stage in self.stages],
            "total": {
                "worker_seconds": self.total("worker_seconds"),
                "wall_seconds": self.total("wall_seconds"),
                "gpu_hours": gpu_hours,
                "price": priced,
                "bytes": self.total("bytes"),
                "task_runs": task_runs,
                "flow_runs": 1 + subflows,
                "database_bytes": task_runs * BYTES_PER_TASK_RUN,
            },
            "not_measured": [stage.stage for stage in self.stages if stage.worker_seconds is None],
            "to_measure": [stage.stage for stage in self.stages if stage.note == MEASURE_FIRST],
        }


def estimate_cost(config: Config, panoramas: int, workers: int | None = None, price: float | None = None) -> Cost:
    """What labelling so many new panoramas with this config would take.

    Parameters
    ----------
    config : Config
    panoramas : int
    workers : int, optional
        Blocks in work at the same time; those of the config by default.
    price : float, optional
        Of one GPU for an hour, in any currency.

    Raises
    ------
    ConfigError
        ``panoramas`` or ``workers`` is less than one, or the price is negative.
    """
    workers = config.execution.runner.workers if workers is None else workers
    for name, value in (("--panoramas", panoramas), ("--workers", workers)):
        if value < 1:
            raise ConfigError(f"{name} must be at least 1, got {value}")
    if price is not None and not 0 <= price < float("inf"):
        raise ConfigError(f"--price-per-gpu-hour must be a number of at least 0, got {price}")
    known = stages_as_recorded(config)
    costs = [
        _source_cost(stage, panoramas) if stage.is_source else _stage_cost(config, stage, known, panoramas, workers)
        for stage in known
        if stage.owes
    ]
    return Cost(panoramas, workers, tuple(costs), price)


def stages_as_recorded(config: Config) -> list[Stage]:
    """All stages over the panoramas that the store knows: what was made of a whole data set has that in its fingerprint."""
    return [step.stage for step in steps(config, lambda source: blocks_of(ingest.recorded(source).known))]


def measured_rate(root: str, stage: str, fingerprint: str) -> Rate | None:
    """Mean over the panoramas of this stage's blocks, under the present fingerprint; None if there are none."""
    receipts: list[Receipt] = []
    for block in children(join(root, "stages", stage, fingerprint)):
        url = block_url(root, stage, fingerprint, block)
        if receipt := _as_made(root, read_receipt(url) or read_dropped(url)):
            receipts.append(receipt)
        if len(receipts) == SAMPLE:
            break
    return _rate(receipts)


def _as_made(root: str, receipt: Receipt | None) -> Receipt | None:
    """The receipt of the block that was made, where this one is a copy of it."""
    origin = str(receipt.made.get(ADOPTED, "")).split("/") if receipt else []
    if len(origin) != 3:
        return receipt
    url = block_url(root, *origin)
    return read_receipt(url) or read_dropped(url)


def _rate(receipts: Sequence[Receipt]) -> Rate | None:
    receipts = measured(receipts)
    done = sum(row.state == "done" for receipt in receipts for row in receipt.items)
    if not done:
        return None
    seconds = sum(float(receipt.made["seconds"]) for receipt in receipts)
    devices = tuple(sorted({str(receipt.made["device"]) for receipt in receipts}))
    made = done - sum(receipt.copied for receipt in receipts)
    return Rate(seconds / made, sum(receipt.bytes for receipt in receipts) / done, done, devices)


def _source_cost(stage: Stage, panoramas: int) -> StageCost:
    task_runs = -(-panoramas // FILES_PER_CHECK)
    return StageCost(
        stage.key,
        task_runs,
        flow_runs=1,
        gpu_seconds=0.0,
        note="a source writes no receipts; it reads and decodes every file once",
    )


def _stage_cost(config: Config, stage: Stage, known: Sequence[Stage], panoramas: int, workers: int) -> StageCost:
    block_size = stage.panoramas.settings.block_size if stage.panoramas.is_source else panoramas
    blocks = 1 if stage.kind.grain == "all" else -(-panoramas // block_size)
    panoramas = panoramas if stage.kind.grain == "block" else blocks
    flow_runs = -(-blocks // config.execution.blocks_per_flow_run)
    rate, measured_as = measured_rate(stage.root, stage.name, stage.identity.fingerprint), ""
    if rate is None and (like := next((one for one in known if stage.like and one.name == stage.like), None)):
        rate, measured_as = measured_rate(like.root, like.name, like.identity.fingerprint), f"not measured yet; as {like.key}"
    if rate is None:
        return StageCost(stage.key, blocks, flow_runs, note=MEASURE_FIRST)
    # A stage begins when the one before it has ended, so its last blocks may leave workers idle.
    waves = -(-blocks // workers)
    wall = rate.seconds * waves * min(block_size, panoramas)
    dropped = stage.kind.droppable and not config.execution.keep_patch_labels
    gpu_seconds, note = _gpu_seconds(config, stage, rate, panoramas)
    notes = [one for one in (measured_as, note) if one] + ["gc drops these bytes: execution.keep_patch_labels is off"] * dropped
    return StageCost(
        stage.key,
        blocks,
        flow_runs,
        worker_seconds=rate.seconds * panoramas,
        wall_seconds=wall,
        gpu_seconds=gpu_seconds,
        bytes=0 if dropped else round(rate.bytes * panoramas),
        measured_on=rate.panoramas,
        note="; ".join(notes),
    )


def _gpu_seconds(config: Config, stage: Stage, rate: Rate, panoramas: int) -> tuple[float | None, str]:
    """What was measured on a CPU tells nothing of a GPU, which only stages with a network use."""
    if not stage.wants_gpu:
        return 0.0, ""
    if not all(device.startswith("cuda") for device in rate.devices):
        return None, f"measured on {', '.join(rate.devices)}, not on a GPU: no GPU-hours"
    return rate.seconds * panoramas * (config.execution.runner.gpus_per_block or 1.0), ""
