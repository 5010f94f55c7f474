"""Many objects of one dataclass as a table: each becomes an object when it is asked for, and what is asked of all is asked of
columns. A million panoramas take some hundreds of megabytes so, and not some gigabytes."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import fields
from itertools import islice
from typing import Any, Generic, Self, TypeVar, overload

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from storage.fingerprint import canonical_json

AT_ONCE = 10_000
"""Rows that are objects at a time while all are passed through."""
Row = TypeVar("Row", covariant=True)
Rows = NDArray[np.int64]


class Columns(Sequence[Row], Generic[Row]):
    """Rows of a ``table`` as objects of the dataclass ``kind``, whose fields are its columns; all of them, or those of ``rows``.

    Fields that are mappings are columns of canonical JSON. It equals any sequence of equal objects.
    """

    def __init__(self, kind: type[Row], table: pa.Table, rows: Rows | None = None) -> None:
        self._kind, self._table, self._rows = kind, table, rows

    @classmethod
    def of(cls, kind: type[Row], schema: pa.Schema, objects: Iterable[Row]) -> Self:
        """Objects as columns of a schema; those that an iterator makes are gone by the next."""
        if isinstance(objects, cls):
            return objects
        left = iter(objects)
        tables = [schema.empty_table()]
        while some := list(islice(left, AT_ONCE)):
            tables.append(_table(some, schema, json_fields(kind)))
        return cls(kind, pa.concat_tables(tables).combine_chunks())

    def __len__(self) -> int:
        return self._table.num_rows if self._rows is None else len(self._rows)

    @overload
    def __getitem__(self, place: int) -> Row: ...
    @overload
    def __getitem__(self, place: slice) -> Self: ...
    def __getitem__(self, place: int | slice) -> Row | Self:
        if isinstance(place, slice):
            return self.take(np.arange(len(self))[place])
        if not -len(self) <= place < len(self):
            raise IndexError(place)
        return next(iter(self.take(np.array([place % len(self)]))))

    def __iter__(self) -> Iterator[Row]:
        for start in range(0, len(self), AT_ONCE):
            yield from _objects(self._kind, self._part(start, start + AT_ONCE))

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if isinstance(other, Columns):
            return bool(self.table.equals(other.table))
        return isinstance(other, Sequence) and len(self) == len(other) and all(a == b for a, b in zip(self, other))

    def __repr__(self) -> str:
        return repr(list(self))

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return type(self), (self._kind, self.table.combine_chunks())

    @property
    def table(self) -> pa.Table:
        """The rows, and no others."""
        return self._table if self._rows is None else self._table.take(pa.array(self._rows))

    def column(self, name: str) -> pa.ChunkedArray:
        """The values of one field."""
        whole = self._table[name]
        return whole if self._rows is None else whole.take(pa.array(self._rows))

    def values(self, name: str) -> list[Any]:
        """The values of one field as Python's."""
        return _values(self.column(name), name in json_fields(self._kind))

    @property
    def names(self) -> list[str]:
        """What the objects, which are items, are called."""
        return self.column("item").to_pylist()

    def each(self, name: str) -> Iterator[Any]:
        """The values of one field, some of them in memory at a time; mappings as JSON."""
        for start in range(0, len(self), AT_ONCE):
            yield from self._part(start, start + AT_ONCE)[name].to_pylist()

    def numbers(self, name: str) -> NDArray[np.int64]:
        """The values of a field that is a number."""
        return np.asarray(self.column(name)).astype(np.int64)

    def take(self, rows: Rows) -> Self:
        """Some rows, in their order; nothing is copied."""
        return type(self)(self._kind, self._table, rows if self._rows is None else self._rows[rows])

    def where(self, mask: pa.ChunkedArray | NDArray[np.bool_]) -> Self:
        """The rows of which a mask is true."""
        rows = np.flatnonzero(np.asarray(mask))
        return self if len(rows) == len(self) else self.take(rows)

    def without(self, rows: Rows) -> Self:
        """All rows but these; -1 is none."""
        left = np.ones(len(self), bool)
        left[rows[rows >= 0]] = False
        return self if bool(left.all()) else self.where(left)

    def with_column(self, name: str, values: pa.Array | pa.ChunkedArray) -> Self:
        """The same objects, one field of each with another value."""
        table = self.table
        return type(self)(self._kind, table.set_column(table.schema.get_field_index(name), table.schema.field(name), values))

    def with_numbers(self, name: str, values: NDArray[np.integer]) -> Self:
        """As :meth:`with_column`, of a field that is a number."""
        return self.with_column(name, pa.array(values, self._table.schema.field(name).type))

    def plus(self, *others: Self) -> Self:
        """These, and then others; nothing is copied of whole tables."""
        parts = [part for part in (self, *others) if len(part)]
        if len(parts) < 2:
            return parts[0] if parts else self
        return type(self)(self._kind, pa.concat_tables([part.table for part in parts]))

    def in_order(self, name: str) -> Self:
        """The same objects in the order of a field."""
        order = pc.sort_indices(self.column(name)).to_numpy()
        return self if bool((np.diff(order) == 1).all()) else self.take(order)

    def _part(self, start: int, stop: int) -> pa.Table:
        if self._rows is None:
            return self._table.slice(start, stop - start)
        rows = self._rows[start:stop]
        first, last = (int(rows[0]), int(rows[-1])) if len(rows) else (0, -1)
        if last - first == len(rows) - 1 and bool((np.diff(rows) == 1).all()):
            return self._table.slice(first, len(rows))
        return self._table.take(pa.array(rows))


def json_fields(kind: type) -> frozenset[str]:
    """The fields of a dataclass that are mappings."""
    return frozenset(field.name for field in fields(kind) if field.default_factory is dict)


def as_json(value: Any) -> str:
    """A mapping as canonical JSON: most are empty."""
    return canonical_json(value) if value else "{}"


def _table(objects: Sequence[Any], schema: pa.Schema, texts: Collection[str]) -> pa.Table:
    columns = []
    for field in schema:
        values = [getattr(one, field.name) for one in objects]
        columns.append(pa.array([as_json(value) for value in values] if field.name in texts else values, field.type))
    return pa.Table.from_arrays(columns, schema=schema)


def column_of(objects: Sequence[Any], name: str) -> list[Any]:
    """The values of one field of objects, in columns or not."""
    return objects.values(name) if isinstance(objects, Columns) else [getattr(one, name) for one in objects]


def places_in(column: pa.ChunkedArray, others: pa.ChunkedArray) -> NDArray[np.int64]:
    """Where each value of a column stands among others, of which no two are equal; -1 where it is none of them."""
    return np.asarray(pc.fill_null(pc.index_in(column, value_set=others.combine_chunks()), -1)).astype(np.int64)


def found_in(column: pa.ChunkedArray, values: Collection[str]) -> NDArray[np.bool_]:
    """Which values of a column are among these."""
    return np.asarray(pc.is_in(column, value_set=pa.array([*values], pa.string())))


def _objects(kind: type[Row], table: pa.Table) -> Iterator[Row]:
    texts = json_fields(kind)
    return map(kind, *(_values(table[field.name], field.name in texts) for field in fields(kind)))  # type: ignore[arg-type]


def _values(column: pa.ChunkedArray, is_json: bool) -> list[Any]:
    values = column.to_pylist()
    return [json.loads(text) if text != "{}" else {} for text in values] if is_json else values
