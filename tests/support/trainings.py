"""The training of a tiny network as a job of its stage, from label stores that no run made."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from configs.execution import Execution
from tasks.stage.graph import Typed, resolve
from tasks.stage.job import Job
from tasks.stage.kind import Kind, Step
from tasks.train.cubemap.train import KIND as CUBEMAP
from tasks.train.labels.data import LabelStore
from tasks.train.train import KIND

SMALL = {"bottlenecks": 1, "auxiliaries": False, "bridges": False}
SETTINGS: dict[str, Any] = {
    "height": 16, "batch": 2, "threads": 1, "size": "tiny", "settings": SMALL, "steps": 4, "learning_rate": 1e-3,
    "frozen_steps": 1, "checkpoint_every": 2, "score_every": 2, "log_every": 1,
}  # fmt: skip
FACES: dict[str, Any] = {
    "size": "tiny", "settings": {"face_size": 16}, "threads": 1, "steps": 4, "checkpoint_every": 2, "score_every": 2,
    "log_every": 1,
}  # fmt: skip


def training(folder: Path, *stores: LabelStore, root: str = "", **changes: Any) -> Job:
    """The job of a student that learns from finished labels; ``changes`` are those of its settings."""
    return _training(KIND, SETTINGS, folder, stores, root, changes)


def face_training(folder: Path, *stores: LabelStore, root: str = "", **changes: Any) -> Job:
    """The same of a network that sees six faces; one that starts from other weights has their sizes."""
    own = {name: value for name, value in FACES.items() if "pretrained" not in changes or name not in ("size", "settings")}
    return _training(CUBEMAP, own, folder, stores, root, changes)


def _training(
    kind: Kind, small: dict[str, Any], folder: Path, stores: Sequence[LabelStore], root: str, changes: dict[str, Any]
) -> Job:
    given = [
        Typed(
            store.stage.key, store.stage.kind, store.stage.settings, given=Step(store.stage, tuple(b for _, b, _ in store.blocks))
        )
        for store in stores
    ]
    own = {"licences": {one.key: "CC-BY-4.0" for one in given}, "shares": [store.weight for store in stores], **changes}
    settings = kind.settings.model_validate({**small, **own})
    typed = Typed("train", kind, settings, {"labels": tuple(one.key for one in given)})
    step = resolve([*given, typed], root or str(folder / "students"), {})[-1]
    return Job(step.stage, step.blocks[0], "run", Execution(device="cpu"))
