"""The line a minute: stages that came late count, and each pool of workers has its own share of the work."""

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest

from configs.execution import Runner
from flows.running.measures import outlook
from flows.running.measures.outlook import Outlook


@dataclass
class Stage:
    """As much of a stage of a run as the outlook looks at."""

    key: str
    gpu: bool
    owed: list[str]
    items: int = 0
    items_owed: int = 0
    seconds: float = 0.0
    begun: bool = True
    step: Any = field(init=False)

    def __post_init__(self) -> None:
        self.step = SimpleNamespace(key=self.key, stage=SimpleNamespace(wants_gpu=self.gpu))

    @property
    def over(self) -> bool:
        return self.items == self.items_owed


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [0.0]
    monkeypatch.setattr(outlook.time, "monotonic", lambda: now[0])
    return now


def line(stages: list[Stage], runner: Runner, clock: list[float], estimates: dict[str, float | None], more: bool = False) -> str:
    seen = Outlook(cast(Any, stages), estimates, runner)
    clock[0] += 61
    return seen.line(more) or ""


def test_a_training_that_comes_while_files_are_read_counts(clock: list[float]) -> None:
    label, train = Stage("label", True, ["a"], 5, 10, 50.0), Stage("train", True, [], begun=False)
    seen = Outlook(cast(Any, [label, train]), {"label": 100.0, "train": 3600.0}, Runner(workers=1))
    assert seen.line(True) is None, "said a moment ago"
    clock[0] += 61
    assert seen.line(True) == "label 5/10, label takes 100% of the time, about 50.0 s left for what is read so far"
    train.owed, train.items_owed = ["all"], 1
    clock[0] += 61
    assert seen.line(False) == "label 5/10, about 1 h 00 min left"


def test_pools_work_side_by_side_and_have_work_of_their_own(clock: list[float]) -> None:
    stages = [Stage("label", True, ["a"], 10, 110, 10.0), Stage("fuse", False, ["a"], 10, 110, 10.0)]
    runner = Runner(kind="dask", pools=cast(Any, {"gpu": 1, "cpu": 4}))
    told = line(stages, runner, clock, {})
    assert told.endswith("about 1 min 40 s left"), "the worker with a GPU has 100 s before it, each of the others 25"
    assert line(stages, Runner(workers=5), clock, {}).endswith("about 40.0 s left")


def test_where_nothing_is_known_of_a_stage_it_is_said(clock: list[float]) -> None:
    assert line([Stage("label", True, ["a"], 0, 5)], Runner(), clock, {"label": None}).endswith("time left unknown")
