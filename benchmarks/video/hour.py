"""Memory and time of cutting a long video, beside a bare decode of it by PyAV in the same run.

A synthetic panorama turns before a noisy sensor, and another begins every 20 seconds; H.264, a key every two seconds. Run it
from the project's root::

    python -m benchmarks.video.hour > benchmarks/results/video/hour.md
    python -m benchmarks.video.hour --minutes 10
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.machine import machine, span
from storage.items import Item
from tasks.ingest.check import check_entry
from tasks.ingest.entries import Entry
from tasks.ingest.settings import Panoramas
from tasks.video.cut import cut_video
from tasks.video.settings import Cut

RATE = 30
SHOT_SECONDS = 20
NOISE = 12.0
"""Grey levels of a sensor's noise: without any, an encoder leaves next to nothing to decode."""
ROUNDS = 3
LIMITS = {"source": {"kind": "videos", "url": "."}, "most_halves": 1.0, "most_seam": 9.0}
LOOKS_A_SECOND = 20


def write_video(path: Path, minutes: float, height: int) -> None:
    """The video; frames are encoded as they are made."""
    with av.open(str(path), "w") as container:
        options = {"preset": "veryfast", "g": str(2 * RATE), "crf": "20", "sc_threshold": "0"}
        stream: Any = container.add_stream("libx264", rate=RATE, options=options)
        stream.width, stream.height, stream.pix_fmt = 2 * height, height, "yuv420p"
        for picture in _pictures(round(minutes * 60 * RATE), height):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))


def _pictures(count: int, height: int) -> Iterator[NDArray[np.uint8]]:
    still = np.zeros(0, np.uint8)
    noise = np.random.default_rng(1).normal(0, NOISE, (7, height, 2 * height, 3)).clip(0, 255).astype(np.uint8)
    for number in range(count):
        if number % (SHOT_SECONDS * RATE) == 0:
            generator = np.random.default_rng([11, number])
            brighter = number // (SHOT_SECONDS * RATE) % 4 * 30
            coarse = (generator.integers(0, 100, (24, 48, 3)) + brighter).astype(np.uint8)
            wide = cv2.resize(np.tile(coarse, (1, 3, 1)), (6 * height, height), interpolation=cv2.INTER_CUBIC)
            still = wide[:, 2 * height : 4 * height]
        turned = np.roll(still, number, axis=1)
        yield cv2.add(np.ascontiguousarray(turned), noise[number % len(noise)])


def bare(path: str, threads: str) -> int:
    """Decode all frames by PyAV, as it is documented; ``threads`` AUTO has FFmpeg use several, and empty leaves its default."""
    count = 0
    with av.open(path) as container:
        if threads:
            container.streams.video[0].thread_type = threads
        for _ in container.decode(video=0):
            count += 1
    return count


def ingested(path: str) -> Item:
    """The item of the video."""
    settings = Panoramas.model_validate(LIMITS)
    item = check_entry(Entry("long", path, os.stat(path).st_size, ""), settings)
    assert not item.reason, item.reason
    return item


def cut(item: Item) -> int:
    """Cut it; the number of clips."""
    return len(cut_video(item, Cut(), Panoramas.model_validate(LIMITS))["clips"])


BARE, INGEST, CUT = "bare decode", "ingest", "cut"
KINDS: dict[str, tuple[Callable[[str], Any], Callable[[Any], int]]] = {
    BARE: (str, lambda path: bare(path, "")),
    "bare decode, threads AUTO": (str, lambda path: bare(path, "AUTO")),
    INGEST: (str, lambda path: len(ingested(path).figures["clip"]["keys"]) and 1),
    CUT: (ingested, cut),
}
"""What is measured: what comes before, outside of the time, and the work."""


def measure(kind: str, path: str) -> dict[str, float]:
    """Seconds, what came out, and the megabytes of this process's memory at a tenth of the time and at most after."""
    sizes: list[tuple[float, float]] = []
    over = threading.Event()
    prepare, work = KINDS[kind]
    given = prepare(path)
    started = time.perf_counter()

    def look() -> None:
        page = os.sysconf("SC_PAGE_SIZE")
        while not over.wait(1 / LOOKS_A_SECOND):
            resident = int(Path("/proc/self/statm").read_text().split()[1]) * page / 1e6
            sizes.append((time.perf_counter() - started, resident))

    watcher = threading.Thread(target=look)
    watcher.start()
    count = work(given)
    seconds = time.perf_counter() - started
    over.set()
    watcher.join()
    tenth = next(size for at, size in sizes if at >= seconds / 10)
    return {"seconds": seconds, "count": count, "tenth": tenth, "last": max(size for at, size in sizes if at >= seconds / 10)}


def measured(kind: str, path: Path) -> dict[str, float]:
    """:func:`measure` in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.video.hour", "--measure", kind, "--video", str(path)]
    found: dict[str, float] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return found


def report(minutes: float, height: int, rounds: int) -> Iterator[str]:
    """The table, as Markdown."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "long.mp4"
        write_video(path, minutes, height)
        size = path.stat().st_size / 1e6
        found = {kind: [] for kind in KINDS}  # type: dict[str, list[dict[str, float]]]
        for _ in range(rounds):
            for kind in KINDS:
                found[kind].append(measured(kind, path))
    frames = round(minutes * 60 * RATE)
    yield "# Cutting a long video\n"
    yield (
        f"{minutes:g} minutes at {RATE} frames a second, {2 * height}x{height}, H.264, {size:.0f} MB; shots of {SHOT_SECONDS} s. "
        f"Rounds: {rounds}, each row in a process of its own; least to largest. Memory is the resident set, libraries with it.\n"
    )
    yield "| what | gives | seconds | frames a second | times the bare decode | MB at 10 % of the time | MB more at most after |"
    yield "|---|---|---|---|---|---|---|"
    for kind, rows in found.items():
        seconds = [row["seconds"] for row in rows]
        tenths, more = [row["tenth"] for row in rows], [row["last"] - row["tenth"] for row in rows]
        gives = f"{int(rows[0]['count'])} {'clips' if kind == CUT else 'video' if kind == INGEST else 'frames'}"
        memory = f"{span(tenths, '.0f')} | {span(more)}"
        yield f"| {kind} | {gives} | {span(seconds)} | {_speeds(frames, seconds)} | {_ratios(seconds, found)} | {memory} |"
    both = [one["seconds"] + other["seconds"] for one, other in zip(found[INGEST], found[CUT], strict=True)]
    yield f"| ingest and cut | | {span(both)} | {_speeds(frames, both)} | **{_ratios(both, found)}** | | |"
    yield f"\n{machine()}. {date.today()}, PyAV {version('av')}."
    options = f"--minutes {minutes:g} --height {height} --rounds {rounds}"
    yield f"Command: `python -m benchmarks.video.hour {options} > benchmarks/results/video/hour.md`"


def _speeds(frames: int, seconds: list[float]) -> str:
    return span([frames / one for one in seconds], ".0f")


def _ratios(seconds: list[float], found: dict[str, list[dict[str, float]]]) -> str:
    return span([one / row["seconds"] for one, row in zip(seconds, found[BARE], strict=True)], ".2f")


def main() -> None:
    """Print the report, or measure one kind for it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--height", type=int, default=320)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--measure", choices=[*KINDS])
    parser.add_argument("--video")
    asked = parser.parse_args()
    if asked.measure:
        print(json.dumps(measure(asked.measure, asked.video)))
        return
    for line in report(asked.minutes, asked.height, asked.rounds):
        print(line, flush=True)


if __name__ == "__main__":
    main()
