"""Fuzzing: mutations of valid files, bounds on time and memory, and a corpus of inputs that once broke something.

Normal test runs take a few seconds. ``HYPOTHESIS_PROFILE=long`` takes ten minutes over all properties;
``PANOLABEL_FUZZ_SECONDS=60`` sets another time.
"""

from __future__ import annotations

import os
import resource
import struct
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

CORPUS = Path(__file__).with_name("corpus")
PROPERTIES = 11
"""Properties that share the time of a long run."""
LONG_SECONDS = 600.0
SPARE_BYTES = 1 << 30
CPU_SECONDS = 5.0
INTERESTING = [0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]


def seconds_per_property() -> float:
    """Time for one property; 0 means one short round."""
    total = LONG_SECONDS if os.environ.get("HYPOTHESIS_PROFILE") == "long" else 0.0
    return float(os.environ.get("PANOLABEL_FUZZ_SECONDS", total)) / PROPERTIES


def fuzz(strategy: st.SearchStrategy[Any], check: Callable[[Any], None], examples: int) -> None:
    """Hold ``check`` against examples of a strategy: ``examples`` of them, or as many as fit into the time of a long run."""
    rounds, started = 0, time.monotonic()
    while rounds == 0 or time.monotonic() - started < seconds_per_property():

        @seed(rounds)
        @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(strategy)
        def run(example: Any) -> None:
            with bounded():
                check(example)

        run()
        rounds += 1
    print(f"{rounds * examples} examples at most, {time.monotonic() - started:.0f} s")


@contextmanager
def bounded() -> Iterator[None]:
    """Fail what takes more than :data:`CPU_SECONDS`; more than :data:`SPARE_BYTES` of new address space is a MemoryError."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + SPARE_BYTES, hard))
    started = time.process_time()
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
    taken = time.process_time() - started
    assert taken < CPU_SECONDS, f"took {taken:.1f} s of CPU time"


def outcome(function: Callable[[], Any], documented: type[Exception]) -> Any:
    """What a function returns, or the documented error that it raises; other errors pass through."""
    try:
        return function()
    except documented as error:
        return error


def corpus(kind: str) -> list[Path]:
    """Files of the corpus for one kind of input; none if there is no such folder, since git keeps no empty ones."""
    return sorted(path for path in (CORPUS / kind).glob("*") if path.is_file())


@st.composite
def mutated(draw: st.DrawFn, originals: list[bytes]) -> bytes:
    """One of the originals after one to six byte-level accidents: flips, cuts, splices, runs, and numbers at their limits."""
    data = bytearray(draw(st.sampled_from(originals)))
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(data)))
        accident = draw(st.sampled_from(ACCIDENTS))
        data = bytearray(accident(draw, data, at, originals))
    return mend_png(bytes(data)) if draw(st.booleans()) else bytes(data)


def _flip(draw: st.DrawFn, data: bytearray, at: int, _: list[bytes]) -> bytes:
    return data[:at] + bytes([byte ^ draw(st.integers(1, 255)) for byte in data[at : at + 1]]) + data[at + 1 :]


def _cut(_draw: st.DrawFn, data: bytearray, at: int, _: list[bytes]) -> bytes:
    return data[:at]


def _drop(draw: st.DrawFn, data: bytearray, at: int, _: list[bytes]) -> bytes:
    return data[:at] + data[at + draw(st.integers(1, 64)) :]


def _splice(draw: st.DrawFn, data: bytearray, at: int, originals: list[bytes]) -> bytes:
    other = draw(st.sampled_from(originals))
    start = draw(st.integers(0, len(other)))
    piece = other[start : start + draw(st.integers(1, 256))]
    return data[:at] + piece + data[at + draw(st.sampled_from([0, len(piece)])) :]


def _run(draw: st.DrawFn, data: bytearray, at: int, _: list[bytes]) -> bytes:
    return data[:at] + draw(st.binary(min_size=1, max_size=4)) * draw(st.sampled_from([1, 8, 64, 1024])) + data[at:]


def _number(draw: st.DrawFn, data: bytearray, at: int, _: list[bytes]) -> bytes:
    width = draw(st.sampled_from(["B", "H", "I"]))
    order = draw(st.sampled_from("<>"))
    size = struct.calcsize(width)
    value = draw(st.sampled_from(INTERESTING)) & (256**size - 1)
    return data[:at] + struct.pack(order + width, value) + data[at + size :]


ACCIDENTS = [_flip, _flip, _cut, _drop, _splice, _run, _number, _number]


def mend_png(data: bytes) -> bytes:
    """A PNG with the checksums of its chunks put right, so that a mutation gets past them; other data as it is."""
    if data[:8] != b"\x89PNG\r\n\x1a\n":
        return data
    mended, at = bytearray(data), 8
    while at + 12 <= len(mended):
        end = at + 8 + int.from_bytes(mended[at : at + 4], "big")
        if end + 4 > len(mended):
            break
        mended[end : end + 4] = struct.pack(">I", zlib.crc32(mended[at + 4 : end]))
        at = end + 4
    return bytes(mended)
