"""Published labels as an Icechunk repository: each version one snapshot, tagged with its name; ``main`` is at the latest one.

A version is written in a session, which nobody sees until its commit moves ``main``, all at once. One publisher at a time: a
commit to a ``main`` that has moved since the session began is refused, never rebased, for that would mix two versions.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import zarr
from numpy.typing import NDArray
from zarr.abc.store import ByteRequest, Store
from zarr.core.buffer import Buffer, BufferPrototype
from zarr.storage import WrapperStore

from storage.credentials import mask_credentials
from storage.published.contents import Row, write_arrays
from storage.published.repository import create_repository, icechunk, lock, open_repository, refuse_fork
from storage.retries import StoreError
from storage.urls import settle

MAIN = "main"
RECORD = ("version", "created", "panoramas", "bytes", "run", "complete", "fingerprints")
"""What the metadata of a version's commit tells of it."""


class PublishConflict(RuntimeError):
    """Another publisher moved ``main`` at the same time; the message says what to do."""


def write_version(
    url: str, version: str, items: Iterable[Mapping[str, NDArray] | None], rows: Sequence[Row], attributes: Mapping[str, Any]
) -> None:
    """Write a version as one snapshot, which becomes the latest. The repository is made if there is none.

    Parameters
    ----------
    url : str
        URL of the publication, on a local disk or S3.
    version, items, rows, attributes
        As in :func:`storage.published.plain.write_version`.

    Raises
    ------
    PublishConflict
        Another publisher committed in the meantime; readers have its version.
    StoreError
        The repository cannot be read or written; readers have the former version.
    """
    with _explained(url):
        repository = open_repository(url) or create_repository(url)
        _tag(repository, _tip(repository))
        session = repository.writable_session(MAIN)
        session.store.sync_clear()
        store = _Weighed(session.store)
        write_arrays(url, store, items, rows, {**attributes, "version": version})
        settle(url)
        record = {**attributes, "version": version, "panoramas": len(rows), "bytes": store.written}
        _tag(repository, _commit(url, repository, session, {key: record[key] for key in RECORD}))
        settle(url)


def check_version(url: str, version: str) -> list[str]:
    """What of a version cannot be read back, a line an array."""
    problems = []
    for name, array in open_published(url, version).arrays():
        try:
            for slot in range(array.shape[0]):
                array[slot]
        except Exception as error:  # Icechunk's, Zarr's and those of its codecs have nothing in common
            problems.append(f"{name}: {type(error).__name__}: {str(error)[:200]}")
    return problems


def expire(url: str) -> None:
    """Remove all versions but the latest, with their bytes. Nobody may publish meanwhile: what is not committed goes too."""
    now = datetime.now(UTC)
    with _explained(url), lock(url):
        repository = open_repository(url)
        assert repository is not None, "there is one"
        repository.expire_snapshots(now, delete_expired_tags=True)
        repository.garbage_collect(now)
        _tag(repository, _tip(repository))  # its old tag expired with the others


def is_published(url: str, version: str) -> bool:
    """Whether a version is there."""
    with _explained(url):
        repository = open_repository(url)
        return repository is not None and _find(repository, version) is not None


def point_at(url: str, version: str) -> None:
    """Make a version the latest one. PublishConflict if another publisher does the same with another version."""
    with _explained(url), lock(url):
        repository = open_repository(url)
        wanted = _find(repository, version) if repository else None
        assert repository is not None
        assert wanted is not None
        _tag(repository, wanted)
        tip = _tip(repository)
        if wanted.id != tip.id:
            repository.reset_branch(MAIN, wanted.id, from_snapshot_id=tip.id)


def versions(url: str) -> list[dict[str, Any]]:
    """The records of all versions, oldest first, as :func:`plain.versions` has them, and their ``fingerprints``."""
    with _explained(url):
        if (repository := open_repository(url)) is None:
            return []
        tip = repository.lookup_branch(MAIN)
        found = map(repository.lookup_snapshot, {tip, *map(repository.lookup_tag, repository.list_tags())})
        published = sorted((one for one in found if "version" in one.metadata), key=lambda one: one.metadata["created"])
        return [{**{key: one.metadata[key] for key in RECORD}, "latest": one.id == tip} for one in published]


