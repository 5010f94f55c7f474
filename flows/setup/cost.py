"""What so many panoramas would cost: rates measured in the receipts of this store, times a number of panoramas.

A stage that has no receipts under its present fingerprint has no rate, and stays without figures: other settings, another
teacher or another machine would give others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from configs.pipeline import ALWAYS, NEVER, UNTIL_READ, Config
from configs.settings import ConfigError
from configs.trial import WHOLE, Trial
from flows.comparing.estimates import measured
from flows.running.files.groups import FILES_PER_CHECK
from flows.sources import Source
from flows.trials import narrowed
from storage.receipts import Receipt, block_url, read_dropped, read_receipt, receipt_files
from storage.urls import children, join
from tasks.ingest import ingest
from tasks.pipeline import sources, steps
from tasks.stage.kind import OVER, Stage, upstream_names
from tasks.stage.reuse.adopt import ADOPTED

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
    worker_seconds: float | None = None
    wall_seconds: float | None = None
    gpu_seconds: float | None = None
    bytes: int | None = None
    measured_on: int = 0
    note: str = ""
    kept: Mapping[str, int] = field(default_factory=dict)
    """Bytes at a time by what ``keep`` may say, for a stage whose data may go."""


@dataclass(frozen=True)
class Cost:
    """All stages, and the assumptions behind the figures."""

    panoramas: int
    workers: int
    stages: tuple[StageCost, ...]
    price_per_gpu_hour: float | None
    task_runs_per_flow_run: int

    def total(self, name: str) -> float | None:
        """Sum over the stages that have this figure; None if none has."""
        known = [value for stage in self.stages if (value := getattr(stage, name)) is not None]
        return sum(known) if known else None

    @property
    def store(self) -> Mapping[str, int]:
        """Bytes in the store at most, by what ``keep`` of all stages might say whose data may go; empty if there is none."""
        rest = sum(stage.bytes or 0 for stage in self.stages if not stage.kept)
        modes = next((stage.kept for stage in self.stages if stage.kept), {})
        return {mode: rest + sum(stage.kept[mode] for stage in self.stages if stage.kept) for mode in modes}

    def as_json(self) -> dict[str, Any]:
        """The cost as JSON values; the totals lack the stages ``not_measured``, of which a run measures those ``to_measure``."""
        on_gpus = [stage.gpu_seconds for stage in self.stages]
        # A price that lacks a teacher would be taken for the whole.
        gpu_hours = None if None in on_gpus else sum(seconds or 0.0 for seconds in on_gpus) / 3600
        # The parts of a large run are task runs of their parent too: that is how Prefect links them.
        task_runs = sum(stage.task_runs for stage in self.stages)
        parts = -(-task_runs // self.task_runs_per_flow_run) if task_runs > self.task_runs_per_flow_run else 0
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
                "task_runs": task_runs + parts,
                "flow_runs": 1 + parts,
                "database_bytes": (task_runs + parts) * BYTES_PER_TASK_RUN,
            },
            "store": self.store,
            "not_measured": [stage.stage for stage in self.stages if stage.worker_seconds is None],
            "to_measure": [stage.stage for stage in self.stages if stage.note == MEASURE_FIRST],
        }


def estimate_cost(
    config: Config,
    panoramas: int | None = None,
    workers: int | None = None,
    price: float | None = None,
    trial: Trial = WHOLE,
) -> Cost:
    """What labelling so many new panoramas with this config would take.

    Parameters
    ----------
    config : Config
    panoramas : int, optional
        Those that the trial takes if none is given.
    workers : int, optional
        Blocks in work at the same time; those of the config by default.
    price : float, optional
        Of one GPU for an hour, in any currency.
    trial : Trial
        What it is cut down to.

    Raises
    ------
    ConfigError
        ``panoramas`` is not given and the trial takes all, or ``panoramas`` or ``workers`` is less than one, or the price is
        negative.
    """
    workers = config.execution.runner.workers if workers is None else workers
    _refuse_figures(panoramas, workers, price, trial)
    part = narrowed(trial, config, sources(config), ingest.scan if trial.chooses else ingest.recorded)
    known = stages_over(config, part.sources)
    taken = {source.key: len(source.then) for source in part.sources}
    costs = []
    for stage in (one for one in known if one.owes and one.key in part.reach.makes):
        count = taken.get(stage.panoramas.key, sum(taken.values())) if panoramas is None else panoramas
        costs.append(_source_cost(stage, count) if stage.is_source else _stage_cost(config, stage, known, count, workers))
    wanted = sum(taken.values()) if panoramas is None else panoramas
    return Cost(wanted, workers, tuple(costs), price, config.execution.task_runs_per_flow_run)


def _refuse_figures(panoramas: int | None, workers: int, price: float | None, trial: Trial) -> None:
    if panoramas is None and not trial.chooses:
        raise ConfigError("--panoramas: say how many are to be labelled, or choose some of the source: --limit 10")
    for name, value in (("--panoramas", panoramas), ("--workers", workers)):
        if value is not None and value < 1:
            raise ConfigError(f"{name} must be at least 1, got {value}")
    if price is not None and not 0 <= price < float("inf"):
        raise ConfigError(f"--price-per-gpu-hour must be a number of at least 0, got {price}")


def stages_over(config: Config, found: Sequence[Source]) -> list[Stage]:
    """All stages over the panoramas of sources: what was made of a whole data set has that in its fingerprint."""
    blocks = {source.key: source.ahead for source in found}
    return [step.stage for step in steps(config, lambda source: blocks[source.key])]


def rate_of(stage: Stage) -> tuple[Rate | None, str]:
    """The rate of a stage under its present fingerprint, else as measured with, say, a trial's model, and a note of that."""
    own = measured_rate(stage.root, stage.name, stage.identity.fingerprint)
    if own is not None or not _rests_on_all(stage):
        return own, ""
    for fingerprint in children(join(stage.root, "stages", stage.name)):
        blocks = receipt_files(stage.root, stage.name, fingerprint)[:1]
        receipt = read_receipt(block_url(stage.root, stage.name, fingerprint, blocks[0])) if blocks else None
        if receipt and _says_the_same(receipt.made.get("identity", {}), stage.identity.as_json()):
            return measured_rate(stage.root, stage.name, fingerprint), "measured with what was learned from other panoramas"
    return None, ""


