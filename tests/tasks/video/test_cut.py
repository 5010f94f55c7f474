"""cut: every frame of a video is in one clip, or left out for a reason; shots begin where they do; clips share no frame."""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from flows.stores.held import Wanted
from scenes.clips import write_clips, write_video
from storage.items import Item
from storage.rows import ItemRow
from tasks.ingest.check import check_entry
from tasks.ingest.entries import Entry
from tasks.ingest.settings import Panoramas
from tasks.ingest.videos.clip import CLIP, Clip
from tasks.ingest.videos.cut_names import name_in_video
from tasks.ingest.videos.opened import BadClip
from tasks.ingest.videos.packets import part_digest
from tasks.video.clip_block import CLIPS, clips_of_video
from tasks.video.cut import LEFT_OUT, SHOTS, cut_video
from tasks.video.settings import Cut
from tests.support.shots import Shot, pictures, write_shots
from tests.support.videos import write_numbered

DATA = Path(os.environ.get("PANOLABEL_DATA", "../shared")) / "video"
LIMITS = {"most_seam": 9, "most_poles": 9, "most_halves": 1}


def ingested(path: Path, **more: Any) -> Item:
    """The item of a video."""
    settings = Panoramas.model_validate({"source": {"kind": "videos", "url": str(path.parent)}, **LIMITS, **more})
    found = check_entry(Entry(path.stem, str(path), path.stat().st_size, ""), settings)
    assert not found.reason
    return found


def cut(item: Item, limits: dict[str, float] | None = None, **settings: Any) -> dict[str, Any]:
    """What is found of a video."""
    own = Panoramas.model_validate({"source": {"kind": "videos", "url": "."}, **LIMITS, **(limits or {})})
    return cut_video(item, Cut(**settings), own)


def spans(found: dict[str, Any]) -> list[tuple[int, int]]:
    """First frame of each clip, and the first after it."""
    return [(one["first"], one["first"] + one["count"]) for one in found[CLIPS]]


def of_shots(folder: Path, shots: list[Shot], **settings: Any) -> dict[str, Any]:
    write_shots(folder / "a.mkv", shots)
    return cut(ingested(folder / "a.mkv"), **settings)


def test_every_frame_is_in_one_clip_or_left_out_for_a_reason(tmp_path: Path) -> None:
    shots: list[Shot] = [
        *(("turning", 10.0, 0), ("turning", 4.8, 1), ("turning", 2.0, 2), ("still", 6.0, 3), ("black", 5.0, 0)),
        *(("turning", 8.0, 5), ("lenses", 6.0, 6)),
    ]
    found = of_shots(tmp_path, shots)
    assert found[SHOTS] == [0, 100, 148, 168, 228, 278, 358]
    assert spans(found) == [(0, 50), (50, 100), (100, 148), (278, 328)]
    told = {reason: (one["parts"], one["seconds"]) for reason, one in found[LEFT_OUT].items()}
    assert told == {
        "not 360": (1, 6.0),
        "static picture": (1, 6.0),
        "black": (1, 5.0),
        "rest of a shot": (1, 3.0),
        "shot too short": (1, 2.0),
    }
    assert "empty outside of two circles" in found[LEFT_OUT]["not 360"]["because"]
    frames = sum(last - first for first, last in spans(found)) + sum(one["frames"] for one in found[LEFT_OUT].values())
    assert frames == 418


def test_the_length_may_be_another(tmp_path: Path) -> None:
    found = of_shots(tmp_path, [("turning", 10.0, 0)], seconds=2.0, least=1.0)
    assert [last - first for first, last in spans(found)] == [20] * 5
    with pytest.raises(ValueError, match="at most seconds = 2"):
        Cut(seconds=2.0, least=3.0)


def test_slides_are_a_slideshow(tmp_path: Path) -> None:
    found = of_shots(tmp_path, [*(("still", 6.0, seed) for seed in range(4)), ("turning", 5.0, 9)])
    assert {reason: one["parts"] for reason, one in found[LEFT_OUT].items()} == {"slideshow": 4}
    assert spans(found) == [(240, 290)]


