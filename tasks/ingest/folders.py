"""The panoramas of a folder, a glob, a bucket, an archive or a server's folder; what is passed over is counted and told."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path
from typing import Any, NoReturn

from storage.addresses import url_at
from storage.retries import persist
from storage.urls import filesystem, info, is_local
from tasks.ingest.absent import listing_errors, refuse_missing
from tasks.ingest.entries import Entries, Entry, Found, SourceError, refuse_outside, with_safe_name
from tasks.ingest.images.decode import NOT_READ, SUFFIXES
from tasks.ingest.leftovers import PARTS, is_left, is_left_folder
from tasks.ingest.plain import plain_entries
from tasks.ingest.sidecars import ForeignSidecar, read_sidecar
from tasks.ingest.stamps import stamp_of

MARKS = "*?["
ASKED_AT_ONCE = 16
SHOWN = 5
Files = dict[str, Mapping[str, Any]]
"""Path on the file system -> what is known of the file."""
FILE: Mapping[str, Any] = {"type": "file"}
LINK: Mapping[str, Any] = {"type": "link"}
"""What is known of local files before each is looked at: that one is a plain file, or a link, pipe or device."""


NOTHING_SAID: tuple[dict[str, Any], str, str] = ({}, "", "")
"""Metadata and split of a file without a sidecar, and what is wrong with them."""


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
    seen = len(found)
    images = _images(found, base, filesystem(url)[1], passed)
    if not images:
        _refuse_empty(url, seen, passed)
    name_of = url_at(url)
    if not local:
        found |= _asked({name: found[name] for name in images}, name_of)

    def entry(name: str) -> Entry:
        about = _looked_at(url, base, name, found[name], allow) if local else found[name]
        stem = name.rsplit(".", 1)[0]
        sidecar, said = f"{stem}.json", NOTHING_SAID
        if sidecar in found:
            said = _sidecar(url, base, sidecar, found[sidecar], name_of, allow, passed)
        metadata, split, problem = said
        told = (int(about.get("size") or 0), stamp_of(about), split, metadata, str(about.get("problem") or problem))
        return with_safe_name(Entry(stem.removeprefix(base), name_of(name), *told))

    plain: list[str] = []
    others: list[str] = []
    for name in images:
        alone = found[name] is FILE and f"{name.rpartition('.')[0]}.json" not in found
        (plain if alone else others).append(name)
    entries, left = plain_entries(base, plain)
    return Found(entries.plus(Entries.made_of(map(entry, [*left, *others]))), passed.notes())


def _images(found: Files, base: str, own: str, passed: _Passed) -> list[str]:
    """The files that are items. What systems and tools left is taken out of those that were found, and told."""
    images = [name for name in found if name.lower().endswith(passed.wanted.suffixes)]
    rest = found.keys() - set(images) if len(images) < len(found) else ()
    left = {name for name in (*rest, *images) if name != own and is_left(name.removeprefix(base))}
    for path in sorted(name.removeprefix(base) for name in left):
        if path.lower().endswith(passed.wanted.known):
            passed.left.append(path)
        elif path.lower().endswith(PARTS):
            passed.unfinished.append(path)
    for name in left:
        del found[name]
    ends = (os.path.splitext(name)[1].lower() for name in rest if name not in left)
    passed.kinds.update(end for end in ends if end in passed.wanted.not_read)
    return [name for name in images if name not in left] if left else images


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
    fail, left = listing_errors(url), [path.rstrip("/")]
    while left:
        plain, folders = [], []
        try:
            with os.scandir(left.pop() or "/") as listing:
                for one in listing:
                    if one.is_file(follow_symlinks=False):
                        plain.append(one.path)
                    elif _is_folder(one):
                        folders.append(one)
                    else:
                        found[one.path] = LINK
        except OSError as error:
            fail(error)
        plain.sort()
        folders.sort(key=attrgetter("name"))
        found.update(dict.fromkeys(plain, FILE))
        passed.linked += [one.path.removeprefix(base) for one in folders if one.is_symlink()]
        for one in folders:
            if is_left_folder(one.name):
                passed.left += _pictures_in(one.path, base, passed.wanted)
        left += [one.path for one in reversed(folders) if not one.is_symlink() and not is_left_folder(one.name)]
    return base, found


def _is_folder(one: os.DirEntry[str]) -> bool:
    try:
        return one.is_dir()
    except OSError:  # a link in a circle, or into what may not be entered
        return False


def _pictures_in(folder: str, base: str, wanted: Wanted) -> list[str]:
    """The pictures directly in a folder that is not entered."""
    try:
        names = os.listdir(folder)
    except OSError:
        return []
    return [f"{folder}/{name}".removeprefix(base) for name in sorted(names) if name.lower().endswith(wanted.known)]


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


def _looked_at(url: str, base: str, path: str, about: Mapping[str, Any], allow: Sequence[str]) -> Mapping[str, Any]:
    """Size and time of a local image. A link must not lead out of the folder."""
    if about is not FILE and os.path.exists(path) and (os.path.islink(path) or not os.path.isfile(path)):
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
    url: str,
    base: str,
    name: str,
    about: Mapping[str, Any],
    name_of: Callable[[str], str],
    allow: Sequence[str],
    passed: _Passed,
) -> tuple[dict[str, Any], str, str]:
    """Metadata and split of a sidecar, and what is wrong with them; none where it is another program's."""
    if is_local(url):
        if about is not FILE and (os.path.islink(name) or not os.path.isfile(name)):
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
