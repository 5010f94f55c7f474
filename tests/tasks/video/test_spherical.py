"""Boxes of spherical video: read back by FFmpeg, and never written into what is laid out otherwise."""

from __future__ import annotations

import io
from fractions import Fraction

import av
import numpy as np
import pytest

from tasks.ingest.videos.check import is_said_spherical
from tasks.video.encoding import encode_clip
from tasks.video.spherical import with_spherical
from tests.support.videos import number_of, numbered


def test_a_clip_is_what_was_encoded() -> None:
    ticks = [7, 40, 41, 99, 300]
    data = encode_clip((numbered(number) for number in range(5)), ticks, Fraction(1, 1000))
    with av.open(io.BytesIO(data)) as file:
        frames = list(file.decode(video=0))
    assert [round(float(one.time or 0) * 1000) for one in frames] == [0, 33, 34, 92, 293]
    assert [number_of(one.to_ndarray(format="rgb24")) for one in frames] == [0, 1, 2, 3, 4]
    assert is_said_spherical(frames[0])
    again = encode_clip((numbered(number) for number in range(5)), ticks, Fraction(1, 1000))
    assert again == data, "the same frames give the same bytes"


def test_other_layouts_are_refused_and_nothing_else_happens() -> None:
    data = encode_clip((numbered(number) for number in range(3)), [0, 1, 2], Fraction(1, 10))
    generator = np.random.default_rng(0)
    for length in generator.integers(0, len(data), 60).tolist():
        with pytest.raises(ValueError, match=r"box|unpack"):
            with_spherical(data[:length])
    for _ in range(300):
        spoilt = bytearray(data)
        for place in generator.integers(0, len(data), 8).tolist():
            spoilt[place] = int(generator.integers(256))
        try:
            assert len(with_spherical(bytes(spoilt))) < 2 * len(data)
        except ValueError:
            continue
