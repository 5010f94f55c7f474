"""How much of a run's time the GPUs of its machine computed, as NVML tells it (the driver's own library; ``pip install
panolabel[gpu]``)."""

from __future__ import annotations

import importlib
import logging
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

SECONDS = 2.0
"""Between two looks; each tells of the last sixth of a second to second, by the chip."""

logger = logging.getLogger(__name__)


class Chips:
    """What was seen of the chips of this machine."""

    def __init__(self) -> None:
        self._looks, self._sum = 0, 0.0

    def see(self, shares: Sequence[float]) -> None:
        """Note the share of time, from 0 to 1, that each chip computed of late."""
        self._looks += 1
        self._sum += sum(shares) / len(shares)

    @property
    def share(self) -> float | None:
        """Mean share of time that the chips computed; None if nothing was seen, as where there is none."""
        return self._sum / self._looks if self._looks else None


@contextmanager
def watching_chips() -> Iterator[Chips]:
    """Within it the chips of this machine are looked at; nothing is seen where there is none, or no library that knows of it."""
    chips, over = Chips(), threading.Event()
    nvml = _library()
    if nvml is None:
        yield chips
        return

    def look() -> None:
        try:
            handles = [nvml.nvmlDeviceGetHandleByIndex(number) for number in visible(nvml.nvmlDeviceGetCount())]
            while handles and not over.wait(SECONDS):
                chips.see([nvml.nvmlDeviceGetUtilizationRates(handle).gpu / 100 for handle in handles])
        except nvml.NVMLError as error:  # what is told of a chip may not be told of a part of one
            logger.debug("chips are not looked at: %s", error)

    thread = threading.Thread(target=look, name="chips", daemon=True)
    thread.start()
    try:
        yield chips
    finally:
        over.set()
        thread.join()
        nvml.nvmlShutdown()


def _library() -> Any:
    """NVML, ready to be asked; None if the package, or the driver, is not there."""
    try:
        nvml = importlib.import_module("pynvml")
    except ImportError:
        return None
    try:
        nvml.nvmlInit()
    except nvml.NVMLError:
        return None
    return nvml


def visible(count: int) -> list[int]:
    """Numbers of the chips that this process may use; all, where ``CUDA_VISIBLE_DEVICES`` names them by other than numbers."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    numbers = [one.strip() for one in (named or "").split(",")]
    if named is None or not all(one.isdecimal() for one in numbers):
        return [] if named == "" else list(range(count))
    return [int(one) for one in numbers if int(one) < count]
