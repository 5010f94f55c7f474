"""Local folders that are not there, or cannot be listed: what to do about it."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from tasks.ingest.entries import SourceError


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
