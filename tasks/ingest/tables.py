"""Tables as scripts, spreadsheets and data frames write them: rows of named values, and what was odd about them."""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

READ = (".csv", ".tsv", ".parquet", ".jsonl", ".ndjson")
NOT_READ = (".json", ".xlsx", ".xls", ".ods", ".txt", ".feather", ".arrow", ".pkl", ".yaml", ".yml", ".xml")
"""Ends of names of tables of other kinds: to be saved as one of those that are read."""
SEPARATORS = (",", ";", "\t")
SAID_SEPARATOR = re.compile(r'\s*"?sep=(.)"?[ \t]*(?:\r\n|\r|\n|$)', re.IGNORECASE)
"""The first line that spreadsheets write and read, and that is no header."""
INDEX = re.compile(r"unnamed: ?\d+|__index_level_\d+__", re.IGNORECASE)
"""Names that pandas gives to the numbers of rows."""


class BadTable(ValueError):
    """The table cannot be read; the message says why and what to do."""


@dataclass(frozen=True)
class Row:
    """One row: where it stands, for messages, and its values by column; a missing value is None."""

    where: str
    values: dict[str, Any]


@dataclass(frozen=True)
class Table:
    """The rows of a table, and what was odd about it, as sentences."""

    rows: list[Row]
    notes: tuple[str, ...] = ()


def read_table(name: str, data: bytes, columns: Sequence[str]) -> Table:
    """The table in a file.

    Parameters
    ----------
    name : str
        The file's name, whose end tells its kind.
    data : bytes
    columns : lower-case names that mean the same in any case and with blanks around them; the first must be there

    Raises
    ------
    BadTable
        Damaged, without a column that must be there, two columns of one name, or rows that do not fit the header.
    """
    end = name.lower().rsplit(".", 1)[-1]
    notes: list[str] = []
    try:
        if end == "parquet":
            header, rows, notes = _read_parquet(data)
        elif end in ("jsonl", "ndjson"):
            header, rows = _read_json_lines(_text(data))
        else:
            header, rows = _read_separated(_text(data), ("\t",) if end == "tsv" else SEPARATORS, columns[0])
    except (csv.Error, pa.ArrowException, OSError, MemoryError, OverflowError) as error:
        raise BadTable(f"cannot be read as a list ({str(error)[:200]}); write it anew") from error
    table = _with_plain_names(header, rows, columns)
    return Table(table.rows, (*table.notes, *notes))


def _with_plain_names(header: Sequence[str], rows: Sequence[tuple[str, Sequence[Any]]], columns: Sequence[str]) -> Table:
    """Rows by column; columns without a name, of an index, and of one name are dealt with."""
    plain = [name.strip() for name in header]
    plain = [name.lower() if name.lower() in columns else name for name in plain]
    if twice := [name for name, count in Counter(plain).items() if name and count > 1]:
        raise BadTable(f"has two columns of the name {twice[0]!r}; rename or remove one")
    if columns[0] not in plain and rows:
        there = ", ".join(repr(name[:40]) for name in plain[:12])
        raise BadTable(f"row 1 has no `{columns[0]}`; the list needs a column of that name (it has {there})")
    notes, left_out = [], set()
    for number, name in enumerate(plain):
        values = [values[number] for _, values in rows]
        if name and not INDEX.fullmatch(name):
            continue
        if (name or number == 0) and values and all(re.fullmatch(r"\d+(\.0)?", str(value)) for value in values):
            notes.append(f"the column {name!r} numbers the rows, as pandas does; it is no metadata")
            left_out.add(number)
        elif not name and all(value is None for value in values):
            left_out.add(number)
        elif not name:
            seen = next(value for value in values if value is not None)
            raise BadTable(f"column {number + 1} has no name and holds {str(seen)[:40]!r}; name it in the header, or remove it")
    kept = [(number, name) for number, name in enumerate(plain) if number not in left_out]
    return Table([Row(where, {name: values[number] for number, name in kept}) for where, values in rows], tuple(notes))


