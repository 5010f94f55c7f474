"""What fusion moves on a GPU is counted from the gather list; the benchmark goes all its ways where there is none."""

import os
import re
import subprocess
import sys

import numpy as np
import pytest

from benchmarks.traffic import of_fusion, seconds, touched
from geometry.layouts import icosahedron


def test_sectors_are_counted_once_at_least_and_once_a_warp_at_most() -> None:
    beside = np.arange(64, dtype=np.int32)[None]
    assert touched(beside, 4) == (256, 256), "two warps, four sectors each, and none in common"
    assert touched(np.zeros((1, 64), np.int32), 4) == (32, 64), "two warps read one sector"
    assert touched(np.full((3, 64), -1, np.int32), 4) == (0, 0), "nobody sees anything"
    assert touched(np.array([[7, 2]], np.int32), 12) == (96, 96), "bytes 84 to 95 in one sector, 24 to 35 in two"


def test_fields_are_read_once_at_least() -> None:
    cameras = icosahedron(48)
    lines = {line.what: line for line in of_fusion(cameras, 128)}
    patches = len(cameras) * 48 * 48
    assert 0.8 * 12 * patches < lines["normals"].least <= 12 * patches + 64
    assert all(line.least <= line.most for line in lines.values())
    assert lines["results"].least == 27 * 128 * 256
    assert seconds(2.88e12) == pytest.approx(1.0)


@pytest.mark.slow
def test_the_benchmark_is_rehearsed() -> None:
    pytest.importorskip("triton", reason="needs Triton: pip install panolabel[device]")
    command = [sys.executable, "-m", "benchmarks.device", "--rehearse", "--model", "demo", "--panoramas", "2", "--repeats", "1"]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ, "TRITON_INTERPRET": "1"})
    assert "Path: device." in done.stdout
    assert re.search(r"\*\*\d+% of the pipeline's time\*\*", done.stdout)
