"""Whether a store keeps what panolabel relies on: what is written is there at once and whole, and there is room for it."""

from __future__ import annotations

import os
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from configs.pipeline import Config
from flows.growth import free_at
from flows.plan import make_plan
from flows.setup.checks import Check, guarded
from storage.urls import children, exists, filesystem, is_local, join, read_bytes, remove, settle, write_bytes

PROBE_BYTES = 200_000
OVERWRITES = 12
SKEW_SECONDS = 5.0
ADVICE = "use a file system or bucket with atomic writes and strong consistency, not a cached mount"


def check_store(config: Config) -> Iterator[Check]:
    """Try on a folder of its own, which goes again, what a run does to a store."""
    with _scratch(config.root) as folder:
        yield from guarded("store", lambda: _write_and_read(config.root, folder), ADVICE)
        yield from guarded("store overwrite", lambda: _overwrite(folder), ADVICE)
        yield from guarded("store listing", lambda: _list_and_remove(folder), ADVICE)
        if is_local(folder):
            yield from guarded("store rename and fsync", lambda: _rename(folder), ADVICE)
        yield from guarded("clock", lambda: _clock(folder))


@contextmanager
def _scratch(root: str) -> Iterator[str]:
    """A folder below the root that leaves nothing behind, not even a root that was not there before."""
    folder = join(root, f"doctor-{uuid.uuid4().hex[:12]}")
    above = _missing_folders(Path(filesystem(folder)[1]).absolute()) if is_local(folder) else []
    try:
        yield folder
    finally:
        for name in children(folder):
            remove(join(folder, name))
        for path in above:
            if path.is_dir() and not any(path.iterdir()):
                path.rmdir()


def _missing_folders(path: Path) -> list[Path]:
    """The path and its parents that are not there yet, deepest first."""
    return [one for one in [path, *path.parents] if not one.exists()]


def _write_and_read(root: str, folder: str) -> Iterator[Check]:
    data = os.urandom(PROBE_BYTES)
    started = time.monotonic()
    write_bytes(join(folder, "probe"), data)
    same = read_bytes(join(folder, "probe")) == data
    seconds = time.monotonic() - started
    seen = f"{root}: {PROBE_BYTES // 1000} kB written and read back in {1000 * seconds:.0f} ms"
    yield Check("store", "ok", seen) if same else Check("store", "failure", f"{root}: other bytes came back", ADVICE)


def _overwrite(folder: str) -> Iterator[Check]:
    """While one side overwrites, the other reads: it must see old bytes or new ones, and the writer its own at once."""
    url = join(folder, "overwritten")
    versions = [bytes([number]) * PROBE_BYTES for number in range(OVERWRITES)]
    write_bytes(url, versions[0])
    seen: list[bytes] = []
    problems: list[Exception] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            try:
                seen.append(read_bytes(url))
            except Exception as error:
                problems.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        stale = 0
        for data in versions:
            write_bytes(url, data)
            stale += read_bytes(url) != data
    finally:
        done.set()
        reader.join()
    torn = sum(data not in versions for data in seen) + len(problems)
    if torn or stale:
        text = f"of {len(seen) + len(problems)} reads during overwriting {torn} were torn or failed; {stale} own reads were stale"
        yield Check("store overwrite", "failure", text, ADVICE)
    else:
        yield Check("store overwrite", "ok", f"atomic and seen at once ({len(seen)} reads during {OVERWRITES} overwrites)")


def _list_and_remove(folder: str) -> Iterator[Check]:
    before = children(folder)
    write_bytes(join(folder, "listed"), b"1")
    listed = "listed" in children(folder) and "listed" not in before
    remove(join(folder, "listed"))
    gone = not exists(join(folder, "listed")) and "listed" not in children(folder)
    if listed and gone:
        yield Check("store listing", "ok", "sees a new file, and that it is removed, at once")
    else:
        what = "a new file" if not listed else "that a file was removed"
        yield Check("store listing", "failure", f"does not see {what} at once", ADVICE)


def _rename(folder: str) -> Iterator[Check]:
    path = Path(filesystem(folder)[1])
    (path / "renamed.new").write_bytes(b"new")
    (path / "renamed").write_bytes(b"old")
    settle(folder)  # fsync of every file and of the folder
    (path / "renamed.new").replace(path / "renamed")
    settle(folder)
    whole = (path / "renamed").read_bytes() == b"new" and not (path / "renamed.new").exists()
    yield Check(
        "store rename and fsync", "ok" if whole else "failure", "work" if whole else "a rename lost data", ADVICE * (not whole)
    )


def _clock(folder: str) -> Iterator[Check]:
    url = join(folder, "clock")
    before = time.time()
    write_bytes(url, b"1")
    after = time.time()
    files, path = filesystem(url)
    files.invalidate_cache()
    modified = files.modified(path)
    stamp = (modified if isinstance(modified, datetime) else datetime.fromisoformat(str(modified))).astimezone(UTC).timestamp()
    # Object stores tell whole seconds.
    skew = stamp - before if stamp < before else max(0.0, stamp - after)
    seen = f"the store's clock is {skew:+.1f} s from this machine's"
    if abs(skew) <= SKEW_SECONDS:
        yield Check("clock", "ok", seen)
    else:
        yield Check("clock", "warning", seen, "set both by NTP: `gc` judges by age, and buckets refuse requests 15 minutes off")


def check_disk(config: Config) -> Iterator[Check]:
    """Free space against what the plan would store, as far as it was measured."""
    plan = make_plan(config)
    needed = sum(stage.bytes or 0 for stage in plan.stages)
    unknown = [stage.stage for stage in plan.stages if stage.bytes is None and stage.stage in plan.owed]
    estimate = f"the plan needs {needed / 1e9:.3g} GB" if needed or not unknown else "the plan's size is not known"
    if unknown:
        estimate += f" (no receipts yet: {', '.join(unknown)})"
    if not is_local(config.root):
        yield Check("disk", "ok", f"a bucket tells no free space; {estimate}")
        return
    free = free_at(config.root) or 0
    seen = f"{free / 1e9:.1f} GB free; {estimate}"
    if free < needed:
        may_go = [step.key for step in plan.steps if step.stage.kind.joins and step.stage.keeps_data]
        less = f", or write `keep: until_read` in {', '.join(may_go)} (`panolabel cost` tells what it saves)" if may_go else ""
        yield Check("disk", "failure", seen, f"make room, or set root to a larger disk{less}")
    elif free < 1.2 * needed or free < 1e9:
        yield Check("disk", "warning", seen, "little would be left; make room before a long run")
    else:
        yield Check("disk", "ok", seen)
