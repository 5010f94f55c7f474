"""A data set of procedural clips with exact ground truth, in a layout that is documented beside it."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from scenes.dataset import KINDS
from scenes.filming import Filmed, film
from scenes.moving import PATHS, build_clip
from scenes.processes import in_processes
from scenes.vocabulary import CLASSES, THINGS

VERSION = "1"
NEXT_SHOT = 1_000_000
"""Between the seeds of a clip's shots."""
LAYOUT = """# A data set of procedural clips

    dataset.json                    classes, things, kind, seed, size, rate; written last, so its presence means that all is there
    clips/<clip>.mkv                equirectangular RGB, 2:1, FFV1: no pixel is changed by it
    clips/<clip>.json               capture: scene kind and seed, camera path
    truth/<clip>/<milliseconds>.npz of every frame, in the camera's frame (x right, y down, z forward):
                                    depth      float32 (H, W)     radial distance in metres, 0 at the sky
                                    normals    float32 (H, W, 3)  unit, facing the camera; 0 at the sky
                                    semantics  uint8 (H, W)       index into the classes of dataset.json
                                    instances  uint16 (H, W)      0 for stuff
                                    sky        bool (H, W)
                                    moving     bool (H, W)        things that move
    truth/<clip>/trajectory.json    for every frame time_ns, rotation (3 x 3) and position (metres), camera to world, the world
                                    being the camera's frame at the first one of its shot
    truth/<clip>/shots.json         of clips of several shots, for each its first frame's number and time_ns, and its scene's seed

The same kind and seed give the same pixels and truth.
"""


def write_clips(
    root: Path,
    kind: str,
    count: int,
    seed: int,
    height: int,
    seconds: float = 2.0,
    rate: int = 10,
    path: str = "walk",
    things: int = 3,
    supersample: int = 1,
    processes: int | None = None,
    shots: int = 1,
) -> None:
    """Film ``count`` clips of scenes with seeds from ``seed`` on, (height, 2 height) pixels at ``rate`` frames a second.

    Each has so many ``shots`` of so many ``seconds``, one after the other, of scenes that are unlike.

    An interrupted run is resumed: clips that are there are complete, and not made again.

    Raises
    ------
    ValueError
        Unknown kind or path, or an odd height.
    """
    if kind not in KINDS:
        raise ValueError(f"kind {kind!r} is not known; use one of {', '.join(KINDS)}")
    if path not in PATHS:
        raise ValueError(f"camera path {path!r} is not known; use one of {', '.join(PATHS)}")
    kinds = [KINDS[kind][index % len(KINDS[kind])] for index in range(count)]
    root = Path(root)
    (root / "clips").mkdir(parents=True, exist_ok=True)
    times = [number / rate for number in range(max(1, round(seconds * rate)))]
    how = (height, times, rate, path, things, supersample, shots)
    jobs = [(root, one, seed + index, *how) for index, one in enumerate(kinds)]
    in_processes(_write_clip, jobs, processes)
    about = {"classes": list(CLASSES), "things": sorted(CLASSES[label] for label in THINGS), "kind": kind, "count": count}
    about |= {"seed": seed, "height": height, "width": 2 * height, "rate": rate, "path": path, "version": VERSION}
    about |= {"shots": shots} if shots > 1 else {}
    (root / "README.md").write_text(LAYOUT, encoding="utf-8")
    (root / "dataset.json").write_text(json.dumps(about, sort_keys=True) + "\n", encoding="utf-8")


def _write_clip(
    root: Path,
    kind: str,
    seed: int,
    height: int,
    times: Sequence[float],
    rate: int,
    path: str,
    things: int,
    supersample: int,
    shots: int,
) -> None:
    clip = f"{kind}_{seed:05d}"
    file = root / "clips" / f"{clip}.mkv"
    if file.exists():
        return
    truth = root / "truth" / clip
    truth.mkdir(parents=True, exist_ok=True)
    length, seeds = times[-1] + 1 / rate, [seed + NEXT_SHOT * shot for shot in range(shots)]
    scenes = [build_clip(kind, one, path, things, length) for one in seeds]
    taken = [list(film(scene, times, height, supersample)) for scene in scenes]
    frames = [replace(one, seconds=one.seconds + shot * length) for shot, own in enumerate(taken) for one in own]
    for one in frames:
        (truth / f"{round(one.seconds * 1000):07d}.npz").write_bytes(_truth(one))
    trajectory = [pose for shot in range(shots) for pose in _trajectory(frames[shot * len(times) : (shot + 1) * len(times)])]
    (truth / "trajectory.json").write_text(json.dumps(trajectory) + "\n", encoding="utf-8")
    if shots > 1:
        starts = [(shot * len(times), round(shot * length * 1e9), one) for shot, one in enumerate(seeds)]
        told = [{"frame": frame, "time_ns": time, "seed": one} for frame, time, one in starts]
        (truth / "shots.json").write_text(json.dumps(told) + "\n", encoding="utf-8")
    capture = {"scene": kind, "seed": seed, "path": path}
    file.with_suffix(".json").write_text(json.dumps(capture, sort_keys=True) + "\n", encoding="utf-8")
    temporary = file.with_name(f".{clip}.tmp.mkv")
    write_video(temporary, [one.frame.image for one in frames], [round(one.seconds * 1000) for one in frames])
    temporary.replace(file)


def write_video(path: Path, pictures: Sequence[NDArray[np.uint8]], milliseconds: Sequence[int], gop: int = 5) -> None:
    """Pictures (H, W, 3) uint8 RGB at their times as FFV1 in Matroska, which changes no pixel; a key every ``gop`` frames."""
    height, width = pictures[0].shape[:2]
    with av.open(str(path), "w", format="matroska", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("ffv1", options={"g": str(gop)})
        stream.width, stream.height, stream.pix_fmt = width, height, "bgr0"
        stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        for picture, time in zip(pictures, milliseconds, strict=True):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="bgr0")
            frame.pts, frame.time_base = time, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _truth(one: Filmed) -> bytes:
    arrays = {name: getattr(one.frame, name) for name in ("depth", "normals", "semantics", "instances", "sky")}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, moving=one.moving, **arrays)
    return buffer.getvalue()


def _trajectory(frames: Sequence[Filmed]) -> list[dict[str, object]]:
    to_first = frames[0].pose.inverse()
    poses = [(one.seconds, to_first.after(one.pose)) for one in frames]
    return [
        {"time_ns": round(seconds * 1e9), "rotation": pose.rotation.tolist(), "position": pose.shift.tolist()}
        for seconds, pose in poses
    ]
