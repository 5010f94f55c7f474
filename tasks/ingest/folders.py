"""The panoramas of a folder, a glob, a bucket, an archive or a server's folder; what is passed over is counted and told."""

from __future__ import annotations

import errno
import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from storage.addresses import url_at
from storage.retries import persist
from storage.urls import filesystem, info, is_local
from tasks.ingest.entries import Entry, Found, SourceError, refuse_outside, with_safe_name
from tasks.ingest.images.decode import NOT_READ, SUFFIXES
from tasks.ingest.leftovers import PARTS, is_left, is_left_folder
from tasks.ingest.sidecars import ForeignSidecar, read_sidecar
from tasks.ingest.stamps import stamp_of

MARKS = "*?["
ASKED_AT_ONCE = 16
SHOWN = 5
Files = dict[str, Mapping[str, Any]]
"""Path on the file system -> what is known of the file."""


@dataclass(frozen=True)
class Wanted:
    """Which files are items: ``what`` they are called, and ends of their names.

    ``not_read`` are ends of names of files that may well be such, each with what it is and what to do.
    """

    what: str
    suffixes: tuple[str, ...]
    not_read: Mapping[str, str]

    @property
    def known(self) -> tuple[str, ...]:
        """Ends of the names of all files that somebody may expect to be read."""
        return (*self.suffixes, *self.not_read)


PICTURES = Wanted("panoramas", SUFFIXES, NOT_READ)


@dataclass
class _Passed:
    """What is passed over, as it is found."""

    wanted: Wanted = PICTURES
    kinds: Counter[str] = field(default_factory=Counter)
    left: list[str] = field(default_factory=list)
    unfinished: list[str] = field(default_factory=list)
    linked: list[str] = field(default_factory=list)
    sidecars: list[str] = field(default_factory=list)
    values: list[str] = field(default_factory=list)

    def notes(self) -> tuple[str, ...]:
        """A sentence for each kind."""
        kinds = [f"{count} {suffix} ({self.wanted.not_read[suffix]})" for suffix, count in self.kinds.most_common()]
        told = [f"{self.kinds.total()} files of other kinds are not read: {', '.join(kinds)}"] * bool(kinds)
        for what, names in (
            ("files that systems and tools left are passed over", self.left),
            ("files are not there yet: unfinished, or kept elsewhere (as by `dvc pull`)", self.unfinished),
            ("folders are links, and not entered; a list can name their files", self.linked),
            ("JSON files beside images are no capture metadata, and not read", self.sidecars),
            ("values in JSON files beside images are left out", self.values),
        ):
            shown = ", ".join(names[:SHOWN]) + ", ..." * (len(names) > SHOWN)
            told += [f"{len(names)} {what}: {shown}"] * bool(names)
        return tuple(told)


def is_pattern(url: str) -> bool:
    """Whether a URL is a glob: it has a mark of one, and nothing is there that is called so."""
    return any(mark in filesystem(url)[1] for mark in MARKS) and info(url) is None


def look_at_folder(url: str, allow: Sequence[str] = (), wanted: Wanted = PICTURES) -> Found:
    """The panoramas of a source that is no list.

    Raises
    ------
    SourceError
        There are none; the message says whether nothing is there, or something else.
    """
    passed = _Passed(wanted)
    local = is_local(url)
    base, found = _files_of(url, passed)
    kept, seen = {}, 0
    for name, about in found.items():
        path = name.removeprefix(base)
        seen += 1
        if not is_left(path) or name == filesystem(url)[1]:
            kept[name] = about
        elif path.lower().endswith(wanted.known):
            passed.left.append(path)
        elif path.lower().endswith(PARTS):
            passed.unfinished.append(path)
    images = {name: about for name, about in kept.items() if name.lower().endswith(wanted.suffixes)}
    passed.kinds.update(end for name in kept if (end := os.path.splitext(name)[1].lower()) in wanted.not_read)
    if not images:
        _refuse_empty(url, seen, passed)
    name_of = url_at(url)
    if local:
        images = {name: _looked_at(url, base, name, allow) for name in images}
    else:
        images = _asked(images, name_of)
    entries = []
    for name, image in images.items():
        stem = name.rsplit(".", 1)[0]
        metadata, split, problem = _sidecar(url, base, f"{stem}.json", kept, name_of, allow, passed)
        problem = str(image.get("problem") or problem)
        size = int(image.get("size") or 0)
        entry = Entry(stem.removeprefix(base), name_of(name), size, stamp_of(image), split, metadata, problem)
        entries.append(with_safe_name(entry))
    return Found(entries, passed.notes())


