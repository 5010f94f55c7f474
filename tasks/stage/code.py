"""A digest of the code that makes labels, so that workers with another version are found out before they make any."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import lru_cache
from importlib.metadata import packages_distributions, version
from importlib.util import find_spec
from pathlib import Path

from tasks.stage.kind import Stage, upstream_names

ROOMS = ("configs", "geometry", "metrics", "models", "scenes", "storage", "tasks")


def code_of(*stages: Stage) -> str:
    """The digest of the code that makes stages, that of packages which add their kinds, or kinds that they read, in it."""
    return code_digest(*packages_of(*stages))


def packages_of(*stages: Stage) -> tuple[str, ...]:
    """Import names of the packages, beside this project, that add the kinds of stages and of all that these read."""
    behind: dict[int, Stage] = {}
    waiting = [*stages]
    while waiting:
        one = waiting.pop()
        if id(one) not in behind:
            behind[id(one)] = one
            waiting += [one.panoramas, *upstream_names(one.inputs).values()]
    modules = [name for stage in behind.values() for name in (stage.kind.make, stage.kind.settings.__module__)]
    return tuple(sorted({name.partition(":")[0].partition(".")[0] for name in modules if name} - {*ROOMS}))


@lru_cache
def code_digest(*packages: str) -> str:
    """First 16 hex digits of the sha256 of every source file that a worker runs, as they were at first use.

    Those are the files of the rooms, and those of the distributions that other ``packages``, by import name, belong to.
    """
    home = Path(__file__).resolve().parents[2]
    folders = [home / room for room in ROOMS] + [folder for name in _of_distributions(packages) for folder in _folders(name)]
    sha256 = hashlib.sha256()
    for folder in folders:
        for path in sorted(folder.rglob("*.py")) if folder.is_dir() else [folder]:
            sha256.update(path.relative_to(folder.parent).as_posix().encode())
            sha256.update(path.read_bytes())
    return sha256.hexdigest()[:16]


@lru_cache
def versions_of(*packages: str) -> dict[str, str]:
    """Versions of the distributions that packages belong to, by import name; those that were not installed have none."""
    owners = packages_distributions() if packages else {}
    return {name: version(name) for name in sorted({owner for package in packages for owner in owners.get(package, ())})}


def _of_distributions(packages: tuple[str, ...]) -> list[str]:
    """Those packages, and all others of their distributions."""
    owners = packages_distributions() if packages else {}
    wanted = {owner for package in packages for owner in owners.get(package, ())}
    return sorted({*packages, *(name for name, found in owners.items() if wanted & {*found})})


def _folders(package: str) -> Iterator[Path]:
    """Where the source of a package lies: its folders, or its one file."""
    spec = find_spec(package)
    if spec is not None and spec.submodule_search_locations:
        yield from (Path(place).resolve() for place in spec.submodule_search_locations)
    elif spec is not None and spec.origin and Path(spec.origin).suffix == ".py":
        yield Path(spec.origin).resolve()
