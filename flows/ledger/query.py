"""SQL over the audit tables. DuckDB sees a copy of them and nothing else: no files, no network, no changes."""

from __future__ import annotations

import difflib
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from configs.settings import ConfigError
from flows.ledger.questions import QUESTIONS
from flows.ledger.tables import SCHEMAS, audit_url, refresh
from storage.tables import fetch_tables
from storage.urls import children


class QueryError(ValueError):
    """The query cannot be answered; the message is DuckDB's."""


@dataclass(frozen=True)
class Answer:
    """Names of the columns, and the rows."""

    columns: list[str]
    rows: list[tuple[Any, ...]]


def ask(root: str, name: str, values: Mapping[str, str]) -> Answer:
    """The answer to a named question.

    Raises
    ------
    ConfigError
        There is no such question, or its parameters are others.
    """
    if name not in QUESTIONS:
        nearest = difflib.get_close_matches(name, QUESTIONS, n=1)
        hint = f"did you mean {nearest[0]!r}?" if nearest else f"there are: {', '.join(QUESTIONS)}"
        raise ConfigError(f"question {name!r} is not known; {hint}")
    wanted = QUESTIONS[name].parameters
    if sorted(values) != sorted(wanted):
        needed = " ".join(f"--with {one}=..." for one in wanted) or "no --with"
        raise ConfigError(f"question {name!r} takes {needed}; got {', '.join(sorted(values)) or 'none'}")
    return query(root, QUESTIONS[name].sql, values)


def query(root: str, sql: str, values: Mapping[str, str] | None = None) -> Answer:
    """The answer to a query of the audit tables of a store, which are brought up to date first.

    Raises
    ------
    ConfigError
        There is no store, or DuckDB is not installed.
    QueryError
        The query is wrong, or wants more than the tables.
    """
    try:
        import duckdb
    except ImportError as error:
        raise ConfigError("queries need DuckDB; install it with: pip install 'panolabel[query]'") from error
    if not children(f"{root.rstrip('/')}/runs") and not children(f"{root.rstrip('/')}/stages"):
        raise ConfigError(f"{root}: holds no runs and no labels; give the root of a store, or a config whose root is one")
    stamp = refresh(root)
    with tempfile.TemporaryDirectory() as folder:
        database = Path(folder, "audit.duckdb")
        _load(database, fetch_tables(audit_url(root), stamp, SCHEMAS, Path(folder)))
        settings: dict[str, Any] = {
            "enable_external_access": "false",
            "python_enable_replacements": "false",
            "lock_configuration": "true",
        }
        with duckdb.connect(str(database), read_only=True, config=settings) as connection:
            try:
                found = connection.execute(sql, dict(values or {}))
                return Answer([column[0] for column in found.description or ()], found.fetchall())
            except duckdb.Error as error:
                raise QueryError(str(error)) from error


def _load(database: Path, tables: Mapping[str, Path]) -> None:
    import duckdb

    with duckdb.connect(str(database)) as connection:
        for name, file in tables.items():
            connection.execute(f"CREATE TABLE {name} AS SELECT * FROM read_parquet($file)", {"file": str(file)})
