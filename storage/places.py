"""What lies below ``<root>/stages``: blocks of every stage and fingerprint, and manifests of the stages that read a source."""

from __future__ import annotations

from collections.abc import Iterator

from storage.manifest import PARTS, SUFFIX
from storage.urls import children, join

Place = tuple[str, str, str]
"""Stage, fingerprint and name of a block."""


def block_places(root: str) -> Iterator[Place]:
    """Every folder of a block, finished or not."""
    return (place for place in _places(root) if not place[-1].endswith((SUFFIX, PARTS)))


def manifests(root: str) -> list[str]:
    """URLs of all manifests of a store; of one that is not written yet there is what was placed so far."""
    named = (
        join(root, "stages", stage, fingerprint, name.removesuffix(PARTS).removesuffix(SUFFIX) + SUFFIX)
        for stage, fingerprint, name in _places(root)
        if name.endswith((SUFFIX, PARTS))
    )
    return list(dict.fromkeys(named))


def _places(root: str) -> Iterator[Place]:
    for stage in children(join(root, "stages")):
        for fingerprint in children(join(root, "stages", stage)):
            for name in children(join(root, "stages", stage, fingerprint)):
                yield stage, fingerprint, name