def _files_of(url: str, passed: _Passed) -> tuple[str, Files]:
    """The folder that items are named below, with ``/`` at its end, and every file."""
    files, path = filesystem(url)
    files.invalidate_cache()
    if is_pattern(url):
        found = persist(url, files.glob, path, detail=True)
        fixed = path[: min(at for mark in MARKS if (at := path.find(mark)) >= 0)]
        base = fixed.rsplit("/", 1)[0] if "/" in fixed else ""
        kept = {name: about for name, about in found.items() if about["type"] != "directory"}
        return f"{base}/", dict(sorted(kept.items()))
    if is_local(url):
        return _local_files(url, path, passed)
    about = info(url)
    if about is not None and about["type"] == "file" and path.lower().endswith(passed.wanted.known):
        return path.rsplit("/", 1)[0] + "/" if "/" in path else "", {path: about}
    try:
        found = persist(url, files.find, path, detail=True)
    except FileNotFoundError:
        found = {}
    base = path.rstrip("/") + "/" if path.strip("/") else ""
    return base, {name: about for name, about in sorted(found.items()) if name.startswith(base)}


def _local_files(url: str, path: str, passed: _Passed) -> tuple[str, Files]:
    """Every file below a local folder. Folders that are links are not entered, nor what systems and tools left."""
    if os.path.isfile(path):
        return path.rsplit("/", 1)[0] + "/", {path: {}}
    if not os.path.isdir(path):
        if os.path.exists(path):
            raise SourceError(f"source {url}: is a pipe or device, not a folder of panoramas")
        refuse_missing(url, path)
    base = path.rstrip("/") + "/"
    found: Files = {}
    for folder, names, files in os.walk(path, onerror=listing_errors(url)):
        within = folder.rstrip("/") + "/"
        linked = [name for name in names if os.path.islink(within + name)]
        passed.linked += [(within + name).removeprefix(base) for name in linked]
        for name in [name for name in names if is_left_folder(name)]:
            passed.left += _pictures_in(within + name, base, passed.wanted)
        names[:] = sorted(name for name in names if name not in linked and not is_left_folder(name))
        found.update((within + name, {}) for name in sorted(files))
    return base, found


def _pictures_in(folder: str, base: str, wanted: Wanted) -> list[str]:
    """The pictures directly in a folder that is not entered."""
    try:
        names = os.listdir(folder)
    except OSError:
        return []
    return [f"{folder}/{name}".removeprefix(base) for name in sorted(names) if name.lower().endswith(wanted.known)]


def listing_errors(url: str) -> Callable[[OSError], NoReturn]:
    """What to do with an error of a local listing: a folder that cannot be read must not pass for an empty one."""

    def refuse(error: OSError) -> NoReturn:
        what = f"source {url}: the folder {error.filename} cannot be listed ({error.strerror})"
        if error.errno in (errno.EACCES, errno.EPERM):
            raise SourceError(f"{what}; give the user who runs this the right to read and enter it, or move it out") from error
        if error.errno in (errno.ENOTCONN, errno.ESTALE, errno.EIO, errno.EHOSTDOWN, errno.ENODEV):
            raise SourceError(f"{what}; its mount is broken: mount it anew") from error
        raise SourceError(f"{what}; look at the file system that holds it") from error

    return refuse


def refuse_missing(url: str, path: str) -> NoReturn:
    """Raise SourceError: there is no such place; it tells how far the path leads."""
    try:
        os.stat(path)
    except PermissionError as error:
        raise SourceError(
            f"source {url}: may not be entered by the user who runs this ({error.strerror}); give the right to read it, and to "
            "enter the folders above it"
        ) from None
    except OSError:
        pass
    there = next(folder for folder in Path(path).parents if folder.exists())
    raise SourceError(
        f"source {url}: no panoramas found: there is no such folder or file ({there} is the last that is there); "
        "correct the path, or mount the disk or share that holds it"
    )


