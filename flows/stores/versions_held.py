"""Published versions that hold the labels of some panoramas: plain ones lose these rows, Icechunk's history must expire."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Any

import zarr

from flows.stores.held import Wanted
from storage.published import open_published, plain
from storage.published.contents import ICECHUNK
from storage.records.forgotten import REASON, Forgotten
from storage.urls import children, join


def blank_versions(root: str, what: Wanted, record: Forgotten) -> list[str]:
    """Take panoramas out of all plain versions of a store; returns those that held them, as ``name/version``.

    A version whose record names them was finished by an earlier attempt.
    """
    blanked = []
    for name in children(join(root, "published")):
        folder = join(root, "published", name)
        for one in plain.versions(folder) if not name.endswith(ICECHUNK) else ():
            rows = rows_of(open_published(folder, one["version"]), what)
            if not set(rows.values()) <= set(one.get("forgotten", ())):
                plain.blank(folder, one["version"], rows, f"{REASON}{record.events[-1].because}")
            blanked += [f"{name}/{one['version']}"] * bool(rows)
    return blanked


def expirable(root: str, what: Wanted) -> Iterator[dict[str, Any]]:
    """Icechunk repositories with versions that hold panoramas: name, versions, whether the latest does, and how they expire."""
    for name in children(join(root, "published")):
        if not name.endswith(ICECHUNK):
            continue
        from storage.published import icechunk  # an optional library

        url = join(root, "published", name)
        held = [one for one in icechunk.versions(url) if _shows(open_published(url, one["version"]), what)]
        if held:
            call = f"from storage.published.icechunk import expire; expire({url!r})"
            yield {
                "name": name.removesuffix(ICECHUNK),
                "versions": [one["version"] for one in held],
                "latest": any(one["latest"] for one in held),
                "expire": shlex.join(["python", "-c", call]),
            }


def rows_of(group: zarr.Group, what: Wanted) -> dict[int, str]:
    """Rows of a version that are of these panoramas, with their names."""
    told = zip(_texts(group, "item"), _texts(group, "digest"), strict=True)
    return {row: item for row, (item, digest) in enumerate(told) if what.is_row(item, digest)}


def _shows(group: zarr.Group, what: Wanted) -> bool:
    """Whether a version has labels of them: a row that was given up has none."""
    valid = group["valid"]
    assert isinstance(valid, zarr.Array)
    return any(valid[row] for row in rows_of(group, what))


def _texts(group: zarr.Group, name: str) -> list[str]:
    array = group[name]
    assert isinstance(array, zarr.Array)
    return [str(value) for value in array[:].tolist()]  # type: ignore[union-attr]