def test_a_flash_is_no_shot(tmp_path: Path) -> None:
    flashed = pictures([("turning", 5.0, 0)])
    for number in (20, 21):
        flashed[number] = np.full_like(flashed[number], 250)
    write_video(tmp_path / "a.mkv", flashed, [100 * number for number in range(50)])
    assert spans(cut(ingested(tmp_path / "a.mkv"))) == [(0, 50)]


def test_a_video_without_any_clip_says_why(tmp_path: Path) -> None:
    with pytest.raises(BadClip, match=r"no clip of 4.5 s .*: static picture, 6.0 s in 1 part; shot too short, 2.0 s in 1 part"):
        of_shots(tmp_path, [("still", 6.0, 3), ("turning", 2.0, 4)])


SCENES = [("room", 900_000), ("room", 900_001), ("street", 900_003), ("mixed", 900_011)]


@pytest.mark.parametrize(
    ("kind", "seed", "rate", "path"),
    [
        ("room", 900_000, 3, "shake"),
        *(pytest.param(*scene, 10, path, marks=pytest.mark.slow) for scene in SCENES for path in ("static", "shake", "turn")),
    ],
)
def test_cuts_are_those_of_the_truth(kind: str, seed: int, rate: int, path: str, tmp_path: Path) -> None:
    write_clips(tmp_path, kind, 1, seed, 32, seconds=5, rate=rate, path=path, shots=3, processes=1)
    (file,) = (tmp_path / "clips").glob("*.mkv")
    truth = [one["frame"] for one in json.loads((tmp_path / "truth" / file.stem / "shots.json").read_text())]
    found = cut(ingested(file))
    assert len(found[SHOTS]) == len(truth) == 3
    assert max(abs(one - other) for one, other in zip(found[SHOTS], truth)) <= 1
    own = [number for first, last in spans(found) for number in range(first, last)]
    assert set(found[LEFT_OUT]) <= {"static picture"}, "where nothing of a street moves before a camera that stands"
    kept = 15 * rate - sum(one["frames"] for one in found[LEFT_OUT].values())
    assert len(own) == len(set(own)) >= 0.99 * kept > 0


def test_clips_share_no_frame_where_a_stream_copy_does(tmp_path: Path) -> None:
    ticks = [round(number * 1000 / 24) for number in range(360)]
    write_numbered(tmp_path / "a.mp4", ticks, options={"g": "32", "bf": "2", "sc_threshold": "0"}, height=64)
    item = ingested(tmp_path / "a.mp4", least_corners=0)
    found = cut(item, {"least_corners": 0}, shot_score=100)
    assert spans(found) == [(0, 120), (120, 240), (240, 360)]
    copied = Counter(tick for start in (0, 5, 10) for tick in stream_copy(tmp_path / "a.mp4", start, 5))
    shared = sum(count > 1 for count in copied.values()) / 24
    assert shared >= 0.5, "a peer's clips begin at the key before, and share frames with their neighbour"


def stream_copy(path: Path, start: float, seconds: float) -> list[int]:
    """The frames that ``ffmpeg -ss START -i IN -t SECONDS -c copy`` keeps: from the key before, since packets are copied."""
    with av.open(str(path)) as file:
        stream = file.streams.video[0]
        file.seek(round(start / stream.time_base), stream=stream, backward=True)
        end = (start + seconds) / stream.time_base
        return [packet.pts for packet in file.demux(stream) if packet.pts is not None and packet.pts < end]


def test_a_clip_is_verified_by_its_own_packets(tmp_path: Path) -> None:
    ticks = [40 * number for number in range(375)]
    write_numbered(tmp_path / "a.mp4", ticks, options={"g": "30", "bf": "2"}, height=64)
    item = ingested(tmp_path / "a.mp4", least_corners=0)
    found = cut(item, {"least_corners": 0}, shot_score=100)
    clips = clips_of_video("cut", item, ItemRow("a", "done", figures=found))
    assert [clip.item for clip in clips] == ["a/0000000", "a/0005000", "a/0010000"]
    assert [clip.metadata["end_ns"] for clip in clips] == [5_000_000_000, 10_000_000_000, 15_000_000_000]
    parts = [Clip.from_json(clip.figures[CLIP]) for clip in clips]
    assert [part_digest(str(tmp_path / "a.mp4"), part) for part in parts] == [clip.digest for clip in clips]
    assert len({clip.digest for clip in clips}) == 3
    remux(tmp_path / "a.mp4", tmp_path / "b.mkv")
    again = cut(ingested(tmp_path / "b.mkv", least_corners=0), {"least_corners": 0}, shot_score=100)
    assert [one["count"] for one in again[CLIPS]] == [one["count"] for one in found[CLIPS]]


