"""Pages of timings tell a range over runs, with ratios taken within a run, and the machine."""

import os
import re

from benchmarks.labels.fusion import METHODS, table
from benchmarks.machine import machine, span


def test_a_range_is_told_by_its_ends() -> None:
    assert span([38.13, 22.0, 30]) == "22.0 to 38.1"
    assert span([1.01, 1.02]) == "1.0"


def test_the_machine_is_told_without_its_name() -> None:
    assert re.match(r"[0-9]+ CPU cores \(.+\), [0-9]+ GiB of memory, (no|a) GPU", machine())
    assert os.uname().nodename not in machine()


def test_ratios_are_those_of_one_run() -> None:
    # A busy machine makes both methods slow in one run: over runs mixed, the ratio would be anything from 1.5 to 6.
    keys = ("cached", "cpu", "cold", "peak", "absrel", "angle", "mismatch")
    runs = [{name: dict.fromkeys(keys, factor * (1 if name == "ours" else 3)) for name in METHODS} for factor in (100.0, 200.0)]
    row = table(runs).splitlines()[-1].split(" | ")
    assert row[1:3] == ["300 to 600", "3.0"]
