"""From a URL to the file system and the path that it names, and back.

A path is taken as it is, whatever its characters: what starts with ``/`` is a local path, ``s3://bucket/a::b`` a key of that
name. Only what begins with a file system that opens the files of another one is a chain: ``zip://a.jpg::s3://bucket/x.zip``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from functools import lru_cache

import fsspec
from fsspec.implementations.local import LocalFileSystem
from fsspec.registry import known_implementations, registry

ARCHIVES = ("cell", "zip", "tar", "libarchive")
"""File systems that open one file of another."""
CACHES = ("simplecache", "filecache", "blockcache", "cached", "dir", "reference")
"""File systems that stand before another; fsspec builds them."""
SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
PACKAGES = {
    **dict.fromkeys(("s3", "s3a"), "'panolabel[s3]'"),
    **dict.fromkeys(("gs", "gcs"), "gcsfs"),
    **dict.fromkeys(("az", "adl", "abfs", "abfss"), "adlfs"),
    **dict.fromkeys(("sftp", "ssh"), "paramiko"),
    **dict.fromkeys(("http", "https"), "aiohttp"),
    "hf": "huggingface_hub",
    "github": "requests",
    "smb": "smbprotocol",
}
"""Scheme -> the package that its file system needs."""

fsspec.register_implementation("cell", "storage.cells.ParquetCells")


class AddressError(ValueError):
    """The URL names no file system that can be used here; the message says what to do."""


@lru_cache(maxsize=64)
def filesystem(url: str) -> tuple[fsspec.AbstractFileSystem, str]:
    """The file system of a URL and the path on it. Instances are shared, as fsspec means them to be.

    Raises
    ------
    AddressError
        There is no such file system, or its package is missing.
    """
    scheme = _scheme(url)
    try:
        if not scheme:
            return fsspec.filesystem("file"), _local_path(url)
        url = scheme + url[len(scheme) :]
        head, rest = _split_chain(scheme, url)
        if scheme in ARCHIVES:
            outer, path = filesystem(rest) if rest else (None, "::")
            if outer is None or ("::" in path and scheme != "cell"):
                raise AddressError(f"{url}: must name an archive whose path has no '::', as {scheme}://::/data/x.{scheme} does")
            target = outer.protocol if isinstance(outer.protocol, str) else outer.protocol[0]
            files = fsspec.filesystem(scheme, fo=path, target_protocol=target, target_options=outer.storage_options)
            return files, files._strip_protocol(head)
        if scheme in CACHES:
            return fsspec.url_to_fs(url)
        kind = fsspec.get_filesystem_class(scheme)
        return fsspec.filesystem(scheme, **kind._get_kwargs_from_urls(url)), kind._strip_protocol(url)
    except ImportError as error:
        how = f"pip install {PACKAGES[scheme]}" if scheme in PACKAGES else str(error)
        raise AddressError(f"{url}: URLs of {scheme}:// need a package that is not installed: {how}") from error


@lru_cache(maxsize=64)
def url_at(url: str) -> Callable[[str], str]:
    """A function that gives the URL of any path on the file system of a URL; :func:`filesystem` gives that path back."""
    files, base = filesystem(url)
    if isinstance(files, LocalFileSystem):
        return str
    scheme = _scheme(url)
    head, rest = _split_chain(scheme, url)
    if scheme in CACHES and rest:
        inner = url_at(rest)
        return lambda path: f"{scheme}::{inner(path)}"
    if rest:
        return lambda path: f"{scheme}://{path}::{rest}"
    try:
        if filesystem(plain := files.unstrip_protocol(base)) == (files, base) and plain:
            return files.unstrip_protocol
    except (ValueError, TypeError, KeyError, OSError):
        pass  # the path alone does not say which host or repository it is of
    start = head.rstrip("/").removesuffix(base.rstrip("/"))
    return lambda path: f"{start}{path}"


def _scheme(url: str) -> str:
    """The scheme of a URL, lower case; empty for a local path, also for one with ``::`` or ``:`` in it."""
    if url.startswith("/"):
        return ""
    if match := SCHEME.match(url):
        scheme = match[1].lower()
        if scheme in ("file", "local"):
            return ""
        if scheme not in known_implementations and scheme not in registry:
            raise AddressError(f"{url}: there is no kind of URL {scheme}://; give a path, or a URL such as s3://BUCKET/FOLDER")
        return scheme
    first, chained, _ = url.partition("::")
    return first if chained and first in (*ARCHIVES, *CACHES) else ""


def _split_chain(scheme: str, url: str) -> tuple[str, str]:
    """The first URL of a chain, and what it stands before; the whole URL and nothing where it is no chain."""
    if scheme not in (*ARCHIVES, *CACHES):
        return url, ""
    for mark in re.finditer("::", url):
        rest = url[mark.end() :]
        if rest.startswith("/") or SCHEME.match(rest) or rest.partition("::")[0] in (*ARCHIVES, *CACHES):
            return url[: mark.start()], rest
    head, _, rest = url.partition("::")
    return head, rest


def _local_path(url: str) -> str:
    """An absolute local path; what is no URL with ``file:`` is taken letter by letter, but for ``~`` at its start."""
    if url.startswith("/"):
        return url.rstrip("/") or "/"
    return os.path.abspath(LocalFileSystem._strip_protocol(SCHEME.sub(lambda match: match[0].lower(), url, count=1)))
