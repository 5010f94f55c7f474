"""What is told of chips: nothing without one, and otherwise the mean of what the driver's library says."""

from __future__ import annotations

import sys
import time
from types import ModuleType, SimpleNamespace

import pytest

from flows.running.measures import chips
from flows.running.measures.chips import visible, watching_chips


def test_nothing_is_seen_where_there_is_no_chip() -> None:
    """With the real library: on a machine without a driver it cannot be started."""
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    pytest.importorskip("pynvml")
    with watching_chips() as seen:
        assert seen.share is None


class Library(ModuleType):
    """What of NVML is asked, for two chips: one computes all of the time, the other does so at every second look."""

    class NVMLError(Exception):
        """As the library's own."""

    def __init__(self, fails: bool = False) -> None:
        super().__init__("pynvml")
        self.looks, self.ended, self.fails = 0, False, fails

    def nvmlInit(self) -> None:
        """Start."""

    def nvmlShutdown(self) -> None:
        self.ended = True

    def nvmlDeviceGetCount(self) -> int:
        return 2

    def nvmlDeviceGetHandleByIndex(self, number: int) -> int:
        return number

    def nvmlDeviceGetUtilizationRates(self, handle: int) -> SimpleNamespace:
        if self.fails:
            raise self.NVMLError("not supported")
        self.looks += 1
        return SimpleNamespace(gpu=100 if handle == 0 or self.looks % 4 == 0 else 0)


def test_the_share_is_a_mean_over_chips_and_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    library = Library()
    monkeypatch.setitem(sys.modules, "pynvml", library)
    monkeypatch.setattr(chips, "SECONDS", 0.001)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    with watching_chips() as seen:
        while library.looks < 40:
            time.sleep(0.001)
    assert seen.share == pytest.approx(0.75, abs=0.03)
    assert library.ended


def test_a_chip_of_which_nothing_may_be_told_is_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", Library(fails=True))
    monkeypatch.setattr(chips, "SECONDS", 0.001)
    with watching_chips() as seen:
        time.sleep(0.02)
    assert seen.share is None


@pytest.mark.parametrize(
    ("named", "numbers"), [(None, [0, 1, 2]), ("", []), ("1", [1]), ("2, 0", [2, 0]), ("GPU-3f", [0, 1, 2]), ("0,7", [0])]
)
def test_chips_that_are_hidden_do_not_count(monkeypatch: pytest.MonkeyPatch, named: str | None, numbers: list[int]) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if named is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", named)
    assert visible(3) == numbers
