"""Fingerprints: what a stage's output depends on, hashed, and explained when it differs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no white space: equal values give equal text."""
    return _CANONICAL.encode(value)


def digest(data: bytes | str) -> str:
    """sha256 in hex."""
    return hashlib.sha256(data.encode() if isinstance(data, str) else data).hexdigest()


@dataclass(frozen=True)
class Identity:
    """All that can change a stage's output, apart from the items themselves.

    Parameters
    ----------
    stage : str
        Name, such as ``fuse`` or ``label.geometry``.
    version : str
        Version of the stage's code.
    settings : mapping
        Its part of the config with defaults filled in; JSON values only.
    weights : mapping
        Name of each set of weights -> digest.
    upstream : mapping
        Name of each stage it reads -> fingerprint.
    """

    stage: str
    version: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    weights: Mapping[str, str] = field(default_factory=dict)
    upstream: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def fingerprint(self) -> str:
        """First 16 hex digits of the sha256 of the canonical JSON of everything above."""
        return digest(canonical_json(asdict(self)))[:16]

    def as_json(self) -> dict[str, Any]:
        """The identity with its fingerprint, for receipts and the ledger of runs."""
        return {**asdict(self), "fingerprint": self.fingerprint}


@dataclass(frozen=True)
class Change:
    """One difference between two identities of a stage."""

    what: str
    before: str
    after: str

    def __str__(self) -> str:
        return f"{self.what}: {self.before} -> {self.after}"


def differences(before: Mapping[str, Any], after: Mapping[str, Any], name: str = "") -> list[Change]:
    """What changed between two identities, as given by :meth:`Identity.as_json`; nearest causes first.

    ``name`` is what stands before settings, the first part of the stage's own if none is given.
    """
    changes = [] if before["version"] == after["version"] else [Change("code version", before["version"], after["version"])]
    stage = name or after["stage"].split(".")[0]
    changes += [Change(f"{stage}.{key}", *pair) for key, *pair in _flat_differences(before["settings"], after["settings"])]
    changes += [
        Change(f"weights of {key}", old[:12], new[:12])
        for key, old, new in _flat_differences(before["weights"], after["weights"])
    ]
    changes += [
        Change(f"upstream {key}", old[:8], new[:8]) for key, old, new in _flat_differences(before["upstream"], after["upstream"])
    ]
    return changes


def _flat_differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    old, new = dict(_flatten(before)), dict(_flatten(after))
    for key in sorted(old.keys() | new.keys()):
        if old.get(key) != new.get(key):
            yield key, old.get(key, "(none)"), new.get(key, "(none)")


def _flatten(value: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flatten(inner, f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix, value if isinstance(value, str) else canonical_json(value)
