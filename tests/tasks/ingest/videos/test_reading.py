"""Every frame of a clip is found at its exact time, whatever its container does; what cannot be read is refused with a reason."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tasks.ingest.settings import Ingest
from tasks.ingest.videos.check import check_clip
from tasks.ingest.videos.clip import Clip
from tasks.ingest.videos.demux import demux
from tasks.ingest.videos.opened import BadClip
from tasks.ingest.videos.reader import ClipReader
from tests.support.videos import number_of, write_numbered

DATA = Path(os.environ.get("PANOLABEL_DATA", "../shared")) / "video"
FRAMES = 60
EVEN = [40 * number for number in range(FRAMES)]
UNEVEN = list(np.cumsum([0, *np.random.default_rng(3).integers(9, 120, FRAMES - 1)]).tolist())
B_FRAMES = {"g": "12", "bf": "3", "x264-params": "b-pyramid=normal:open-gop=1:scenecut=0"}
SETTINGS = Ingest(most_seam=9, most_poles=9, most_halves=1, least_corners=0)

CASES = {
    "even": (EVEN, "a.mp4", {"g": "10"}, {}),
    "B-frames, open groups": (EVEN, "a.mp4", B_FRAMES, {}),
    "uneven, B-frames": (UNEVEN, "a.mp4", B_FRAMES, {}),
    "fragments": (UNEVEN, "a.mp4", B_FRAMES, {"movflags": "frag_keyframe+empty_moov"}),
    "Matroska": (UNEVEN, "a.mkv", B_FRAMES, {}),
    "late start": ([7000 + tick for tick in UNEVEN], "a.mp4", B_FRAMES, {}),
    "one key": (UNEVEN, "a.mp4", {"g": "250"}, {}),
}


def clip_of(path: Path) -> Clip:
    found = demux(str(path))
    return Clip(tuple(found.ticks), tuple(found.keys), found.time_base, found.codec)


@pytest.mark.parametrize("case", CASES)
def test_every_frame_is_that_of_its_time(case: str, tmp_path: Path) -> None:
    ticks, name, options, container = CASES[case]
    write_numbered(tmp_path / name, ticks, options=options, container=container)
    clip = clip_of(tmp_path / name)
    assert [time // 1_000_000 for time in clip.times] == [tick - ticks[0] + clip.times[0] // 1_000_000 for tick in ticks]
    wanted = sorted(np.random.default_rng(5).choice(FRAMES, 20, replace=False).tolist())
    with ClipReader(str(tmp_path / name), clip) as reader:
        assert [number_of(reader.panorama(clip.ticks[number])) for number in wanted] == wanted
        assert number_of(reader.panorama(clip.ticks[3])) == 3  # and back


def test_facts_survive_json(tmp_path: Path) -> None:
    write_numbered(tmp_path / "a.mp4", UNEVEN, options=B_FRAMES)
    clip = check_clip(str(tmp_path / "a.mp4"), SETTINGS).clip
    assert Clip.from_json(clip.as_json()) == clip
    even = Clip(tuple(range(0, 5120, 512)), (0, 2560), Fraction(1, 15360), "h264")
    assert even.as_json()["ticks"] == [0, [512, 9]]


def test_a_remux_keeps_the_digest(tmp_path: Path) -> None:
    write_numbered(tmp_path / "a.mp4", EVEN, options={"g": "10", "bf": "0"})
    with av.open(str(tmp_path / "a.mp4")) as before, av.open(str(tmp_path / "b.mov"), "w") as after:
        stream = after.add_stream_from_template(before.streams.video[0])
        for packet in before.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                after.mux(packet)
    assert (tmp_path / "a.mp4").read_bytes() != (tmp_path / "b.mov").read_bytes()
    assert demux(str(tmp_path / "a.mp4")).digest == demux(str(tmp_path / "b.mov")).digest


def test_which_frame_is_shown() -> None:
    thirtieths = Clip(tuple(round(number * 1000 / 30) for number in range(30)), (0,), Fraction(1, 1000), "x")
    assert [thirtieths.shown_at(Fraction(number, 30)) for number in range(30)] == list(range(30))
    assert thirtieths.shown_at(Fraction(1, 2)) == 15
    assert thirtieths.shown_at(Fraction(999, 1000)) == 29
    assert thirtieths.shown_at(Fraction(2)) is None


def test_bad_files_are_refused_with_what_to_do(tmp_path: Path) -> None:
    good = tmp_path / "good.mkv"
    write_numbered(good, EVEN, options={"g": "10"})
    write_numbered(tmp_path / "front.mp4", EVEN, options={"g": "10"}, container={"movflags": "faststart"})
    whole, front = good.read_bytes(), (tmp_path / "front.mp4").read_bytes()
    files = {
        "empty.mp4": (b"", "cannot be opened"),
        "text.mp4": (b"#EXTM3U\nhttp://127.0.0.1/secret.ts\n" * 20, "cannot be opened"),
        "cut.mp4": (front[: len(front) // 2], "truncated|breaks off"),
        "cut.mkv": (whole[: len(whole) // 3], "truncated|breaks off"),
    }
    for name, (data, reason) in files.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(BadClip, match=reason):
            check_clip(str(tmp_path / name), SETTINGS)


def test_sound_alone_and_a_wrong_shape_are_refused(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "sound.mp4"), "w") as file:
        sound = file.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.rate = 8000
        file.mux(sound.encode(frame))
        file.mux(sound.encode(None))
    with pytest.raises(BadClip, match="no video"):
        check_clip(str(tmp_path / "sound.mp4"), SETTINGS)
    write_numbered(tmp_path / "a.mp4", EVEN[:3])
    with pytest.raises(BadClip, match="less than min_width"):
        check_clip(str(tmp_path / "a.mp4"), SETTINGS.model_copy(update={"min_width": 128}))
    with pytest.raises(BadClip, match="megapixels"):
        check_clip(str(tmp_path / "a.mp4"), SETTINGS.model_copy(update={"max_megapixels": 0.001}))


@pytest.mark.skipif(not DATA.is_dir(), reason="real clips: PANOLABEL_DATA")
def test_real_clips() -> None:
    mono = check_clip(str(DATA / "testRoom1_1920Mono.mp4"), Ingest(most_halves=0.9))
    assert (mono.height, mono.width, len(mono.clip.ticks), mono.clip.stereo) == (960, 1920, 360, "none")
    stereo = check_clip(str(DATA / "testRoom1_1080Stereo.mp4"), Ingest())
    assert (stereo.height, stereo.width, len(stereo.clip.ticks), stereo.clip.stereo) == (540, 1080, 360, "top_bottom")
    assert stereo.clip.times[30] == mono.clip.times[30] == 1_000_000_000
    with (
        ClipReader(str(DATA / "testRoom1_1080Stereo.mp4"), stereo.clip) as reader,
        av.open(str(DATA / "testRoom1_1080Stereo.mp4")) as file,
    ):
        for number, frame in enumerate(file.decode(video=0)):
            if number in (0, 100, 359):
                plain = frame.to_ndarray(format="rgb24")[:540].astype(int)
                assert np.abs(reader.panorama(stereo.clip.ticks[number]) - plain).mean() < 6  # colours aside
