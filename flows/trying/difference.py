"""How what was tried differs from what is stored: array by array, figure by figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flows.trying.rows import Row
from storage.arrays import arrays_digest
from storage.fingerprint import canonical_json
from tasks.stage.kind import Stage
from tasks.stage.plain import named_function

CLASSES = "classes"
"""What blocks call the vocabulary of their class maps."""
CLASS_MAP = "semantics"
"""The array of indices into the vocabulary, valid where the mask ``<name>_valid`` says so."""


@dataclass(frozen=True)
class ClassShare:
    """A class's share of the valid pixels of a map."""

    name: str
    before: float
    after: float


@dataclass(frozen=True)
class ArrayDifference:
    """How two arrays differ: the largest difference of values that both have, and the share of values (pixels, where each has
    several numbers) that are not the same. ``form`` tells dtypes and shapes where those differ; there are no figures then."""

    name: str
    maximum: float | None = None
    share: float | None = None
    form: str = ""
    classes: tuple[ClassShare, ...] = ()


@dataclass(frozen=True)
class FigureDifference:
    """A figure of the receipt, by its dotted name, before and after; None where there is none."""

    name: str
    before: Any
    after: Any


@dataclass(frozen=True, eq=False)
class Difference:
    """The row that was tried, and the stored one that it is held against."""

    stage: Stage
    stored: Row
    tried: Row

    @property
    def same(self) -> bool:
        """Whether both rows are alike to the last bit: state, arrays, figures, and what their blocks say of them."""
        one, other = self.stored.told, self.tried.told
        digests = [row.told.digest or arrays_digest(row.arrays()) for row in (self.stored, self.tried)]
        alike = (one.state, one.reason) == (other.state, other.reason) and digests[0] == digests[1]
        return alike and not self.figures and self.stored.receipt.about == self.tried.receipt.about

    @cached_property
    def values(self) -> tuple[dict[str, NDArray], dict[str, NDArray]]:
        """Stored and tried arrays as values."""
        return decoded(self.stage, self.stored), decoded(self.stage, self.tried)

    @cached_property
    def arrays(self) -> tuple[ArrayDifference, ...]:
        """The arrays that differ."""
        before, after = self.values
        names = sorted(before.keys() | after.keys())
        return tuple(found for name in names if (found := self._array(name, before, after)) is not None)

    @cached_property
    def figures(self) -> tuple[FigureDifference, ...]:
        """The figures that differ."""
        before, after = (dict(_flat(row.told.figures)) for row in (self.stored, self.tried))
        names = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
        return tuple(FigureDifference(name, before.get(name), after.get(name)) for name in names)

    def as_json(self) -> dict[str, Any]:
        """All of it as JSON values."""
        about = [key for key in sorted(self.about) if self.about[key][0] != self.about[key][1]]
        return {
            "same": self.same,
            "arrays": [asdict(one) for one in self.arrays],
            "figures": [asdict(one) for one in self.figures],
            "about": {key: dict(zip(("before", "after"), self.about[key])) for key in about},
        }

    @property
    def about(self) -> dict[str, tuple[Any, Any]]:
        """What the two blocks say of their outputs."""
        before, after = self.stored.receipt.about, self.tried.receipt.about
        return {key: (before.get(key), after.get(key)) for key in before.keys() | after.keys()}

    def _array(self, name: str, before: Mapping[str, NDArray], after: Mapping[str, NDArray]) -> ArrayDifference | None:
        one, other = before.get(name), after.get(name)
        classes = self._classes(before, after) if name == CLASS_MAP else ()
        if one is None or other is None or (one.dtype, one.shape) != (other.dtype, other.shape):
            return ArrayDifference(name, form=f"{_form(one)} -> {_form(other)}", classes=classes)
        differ = one != other if not _is_float(one) else (one != other) & ~(np.isnan(one) & np.isnan(other))
        if not differ.any():
            return None
        maximum = None if name == CLASS_MAP else _largest(one, other)
        pixels = differ.any(axis=-1) if one.ndim > 2 and one.shape[-1] == 3 else differ
        return ArrayDifference(name, maximum, float(pixels.mean()), classes=classes)

    def _classes(self, before: Mapping[str, NDArray], after: Mapping[str, NDArray]) -> tuple[ClassShare, ...]:
        before_about, after_about = self.stored.receipt.about, self.tried.receipt.about
        shares = class_shares(before, before_about.get(CLASSES, ())), class_shares(after, after_about.get(CLASSES, ()))
        names = dict.fromkeys([*shares[0], *shares[1]])
        found = (ClassShare(name, shares[0].get(name, 0.0), shares[1].get(name, 0.0)) for name in names)
        return tuple(one for one in found if one.before != one.after)


def decoded(stage: Stage, row: Row) -> dict[str, NDArray]:
    """The arrays of a row as values in their units, where the stage's kind says how; others as stored."""
    arrays = row.arrays()
    if not arrays or not stage.kind.decode:
        return arrays
    found: dict[str, NDArray] = named_function(stage.kind.decode)(arrays, row.receipt.about)
    return found


def class_shares(arrays: Mapping[str, NDArray], classes: Sequence[str]) -> dict[str, float]:
    """Of every class its share of the valid pixels (..., H, W) of the class map, each counted alike."""
    if CLASS_MAP not in arrays:
        return {}
    indices = arrays[CLASS_MAP]
    counts = np.bincount(indices[arrays.get(f"{CLASS_MAP}_valid", np.ones(indices.shape, bool))].ravel(), minlength=len(classes))
    names = [classes[index] if index < len(classes) else str(index) for index in range(len(counts))]
    return dict(zip(names, (counts / max(counts.sum(), 1)).tolist()))


def _largest(one: NDArray, other: NDArray) -> float | None:
    apart = np.abs(one.astype(np.float64) - other.astype(np.float64))
    apart = apart[np.isfinite(apart)]
    return float(apart.max()) if apart.size else None


def _is_float(array: NDArray) -> bool:
    return bool(np.issubdtype(array.dtype, np.floating))


def _form(array: NDArray | None) -> str:
    return "none" if array is None else f"{array.dtype}{array.shape}"


def _flat(value: Any, prefix: str = "") -> list[tuple[str, Any]]:
    """A mapping's values by dotted names; lists stand as JSON."""
    if not isinstance(value, Mapping):
        return [(prefix, canonical_json(value) if isinstance(value, list) else value)]
    return [one for key, inner in value.items() for one in _flat(inner, f"{prefix}.{key}" if prefix else str(key))]