def _rests_on_all(stage: Stage) -> bool:
    """Whether it is made of something that was made of a whole data set, and has another fingerprint for each."""
    return any(read.kind.grain == "all" or _rests_on_all(read) for read in upstream_names(stage.inputs).values())


def _says_the_same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two identities differ in nothing but the data that they rest on."""
    return all(
        {**one.get(part, {}), OVER: ""} == {**other[part], OVER: ""} if part == "settings" else one.get(part) == other[part]
        for part in ("stage", "version", "settings", "weights")
    )


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
    done = sum(receipt.done for receipt in receipts)
    if not done:
        return None
    seconds = sum(float(receipt.made["seconds"]) for receipt in receipts)
    devices = tuple(sorted({str(receipt.made["device"]) for receipt in receipts}))
    made = done - sum(receipt.copied for receipt in receipts)
    return Rate(seconds / made, sum(receipt.bytes for receipt in receipts) / done, done, devices)


def _source_cost(stage: Stage, panoramas: int) -> StageCost:
    task_runs = -(-panoramas // FILES_PER_CHECK) + 1
    return StageCost(
        stage.key,
        task_runs,
        gpu_seconds=0.0,
        note="a source writes no receipts; it reads and decodes every file once",
    )


def _stage_cost(config: Config, stage: Stage, known: Sequence[Stage], panoramas: int, workers: int) -> StageCost:
    block_size = stage.panoramas.settings.block_size if stage.panoramas.is_source else panoramas
    blocks = 1 if stage.kind.grain == "all" else -(-panoramas // block_size)
    panoramas = panoramas if stage.kind.grain == "block" else blocks
    rate, measured_as = rate_of(stage)
    if rate is None and (like := next((one for one in known if stage.like and one.name == stage.like), None)):
        rate, measured_as = rate_of(like)[0], f"not measured yet; as {like.key}"
    window = min(panoramas, config.execution.runner.most_begun * block_size)
    kept = _kept(rate, panoramas, window) if rate and stage.kind.joins else {}
    if stage.is_joined:
        told = "keep: never, so its time is that of the stage that reads it, once that was measured with it"
        return StageCost(stage.key, 0, worker_seconds=0.0, wall_seconds=0.0, gpu_seconds=0.0, bytes=0, note=told, kept=kept)
    if rate is None:
        return StageCost(stage.key, blocks, note=MEASURE_FIRST)
    # A block goes through all stages before the next, so workers wait for each other only at the end.
    wall = rate.seconds * panoramas / min(blocks, _workers_of(config, stage, workers))
    at_once = panoramas if stage.keeps_data else window
    gpu_seconds, note = _gpu_seconds(config, stage, rate, panoramas)
    notes = [one for one in (measured_as, note) if one] + ["keep: until_read, so these bytes at a time"] * (not stage.keeps_data)
    return StageCost(
        stage.key,
        blocks,
        worker_seconds=rate.seconds * panoramas,
        wall_seconds=wall,
        gpu_seconds=gpu_seconds,
        bytes=round(rate.bytes * at_once),
        measured_on=rate.panoramas,
        note="; ".join(notes),
        kept=kept,
    )


def _workers_of(config: Config, stage: Stage, workers: int) -> int:
    """How many workers make blocks of a stage: those of its pool, unless other workers than the config's are asked about."""
    runner = config.execution.runner
    if runner.pools is None or workers != runner.workers:
        return workers
    return runner.pools.gpu if stage.wants_gpu else runner.pools.cpu


def _kept(rate: Rate, panoramas: int, window: int) -> dict[str, int]:
    return {ALWAYS: round(rate.bytes * panoramas), UNTIL_READ: round(rate.bytes * window), NEVER: 0}


def _gpu_seconds(config: Config, stage: Stage, rate: Rate, panoramas: int) -> tuple[float | None, str]:
    """What was measured on a CPU tells nothing of a GPU, which only stages with a network use."""
    if not stage.wants_gpu:
        return 0.0, ""
    if not all(device.startswith("cuda") for device in rate.devices):
        return None, f"measured on {', '.join(rate.devices)}, not on a GPU: no GPU-hours"
    return rate.seconds * panoramas * (config.execution.runner.gpus_per_block or 1.0), ""
