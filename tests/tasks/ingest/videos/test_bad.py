"""Bad videos, each refused with what is wrong and what to do, by whichever stage can know."""

from __future__ import annotations

import struct
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from tasks.ingest.settings import Ingest
from tasks.ingest.videos.check import check_clip
from tasks.ingest.videos.opened import BadClip
from tasks.video.encoding import encode_clip
from tests.support.videos import numbered, write_numbered

SETTINGS = Ingest(most_seam=9, most_poles=9, most_halves=1, least_corners=0, min_width=32)
TICKS = [40 * number for number in range(50)]


def written(path: Path, **more: Any) -> bytearray:
    write_numbered(path, TICKS, options={"g": "10", "bf": "0"}, **more)
    return bytearray(path.read_bytes())


def refused(path: Path, data: bytes | bytearray, reason: str) -> None:
    path.write_bytes(data)
    with pytest.raises(BadClip, match=reason):
        check_clip(str(path), SETTINGS)


def test_more_frames_announced_than_there_are(tmp_path: Path) -> None:
    """The header says 50 frames; the last are cut off at the end of the file, after the header."""
    front = written(tmp_path / "a.mp4", container={"movflags": "faststart"})
    started = time.monotonic()
    refused(tmp_path / "b.mp4", front[: -len(front) // 8], "truncated|breaks off")
    assert time.monotonic() - started < 5


def test_encrypted(tmp_path: Path) -> None:
    key = {"encryption_scheme": "cenc-aes-ctr", "encryption_key": "76a6c65c5ea762046bd749a2e632ccbb"}
    written(tmp_path / "a.mp4", container={**key, "encryption_kid": "a7e61c373e219033c21091fa607bf3b8"})
    with pytest.raises(BadClip):
        check_clip(str(tmp_path / "a.mp4"), SETTINGS)


def test_two_tracks(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.mp4"), "w") as file:
        streams: list[Any] = [file.add_stream("libx264", rate=10) for _ in range(2)]
        for stream in streams:
            stream.width, stream.height, stream.pix_fmt = 64, 32, "yuv420p"
        for number in range(10):
            for stream in streams:
                file.mux(stream.encode(av.VideoFrame.from_ndarray(numbered(number), format="rgb24")))
        for stream in streams:
            file.mux(stream.encode(None))
    with pytest.raises(BadClip, match=r"2 video tracks \(64x32, 64x32\)"):
        check_clip(str(tmp_path / "a.mp4"), SETTINGS)


def test_one_frame_is_a_clip(tmp_path: Path) -> None:
    write_numbered(tmp_path / "a.mp4", [0])
    clip = check_clip(str(tmp_path / "a.mp4"), SETTINGS).clip
    assert len(clip.ticks) == 1
    assert clip.seconds == 0


def test_no_frame_is_none(tmp_path: Path) -> None:
    data = written(tmp_path / "a.mp4")
    place = data.index(b"stsz")
    struct.pack_into(">I", data, place + 12, 0)
    refused(tmp_path / "b.mp4", data, ".")


def test_a_part_of_the_sphere(tmp_path: Path) -> None:
    """What VR180 cameras write, as Spherical Video V2 says it: bounds that leave half of the sphere out."""
    data = bytearray(encode_clip((numbered(number) for number in range(5)), range(5), Fraction(1, 10)))
    place = data.index(b"equi")
    struct.pack_into(">IIII", data, place + 8, 0, 0, 1 << 30, 1 << 30)
    refused(tmp_path / "a.mp4", data, "a part of an equirectangular picture")


@pytest.mark.parametrize(("degrees", "reason"), [(90, "times as wide as high"), (30, r"turned by (29|30|330|331) degrees")])
def test_turned(degrees: int, reason: str, tmp_path: Path) -> None:
    data = written(tmp_path / "a.mp4")
    cos, sin = (round(65536 * float(value)) for value in (np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))))
    place = data.index(b"tkhd") + 4 + 40
    struct.pack_into(">iiiiiiiii", data, place, cos, sin, 0, -sin, cos, 0, 0, 0, 1 << 30)
    refused(tmp_path / "b.mp4", data, reason)


def test_upside_down_is_turned(tmp_path: Path) -> None:
    data = written(tmp_path / "a.mp4")
    place = data.index(b"tkhd") + 4 + 40
    struct.pack_into(">iiiiiiiii", data, place, -65536, 0, 0, 0, -65536, 0, 0, 0, 1 << 30)
    (tmp_path / "b.mp4").write_bytes(data)
    assert check_clip(str(tmp_path / "b.mp4"), SETTINGS).clip.rotation == 180