def _refuse_empty(url: str, seen: int, passed: _Passed) -> NoReturn:
    """Say why there is nothing to label: nothing at all, or other things."""
    what = passed.wanted.what
    wanted = f"files must end in one of {', '.join(passed.wanted.suffixes)}"
    notes = "".join(f"; {note}" for note in passed.notes())
    if is_pattern(url):
        raise SourceError(f"source {url}: no {what} found: {seen} files match this pattern; {wanted}{notes}")
    path = filesystem(url)[1]
    if is_local(url) and os.path.isfile(path):
        raise SourceError(f"source {url}: no {what} found: it is one file, no folder and no list of them; {wanted}{notes}")
    if seen:
        raise SourceError(f"source {url}: no {what} found among {seen} files; {wanted}{notes}")
    if not is_local(url):
        why = "the bucket or folder is empty, or the URL is wrong"
        if url.lower().startswith("http"):
            why = "the server gives no listing of this folder, or it is empty: name the files in a .csv list with a column uri"
        raise SourceError(f"source {url}: no {what} found: nothing is there; {why}")
    if path in _mounts_of_fstab() and not os.path.ismount(path):
        raise SourceError(f"source {url}: no {what} found: nothing is mounted there; mount it first (`mount {path}`)")
    mount = "the folder is empty; if a disk or share belongs there, mount it"
    raise SourceError(f"source {url}: no {what} found: {mount}; {wanted}{notes}")


def _mounts_of_fstab() -> set[str]:
    """Where this machine would mount something."""
    try:
        lines = Path("/etc/fstab").read_text(errors="replace").splitlines()
    except OSError:
        return set()
    return {line.split()[1] for line in lines if line.strip() and not line.lstrip().startswith("#") and len(line.split()) > 1}


def _looked_at(url: str, base: str, path: str, allow: Sequence[str]) -> Mapping[str, Any]:
    """Size and time of a local image. A link must not lead out of the folder."""
    if os.path.exists(path) and (os.path.islink(path) or not os.path.isfile(path)):
        refuse_outside(f"source {url}", path, base, allow)
    try:
        found = os.stat(path)
    except OSError as error:
        to = os.path.realpath(path)
        fetch = "fetch it, as with git annex get or dvc pull"
        return {"problem": f"the link leads to {to}, which is not there ({error.strerror}); {fetch}"}
    return {"size": found.st_size, "mtime": found.st_mtime_ns}


def _asked(images: Files, name_of: Callable[[str], str]) -> Files:
    """What a server says of each file where its listing says neither time nor tag, as those of web servers do."""
    silent = [name for name, about in images.items() if not stamp_of(about)]
    with ThreadPoolExecutor(ASKED_AT_ONCE) as pool:
        answers: Iterable[Mapping[str, Any] | None] = pool.map(info, [name_of(name) for name in silent])
        return images | {name: about for name, about in zip(silent, answers) if about is not None}


def _sidecar(
    url: str, base: str, name: str, kept: Files, name_of: Callable[[str], str], allow: Sequence[str], passed: _Passed
) -> tuple[dict[str, Any], str, str]:
    """Metadata and split of a sidecar, and what is wrong with them; none where it is not there, or another program's."""
    if name not in kept:
        return {}, "", ""
    about = kept[name]
    if is_local(url):
        if os.path.islink(name) or not os.path.isfile(name):
            refuse_outside(f"source {url}", name, base, allow)
        about = {"size": os.path.getsize(name) if os.path.exists(name) else 0}
    path = name.removeprefix(base)
    try:
        metadata, split, problem, left_out = read_sidecar(name_of(name), about)
    except ForeignSidecar as error:
        passed.sidecars.append(f"{path} {error}")
        return {}, "", ""
    passed.values += [f"{path}: {why}" for why in left_out.values()]
    return metadata, split, f"{path}: {problem}" if problem else ""
