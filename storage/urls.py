"""Reading and writing small files at any fsspec URL, and opening Zarr stores there.

Writes are atomic: a reader sees the old bytes or the new ones. On a local disk that takes a temporary file, fsync and
rename; an object store's PUT is atomic by itself.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

import fsspec
from fsspec.implementations.local import LocalFileSystem
from zarr.abc.store import Store
from zarr.storage import FsspecStore, LocalStore


@lru_cache(maxsize=64)
def filesystem(url: str) -> tuple[fsspec.AbstractFileSystem, str]:
    """The file system of a URL and the path on it. Instances are shared, as fsspec means them to be."""
    return fsspec.url_to_fs(url)


def is_local(url: str) -> bool:
    """Whether the URL is a path on a local disk."""
    return isinstance(filesystem(url)[0], LocalFileSystem)


def join(url: str, *parts: str) -> str:
    """The URL with parts appended."""
    return "/".join([url.rstrip("/"), *(part.strip("/") for part in parts)])


def read_bytes(url: str) -> bytes:
    """All bytes at a URL; FileNotFoundError if there is nothing."""
    files, path = filesystem(url)
    return files.cat_file(path)


def exists(url: str) -> bool:
    """Whether a file or folder is there now (never from fsspec's listing cache)."""
    files, path = filesystem(url)
    files.invalidate_cache()
    return files.exists(path)


def write_bytes(url: str, data: bytes) -> None:
    """Write a whole file atomically, creating its folders."""
    files, path = filesystem(url)
    if isinstance(files, LocalFileSystem):
        _write_local(Path(path), data)
    else:
        files.pipe_file(path, data)


def _write_local(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def settle(url: str) -> None:
    """Bring every file below a local folder to the disk itself, so that a power cut takes none of them back."""
    files, path = filesystem(url)
    if not isinstance(files, LocalFileSystem):
        return
    for folder, _, names in os.walk(path):
        for name in [*names, "."]:
            descriptor = os.open(os.path.join(folder, name), os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


def existing_folder(url: str) -> Path:
    """The deepest folder of a local URL that is there."""
    path = Path(filesystem(url)[1])
    return next(folder for folder in (path, *path.parents) if folder.is_dir())


def remove(url: str) -> None:
    """Remove a file; nothing happens if it is not there."""
    files, path = filesystem(url)
    if exists(url):
        with suppress(FileNotFoundError):  # another attempt at the same block was quicker
            files.rm_file(path)


def children(url: str) -> list[str]:
    """Sorted names of what lies directly in a folder; empty if there is no such folder."""
    files, path = filesystem(url)
    files.invalidate_cache()
    try:
        entries = files.ls(path, detail=False)
    except (FileNotFoundError, NotADirectoryError):
        return []
    names = {entry.rstrip("/").rsplit("/", 1)[-1] for entry in entries}
    return sorted(name for name in names if not name.startswith("."))


def files_below(url: str) -> dict[str, dict[str, Any]]:
    """Every file below a folder: path relative to it -> fsspec's info, sorted by path."""
    files, path = filesystem(url)
    files.invalidate_cache()
    prefix = path.rstrip("/") + "/"
    found = files.find(path, detail=True)
    return {name[len(prefix) :]: info for name, info in sorted(found.items()) if name.startswith(prefix)}


def zarr_store(url: str, read_only: bool = False) -> Store:
    """A Zarr store at a URL. Local disks take Zarr's own store, which renames; fsspec's can leave a torn chunk after a kill."""
    if is_local(url):
        return LocalStore(filesystem(url)[1], read_only=read_only)
    return FsspecStore.from_url(url, read_only=read_only)
