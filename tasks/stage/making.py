"""How a stage makes the items of a block one by one, and what is said of how they were made."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from typing import Any

from numpy.typing import NDArray

from storage.items import Item
from tasks.stage.code import code_of, packages_of, versions_of
from tasks.stage.job import Job, Output
from tasks.stage.late import is_foreseen

REPORTED_VERSIONS = ("panolabel", "torch", "transformers", "zarr", "opencv-python-headless", "numpy", "prefect")

Read = Callable[[int, Item], Any]
"""Slot and item -> what ``compute`` needs, fetched and decoded. Raises BadItem to give the item up; all else fails the block."""

Compute = Callable[[Item, Any], Output]
"""Item and what was read -> output; raises like Read."""

Encode = Callable[[Any], Mapping[str, NDArray]]
"""An output's values -> arrays of the same shapes and dtypes for every item."""

About = Mapping[str, Any] | Callable[[], Mapping[str, Any]]
"""Describes the outputs of a block for later stages, whatever items it has; or a function that does so once items are made."""


@dataclass(frozen=True)
class Making:
    """How the items of a job are made; see :func:`tasks.stage.block.run_block` for what each of these is."""

    compute: Compute
    about: About
    weights: Mapping[str, str] | None
    read: Read
    encode: Encode
    device: str
    stays: Compute | None = None
    """As ``compute``, for a reader on the same device: values are left there as they are, and are never encoded."""
    path: str = ""
    """Which of several ways to the same output the stage took, for the receipt; empty where there is one."""


def as_stored(about: About) -> Mapping[str, Any]:
    """What is said of a block, as whoever reads its receipt sees it."""
    said: Mapping[str, Any] = json.loads(json.dumps(dict(about() if callable(about) else about)))
    return said


def check_as_planned(job: Job, weights: Mapping[str, str] | None) -> None:
    """RuntimeError if the code or the weights in use are not those that were planned, or the block's items are not told yet."""
    if is_foreseen(job.block):
        raise RuntimeError(f"{job.key}: what it reads is to tell its items yet; make that first, and take the job of Plan.job")
    if job.code != (own := code_of(job.stage)):
        packages = " and ".join(["panolabel", *versions_of(*packages_of(job.stage))])
        raise RuntimeError(
            f"{job.key}: this worker runs other code ({own}) than the flow that planned the block ({job.code}); "
            f"install the same version of {packages} on every worker"
        )
    if weights is not None and dict(weights) != dict(job.identity.weights):
        planned = dict(job.identity.weights)
        raise RuntimeError(f"{job.key}: weights in use {dict(weights)} are not those planned {planned}; plan again")


@cache
def _versions() -> dict[str, str]:
    """Versions of libraries that outputs depend on; reading them takes longer than a small block's receipt."""
    return {name: version(name) for name in REPORTED_VERSIONS}


def made_with(job: Job, device: str, path: str = "") -> dict[str, Any]:
    """What the bytes of a row depend on beside its inputs."""
    versions = {**_versions(), **versions_of(*packages_of(job.stage))}
    made = {"code": job.code, "device": device, "python": platform.python_version(), "versions": versions}
    return made | {"path": path} if path else made


def made_of_block(job: Job, started: float, device: str, path: str = "") -> dict[str, Any]:
    """What a receipt says of who made a block, when, with what."""
    return {
        "run": job.run,
        "gives": job.stage.kind.gives,
        "started": round(started, 3),
        "seconds": round(time.time() - started, 3),
        "process": os.getpid(),
        **made_with(job, device, path),
        "identity": job.identity.as_json(),
    }
