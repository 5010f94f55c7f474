"""How a run is carried out: by whom, how far at once, and who is told."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, ValidationError, model_validator

from configs.settings import PlainSettings, Settings


class Pools(Settings):
    """Two kinds of workers in one cluster: blocks that run a network go to those with a GPU, all others to the rest."""

    gpu: int = Field(ge=1)
    cpu: int = Field(ge=1)


class Runner(Settings):
    """Who does the work: threads of this process, or the workers of a Dask cluster."""

    kind: Literal["threads", "dask"] = "threads"
    cluster: str = "local"
    """For Dask: ``local`` (processes on this machine), ``cuda`` (one worker for each GPU of this machine; needs dask-cuda),
    ``address`` (a cluster that is there already), or ``package.module:Class`` of a Dask cluster."""
    address: str | None = None
    """Scheduler of a cluster that is there already, such as ``tcp://scheduler:8786``."""
    cluster_settings: PlainSettings = Field(default_factory=dict)
    """Arguments of the cluster's class."""
    workers: int = Field(2, ge=1)
    """Blocks in work at the same time; with a cluster of our own, its workers, each doing one block at a time."""
    pools: Pools | None = None
    """For Dask: so many workers with a GPU and without, in the place of ``workers``. Those of a cluster that is there already are
    started with ``--resources GPU=1`` or ``--resources CPU=1``."""
    window: int | None = Field(None, ge=1)
    """Blocks submitted and not finished; by default twice the workers. Bounds the memory of flow and scheduler."""
    gpu_blocks: int | None = Field(None, ge=1)
    """Of these, blocks that run a network, so that stages without one go on meanwhile; by default as many."""
    gpus_per_block: float | None = Field(None, gt=0)
    """Share of a worker's resource ``GPU`` that a block of a teacher takes (workers started with ``--resources GPU=1``)."""
    recycle: bool = False
    """Restart the cluster's workers between flow runs: a cure for libraries that leak memory."""

    @property
    def most_begun(self) -> int:
        """Blocks that are begun and not finished, at most."""
        return self.window or 2 * self.workers

    @model_validator(mode="before")
    @classmethod
    def _pooled(cls, values: Any) -> Any:
        """Pools say how many workers there are."""
        if not isinstance(values, dict) or values.get("pools") is None:
            return values
        try:
            pools = Pools.model_validate(values["pools"])
        except ValidationError:  # is told as that of the field
            return values
        count = pools.gpu + pools.cpu
        if values.get("workers", count) != count:
            raise ValueError(f"workers: is {values['workers']}, but pools have {count}; take `workers` out")
        return {**values, "workers": count}

    @model_validator(mode="after")
    def _fits_pools(self) -> Runner:
        if self.pools and (self.kind != "dask" or self.cluster not in ("local", "address")):
            raise ValueError("pools: are for kind: dask with cluster: local or address; take them out")
        if self.pools and (self.gpus_per_block or self.cluster_settings):
            raise ValueError("pools: a block takes a whole worker of its pool; take gpus_per_block and cluster_settings out")
        return self

    @model_validator(mode="after")
    def _reachable(self) -> Runner:
        if self.kind == "threads" and (self.cluster != "local" or self.address or self.cluster_settings):
            raise ValueError("cluster, address and cluster_settings are for kind: dask; add it, or remove them")
        if self.cluster == "address" and not self.address:
            raise ValueError("address: is required with cluster: address; give the scheduler's, such as tcp://host:8786")
        if self.address and self.cluster != "address":
            raise ValueError(f"address: is given but cluster is {self.cluster!r}; write cluster: address, or remove the address")
        if self.cluster not in ("local", "cuda", "address") and ":" not in self.cluster:
            raise ValueError(f"cluster: must be local, cuda, address or package.module:Class, got {self.cluster!r}")
        return self


class OpenLineage(Settings):
    """Where events of runs go, besides ``<root>/lineage/<run>.ndjson``, which is always written."""

    url: str | None = None
    """Server that takes OpenLineage events over HTTP; its key, if any, comes from the environment: OPENLINEAGE_API_KEY."""
    endpoint: str = "api/v1/lineage"
    namespace: str = Field("panolabel", min_length=1)
    """Namespace of our jobs."""
    timeout_seconds: float = Field(5.0, gt=0, le=60)
    """Longest that one event may take, and that the end of a run waits for events still on their way."""

    @model_validator(mode="after")
    def _no_secrets(self) -> OpenLineage:
        if self.url and not self.url.startswith(("http://", "https://")):
            raise ValueError("url: must start with http:// or https://")
        if self.url and ("@" in self.url or "?" in self.url):
            raise ValueError("url: may hold no user, password or query; put the key into OPENLINEAGE_API_KEY")
        return self


class Approval(Settings):
    """Somebody must say yes, in the UI of a Prefect server that stays, before labels are published."""

    hours: float = Field(24.0, gt=0, le=24 * 30)
    """Longest that the answer is waited for; without one nothing is published."""


RENAMED = {
    "keep_patch_labels": "is said by stages now: take it out, and write `keep: until_read` in each stage `label` for false",
    "blocks_per_flow_run": "is called task_runs_per_flow_run now, and counts blocks of all stages",
}


class Execution(Settings):
    """How a run is carried out. Nothing here can change an output, so nothing here enters a fingerprint."""

    runner: Runner = Runner()
    openlineage: OpenLineage = OpenLineage()
    approval: Approval | None = None
    """What is asked before labels are published, such as ``{hours: 24}``; by default nothing."""
    max_quarantined: float = Field(0.5, gt=0, le=1)
    """Share of given-up items, of at least 20 tried in a stage, at which a run stops: a sign of a mistake, not of bad items."""
    task_runs_per_flow_run: int = Field(1000, ge=1, le=1000)
    """A run of more has several flow runs, each with whole blocks: Prefect slows down with the task runs of one."""
    device: str = "auto"
    """``auto``, ``cpu`` or a torch device such as ``cuda:0``."""
    batch_size: int = Field(8, ge=1)
    """Patches per forward pass of a teacher."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "WARNING"
    pictures: int = Field(8, ge=0)
    """Panoramas shown with pictures in the report."""

    @model_validator(mode="before")
    @classmethod
    def _renamed(cls, values: Any) -> Any:
        """Keys of before, with what to write now."""
        for key, now in RENAMED.items():
            if isinstance(values, dict) and key in values:
                raise ValueError(f"{key}: {now}")
        return values
