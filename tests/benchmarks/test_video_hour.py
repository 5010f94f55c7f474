"""A long video is cut in a memory that does not grow with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.video.hour import CUT, INGEST, SHOT_SECONDS, measured, write_video


@pytest.mark.slow
def test_memory_does_not_grow(tmp_path: Path) -> None:
    write_video(tmp_path / "long.mp4", 10, 64)
    for kind in (INGEST, CUT):
        found = measured(kind, tmp_path / "long.mp4")
        assert found["last"] - found["tenth"] < 50, kind
    assert found["count"] == 10 * 60 / SHOT_SECONDS * (SHOT_SECONDS / 5)