def _text(data: bytes) -> str:
    """Text as spreadsheets save it: UTF-8 with or without a mark, or UTF-16 with one."""
    utf16 = data.startswith((b"\xff\xfe", b"\xfe\xff"))
    try:
        text = data.decode("utf-16" if utf16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        seen = "cut short" if utf16 else f"byte {data[error.start]:#04x} in line {line}"
        raise BadTable(f"cannot be read as a list: is not UTF-8 text ({seen}); save it as `CSV UTF-8`") from error
    if "\0" in text:
        raise BadTable("cannot be read as a list: holds NUL bytes, so it is no UTF-8 text; save it as `CSV UTF-8`")
    return text


def _read_separated(text: str, separators: Sequence[str], wanted: str) -> tuple[list[str], list[tuple[str, list[Any]]]]:
    if said := SAID_SEPARATOR.match(text):
        separator, text = said[1], "\n" + text[said.end() :]  # the line stays, so that others keep their numbers
    else:
        separator = _separator(text, separators, wanted)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    header: list[str] | None = None
    rows: list[tuple[str, list[Any]]] = []
    for cells in reader:
        if not any(cell.strip() for cell in cells):
            continue  # empty lines, and those that spreadsheets fill up with separators
        if header is None:
            header = cells
            continue
        where = f"row {len(rows) + 1} (line {reader.line_num})"
        while len(cells) > len(header) and not cells[-1].strip():
            cells.pop()
        if len(cells) != len(header):
            raise BadTable(
                f"{where} has {len(cells)} values and the header {len(header)}; put values that hold {separator!r} in double "
                "quotes, and leave a missing value empty, with its separator"
            )
        rows.append((where, [cell if cell.strip() else None for cell in cells]))
    return header or [], _float_integers(header or [], rows)


def _separator(text: str, separators: Sequence[str], wanted: str) -> str:
    """What stands between the names of the header: that which lays the wanted one bare."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    for separator in separators:
        names = [name.strip().strip('"').strip().lower() for name in first.split(separator)]
        if wanted in names:
            return separator
    return separators[0]


def _float_integers(header: Sequence[str], rows: list[tuple[str, list[Any]]]) -> list[tuple[str, list[Any]]]:
    """Ids that a data frame wrote as 5.0, since others of its column are missing, as 5 again."""
    for number, name in enumerate(header):
        if name.strip().lower() in ("item", "split"):
            values = [values[number] for _, values in rows]
            there = [value for value in values if value is not None]
            if len(there) < len(values) and there and all(re.fullmatch(r"\d+\.0", value) for value in there):
                for _, row in rows:
                    row[number] = row[number] and row[number].removesuffix(".0")
    return rows


def _read_parquet(data: bytes) -> tuple[list[str], list[tuple[str, list[Any]]], list[str]]:
    """Names, rows, and of which columns Python has no values: those are left out."""
    table = pq.read_table(io.BytesIO(data), use_threads=False)  # threads of it may abort a process that ends at once
    names: list[str] = []
    columns: list[list[Any]] = []
    notes = []
    for name, column in zip(table.column_names, table.columns, strict=True):
        try:
            columns.append([None if value != value else value for value in column.to_pylist()])
            names.append(name)
        except (ValueError, ArithmeticError) as error:
            notes.append(f"the column {name!r} of type {column.type} is left out ({str(error)[:100]}); cast it")
    rows = [(f"row {number}", list(values)) for number, values in enumerate(zip(*columns, strict=True), 1)]
    return names, rows, notes


def _read_json_lines(text: str) -> tuple[list[str], list[tuple[str, list[Any]]]]:
    found: list[tuple[str, dict[str, Any]]] = []
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            where = f"row {len(found) + 1} (line {number})"
            try:
                value = json.loads(line, object_pairs_hook=partial(_one_each, where))
            except BadTable:
                raise
            except (ValueError, RecursionError) as error:
                raise BadTable(f"{where} is not valid JSON ({str(error)[:100]}); every line holds one JSON object") from error
            if not isinstance(value, dict):
                raise BadTable(f"{where} is no JSON object; every line holds one")
            found.append((where, value))
    names = list(dict.fromkeys(name for _, row in found for name in row))
    return names, [(where, [row.get(name) for name in names]) for where, row in found]


def _one_each(where: str, pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    for name, count in Counter(name for name, _ in pairs).items():
        if count > 1:
            raise BadTable(f"{where} has the key {name!r} twice; remove one")
    return dict(pairs)