def remux(path: Path, other: Path) -> None:
    with av.open(str(path)) as before, av.open(str(other), "w") as after:
        stream = after.add_stream_from_template(before.streams.video[0])
        for packet in before.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                after.mux(packet)


def test_a_file_that_changed_is_not_cut(tmp_path: Path) -> None:
    write_shots(tmp_path / "a.mkv", [("turning", 5.0, 0)])
    item = ingested(tmp_path / "a.mkv")
    write_shots(tmp_path / "b.mkv", [("turning", 5.0, 1)])
    shutil.move(tmp_path / "b.mkv", tmp_path / "a.mkv")
    with pytest.raises(BadClip, match="changed while the run was going"):
        cut(item)


def test_frames_that_cannot_be_decoded_are_in_no_clip(tmp_path: Path) -> None:
    ticks = [40 * number for number in range(375)]
    write_numbered(tmp_path / "a.mp4", ticks, options={"g": "25", "bf": "0"}, height=64)
    data = bytearray((tmp_path / "a.mp4").read_bytes())
    with av.open(str(tmp_path / "a.mp4")) as file:
        hit = [packet for packet in file.demux(video=0) if packet.pts is not None and 6.0 <= packet.pts * packet.time_base < 6.08]
        places = [(packet.pos, packet.size) for packet in hit]
    for place, size in places:
        data[place : place + size] = bytes(size)
    (tmp_path / "a.mp4").write_bytes(data)
    found = cut(ingested(tmp_path / "a.mp4", least_corners=0), {"least_corners": 0}, shot_score=100)
    assert spans(found) == [(0, 125), (250, 375)]
    assert found[LEFT_OUT]["damaged frames"]["parts"] == 1


@pytest.mark.skipif(not DATA.is_dir(), reason="real clips: PANOLABEL_DATA")
def test_a_still_camera_is_no_static_picture() -> None:
    item = ingested(DATA / "testRoom1_1920Mono.mp4", most_halves=0.9)
    found = cut(item, {"most_halves": 0.9})
    assert spans(found) == [(0, 150), (150, 300)]
    assert found[LEFT_OUT] == {"rest of a shot": {"parts": 1, "seconds": 2.0, "frames": 60}}


def test_still_and_change_are_told(tmp_path: Path) -> None:
    found = of_shots(tmp_path, [("turning", 5.0, 0)])
    (clip,) = found[CLIPS]
    assert clip["figures"]["still"] < 0.1
    assert clip["figures"]["change"] > 0.5


def test_truth_of_a_frame_is_that_of_its_place_in_the_video() -> None:
    frame = Item("tour/a/0005000/0000250", "", "d", 32, 64, 0, "", metadata={"video": "tour/a"})
    assert name_in_video(frame) == "tour/a/0005250"
    for item, video in (("a/0000250", None), ("tour/a/0005000", "tour/a"), ("0001/0002", "elsewhere"), ("b/0001/0002", "a")):
        assert name_in_video(replace(frame, item=item, metadata={"video": video})) == item


def test_what_is_forgotten_of_a_video() -> None:
    wanted = Wanted(names={"a", "tour"}, known={"a", "b", "tour", "tour/c"})
    assert [wanted.is_of(item) for item in ("a", "a/0005000", "a/0005000/0000250", "tour/0000000")] == [True] * 4
    assert [wanted.is_of(item) for item in ("b", "b/0005000/0000250", "tour/c", "tour/c/0000000", "other")] == [False] * 5
