"""Icechunk repositories at the URLs that fsspec knows, local or on S3: found, made, and locked where the store cannot."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from storage.credentials import mask_credentials
from storage.retries import StoreError
from storage.urls import exists, files_below, filesystem, is_local, join, remove

try:
    import icechunk
except ModuleNotFoundError as error:
    message = "publications that end in .icechunk need Icechunk; install it with: pip install 'panolabel[icechunk]'"
    raise ModuleNotFoundError(message, name="icechunk") from error

if "ICECHUNK_LOG" not in os.environ:
    icechunk.set_logs_filter("error")  # it warns, on stdout, of concurrent commits to a local disk, where we lock

_PROCESS = os.getpid()

FIRST_FILE = "snapshots/1CECHNKREP0F1RSTCMT0"
"""The empty snapshot, which every repository begins with; its branch is the second file, and makes it a repository."""
CREATION = timedelta(minutes=1)
"""If the second file is not there by then, it will not come."""


def refuse_fork() -> None:
    """RuntimeError in a process forked from one that uses Icechunk, whose threads it lacks: a call would wait for ever."""
    if os.getpid() != _PROCESS:
        raise RuntimeError(
            "Icechunk does not survive a fork: start the process by 'spawn' or 'forkserver', "
            'as in DataLoader(..., multiprocessing_context="spawn")'
        )


def open_repository(url: str) -> icechunk.Repository | None:
    """The repository at a URL, or None if there is none."""
    # fsspec is asked first: its errors say what is wrong, and Icechunk would make the folder.
    if not exists(url) or not icechunk.Repository.exists(storage := _storage(url)):
        return None
    return icechunk.Repository.open(storage)


def create_repository(url: str) -> icechunk.Repository:
    """The repository at a URL, made if there is none.

    Raises
    ------
    StoreError
        Somebody else is making it.
    ValueError
        The store is neither a local disk nor S3.
    """
    with lock(url):
        if exists(url):
            _sweep(url)
        return icechunk.Repository.open_or_create(_storage(url))


@contextmanager
def lock(url: str) -> Iterator[None]:
    """Keep other processes from moving branches. A no-op on S3, whose conditional writes do that; a local disk has none."""
    if not is_local(url):
        yield
        return
    path = Path(filesystem(url)[1])
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(f".{path.name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # gone when the process is
        yield


def _sweep(url: str) -> None:
    """Remove what is left of a repository whose maker died between its first file and its second: Icechunk would give up."""
    left = files_below(url)
    if not left or not all(name.startswith(FIRST_FILE) for name in left):
        return
    files, path = filesystem(url)
    newest = max(files.modified(join(path, name)) for name in left)
    if datetime.now(UTC) - newest < CREATION:
        shown = mask_credentials(url)
        raise StoreError(errno.EBUSY, f"{shown}: another publisher is making this repository, or died; publish again in a minute")
    for name in left:
        remove(join(url, name))


def _storage(url: str) -> icechunk.Storage:
    refuse_fork()
    files, path = filesystem(url)
    if is_local(url):
        return icechunk.local_filesystem_storage(path)
    if "s3" not in files.protocol:
        raise ValueError(
            f"{mask_credentials(url)}: Icechunk publications live on a local disk or S3; use `publish --to zarr` here"
        )
    bucket, _, prefix = path.partition("/")
    client = files.connect().meta  # as botocore found them: arguments, environment, profile
    custom = None if "amazonaws.com" in client.endpoint_url else client.endpoint_url
    credentials = {"access_key_id": files.key, "secret_access_key": files.secret, "session_token": files.token}
    return icechunk.s3_storage(
        bucket=bucket,
        prefix=prefix,
        region=client.region_name,
        endpoint_url=custom,
        allow_http=bool(custom and custom.startswith("http://")),
        force_path_style=bool(custom),
        anonymous=files.anon or None,
        from_env=not (files.anon or files.key) or None,  # renews itself, unlike keys that botocore found
        **(credentials if files.key and not files.anon else {}),
    )
