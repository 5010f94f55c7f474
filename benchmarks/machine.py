"""What a timing was taken on, in words that name no host, and ranges over runs."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path


def machine() -> str:
    """Cores that this process may use, memory, the processor's family, and whether there is a GPU."""
    gpu = "a GPU that is not used" if shutil.which("nvidia-smi") else "no GPU"
    gibibytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{len(os.sched_getaffinity(0))} CPU cores ({processor()}), {gibibytes:.0f} GiB of memory, {gpu}"


def processor() -> str:
    """Name and family of the processor, as Linux tells them; its architecture where it does not."""
    file = Path("/proc/cpuinfo")
    told = dict(re.findall(r"^(model name|cpu family|model)\s*:\s*(.+)$", file.read_text(), re.M)) if file.exists() else {}
    if "model name" not in told:
        return os.uname().machine
    return ", ".join([told["model name"], *(f"{key[4:]} {told[key]}" for key in ["cpu family"] if key in told)])


def span(values: Sequence[float], form: str = ".1f") -> str:
    """The least and the largest of some runs' figures; one number where they read alike."""
    low, high = (format(one, form) for one in (min(values), max(values)))
    return low if low == high else f"{low} to {high}"