def open_published(url: str, version: str | None = None) -> zarr.Group:
    """See :func:`storage.published.opening.open_published`. The group stays at its snapshot whatever is published later."""
    with _explained(url):
        repository = open_repository(url)
        found = _find(repository, version) if repository else None
        if repository is None or found is None:
            raise FileNotFoundError(f"{url}: {f'no version {version}' if version else 'nothing'} is published there")
        store = _Unforked(repository.readonly_session(snapshot_id=found.id).store)
        return zarr.open_group(store, mode="r", zarr_format=3)


class _Unforked(WrapperStore[Store]):
    """A store whose reads raise in a forked process, rather than hang."""

    async def get(self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None) -> Buffer | None:
        refuse_fork()
        return await super().get(key, prototype, byte_range)


class _Weighed(WrapperStore[Store]):
    """A store that counts the bytes of the chunks that are written to it."""

    written = 0

    async def set(self, key: str, value: Buffer) -> None:
        await super().set(key, value)
        if not key.endswith("zarr.json"):
            self.written += len(value)


def _commit(
    url: str, repository: icechunk.Repository, session: icechunk.Session, record: dict[str, Any]
) -> icechunk.SnapshotInfo:
    with lock(url):
        try:
            return repository.lookup_snapshot(session.commit(f"version {record['version']}", record))
        except icechunk.ConflictError:
            # The server may have done it, and its answer was lost: a second request then finds main moved.
            if (tip := _tip(repository)).metadata.get("version") != record["version"]:
                raise
            return tip


def _tip(repository: icechunk.Repository) -> icechunk.SnapshotInfo:
    return repository.lookup_snapshot(repository.lookup_branch(MAIN))


def _find(repository: icechunk.Repository, version: str | None) -> icechunk.SnapshotInfo | None:
    """The snapshot of a version, or of the latest one, whose publisher may have died before it set the tag."""
    tip = _tip(repository)
    if "version" in tip.metadata and version in (None, tip.metadata["version"]):
        return tip
    tag = _tag_of(repository, version) if version else None
    return repository.lookup_snapshot(repository.lookup_tag(tag)) if tag else None


def _tag(repository: icechunk.Repository, snapshot: icechunk.SnapshotInfo) -> None:
    """See that a version has its tag: without one it would be lost when ``main`` goes elsewhere."""
    version = snapshot.metadata.get("version")
    if not version or _tag_of(repository, version):
        return
    try:
        repository.create_tag(version, snapshot.id)
    except icechunk.IcechunkError as error:
        if "already exists" not in str(error):
            raise
        repository.create_tag(f"{version}.{snapshot.id}", snapshot.id)  # the name of a tag that was removed is never free again


def _tag_of(repository: icechunk.Repository, version: str) -> str | None:
    return next((tag for tag in repository.list_tags() if tag.partition(".")[0] == version), None)


@contextmanager
def _explained(url: str) -> Iterator[None]:
    """Icechunk's errors as those of this program: what is wrong, and what to do."""
    shown = mask_credentials(url)
    try:
        yield
    except (icechunk.ConflictError, icechunk.IcechunkError) as error:
        if isinstance(error, icechunk.ConflictError) or "branch update conflict" in str(error):
            raise PublishConflict(
                f"{shown}: another publisher made its version the latest one in the meantime, and this one changed nothing. "
                "Publish from one place at a time; see what is there with --list, and publish again if yours is to be the latest"
            ) from error
        reason = mask_credentials(str(error).strip().rsplit("`-> ", 1)[-1])
        raise StoreError(
            errno.EIO,
            f"{shown}: Icechunk cannot read or write it ({reason[:300]}); readers have the version that they had. Check the "
            "store's space, network and credentials, and publish again",
        ) from error
