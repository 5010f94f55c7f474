"""Reading and writing small files at any fsspec URL, and opening Zarr stores there.

Writes are atomic: a reader sees the old bytes or the new ones. On a local disk that takes a temporary file, fsync and
rename; an object store's PUT is atomic by itself.
"""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext, suppress
from itertools import repeat
from pathlib import Path
from typing import Any

from fsspec.implementations.local import LocalFileSystem
from zarr.abc.store import Store
from zarr.core.buffer import Buffer
from zarr.storage import FsspecStore, LocalStore

from storage.addresses import filesystem
from storage.credentials import mask_credentials
from storage.retries import persist, teach_s3

teach_s3()

FOLDER_TRIES = 50
"""Times that a folder is made for a file: whoever removes empty ones may take it before the file is in it."""


def is_local(url: str) -> bool:
    """Whether the URL is a path on a local disk."""
    return isinstance(filesystem(url)[0], LocalFileSystem)


def location(url: str) -> str:
    """A URL as it is told to people, who open it with this: the path of a local file, else the URL with its protocol."""
    return filesystem(url)[1] if is_local(url) else mask_credentials(url)


def join(url: str, *parts: str) -> str:
    """The URL with parts appended."""
    return "/".join([url.rstrip("/"), *(part.strip("/") for part in parts)])


def read_bytes(url: str) -> bytes:
    """All bytes at a URL; FileNotFoundError if there is nothing."""
    files, path = filesystem(url)
    return persist(url, files.cat_file, path)


def exists(url: str) -> bool:
    """Whether a file or folder is there now (never from fsspec's listing cache)."""
    return info(url) is not None


def info(url: str) -> dict[str, Any] | None:
    """fsspec's info of a file or folder as it is now, or None if there is none.

    fsspec's own ``exists`` takes many an error for an absence.
    """
    files, path = filesystem(url)
    files.invalidate_cache()
    try:
        return persist(url, files.info, path)
    except (FileNotFoundError, NotADirectoryError):
        return None


def write_bytes(url: str, data: bytes) -> None:
    """Write a whole file atomically, creating its folders."""
    files, path = filesystem(url)
    if isinstance(files, LocalFileSystem):
        _write_local(Path(path), data)
    else:
        persist(url, files.pipe_file, path, data)


def write_if_absent(url: str, data: bytes) -> None:
    """:func:`write_bytes` unless there is a file. Of two writers at once the first wins on a local disk, any elsewhere."""
    files, path = filesystem(url)
    if exists(url):
        return
    if not isinstance(files, LocalFileSystem):
        write_bytes(url, data)
        return
    own = f"{path}.{os.getpid()}.{threading.get_ident()}.partial"
    _write_local(Path(own), data)
    with suppress(FileExistsError):
        os.link(own, path)
    Path(own).unlink()


def _write_local(path: Path, data: bytes) -> None:
    descriptor, temporary = _temporary_beside(path)
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


def _temporary_beside(path: Path) -> tuple[int, str]:
    """Descriptor and name of a new file, in the folder of another; from then on nobody takes that for empty."""
    for once in _folder_tries():
        with once:
            path.parent.mkdir(parents=True, exist_ok=True)
            return tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    raise AssertionError("unreachable")


def _folder_tries() -> Iterator[AbstractContextManager[None]]:
    """Within each but the last it does not matter that a folder which was just made is gone again."""
    yield from repeat(suppress(FileNotFoundError, FileExistsError), FOLDER_TRIES - 1)
    yield nullcontext()


def settle(url: str) -> None:
    """Bring every file below a local folder to the disk itself, so that a power cut takes none of them back."""
    files, path = filesystem(url)
    if not isinstance(files, LocalFileSystem):
        return
    for folder, _, names in os.walk(path):
        for name in [*names, "."]:
            try:
                descriptor = os.open(os.path.join(folder, name), os.O_RDONLY)
            except FileNotFoundError:  # a temporary file of another writer, renamed by now
                continue
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
    if not exists(url):
        return
    with suppress(FileNotFoundError):  # gone by now, or by an earlier attempt whose answer was lost
        persist(url, files.rm_file, path)


def remove_empty_folders(url: str, names: Iterable[str]) -> None:
    """Of the folders below a local one that files of these names lay in, remove what is empty; an object store has none.

    A folder that somebody has put a file into stays, whenever that was; who is about to do so makes it again.
    """
    if not is_local(url):
        return
    base = Path(filesystem(url)[1])
    found = {folder for name in names for folder in (base / name).parents if folder.is_relative_to(base) and folder != base}
    for folder in sorted(found, reverse=True):  # what lies in it first
        with suppress(OSError):  # it is not empty, or gone
            folder.rmdir()


def children(url: str) -> list[str]:
    """Sorted names of what lies directly in a folder; empty if there is no such folder."""
    files, path = filesystem(url)
    files.invalidate_cache()
    try:
        entries = persist(url, files.ls, path, detail=False)
    except (FileNotFoundError, NotADirectoryError):
        return []
    names = {entry.rstrip("/").rsplit("/", 1)[-1] for entry in entries}
    return sorted(name for name in names if not name.startswith("."))


def folders_holding(url: str, file: str) -> list[str]:
    """Sorted names of the folders directly in a folder that hold a file of this name.

    One listing where that is a request for every thousand keys; a look into every folder where that costs microseconds.
    """
    if is_local(url):
        base = filesystem(url)[1]
        return [name for name in children(url) if os.path.exists(os.path.join(base, name, file))]
    return sorted(name.split("/")[0] for name in files_below(url) if name.count("/") == 1 and name.endswith(f"/{file}"))


def files_below(url: str) -> dict[str, dict[str, Any]]:
    """Every file below a folder: path relative to it -> fsspec's info, sorted by path."""
    files, path = filesystem(url)
    files.invalidate_cache()
    prefix = path.rstrip("/") + "/"
    found = persist(url, files.find, path, detail=True)
    return {name[len(prefix) :]: info for name, info in sorted(found.items()) if name.startswith(prefix)}


def zarr_store(url: str, read_only: bool = False) -> Store:
    """A Zarr store at a URL. Local disks take Zarr's own store, which renames; fsspec's can leave a torn chunk after a kill.

    Of the errors of a store, only FileNotFoundError means that there is nothing.
    """
    if is_local(url):
        return _Disk(filesystem(url)[1], read_only=read_only)
    return FsspecStore.from_url(url, read_only=read_only, allowed_exceptions=(FileNotFoundError,))


class _Disk(LocalStore):
    """Zarr's own store, which makes a folder again that was removed while it was empty."""

    async def set(self, key: str, value: Buffer) -> None:
        for once in _folder_tries():
            with once:
                await super().set(key, value)
                return
