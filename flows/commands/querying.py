"""``query``: questions about what was made, by whom, from what, and at what cost."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flows.commands.options import JsonOption, load


def query(
    store: Annotated[str, typer.Argument(help="YAML file of a pipeline, or the root of a store.", show_default=False)],
    sql: Annotated[str | None, typer.Argument(help="SQL over the audit tables; see docs/ledger.md.", show_default=False)] = None,
    ask: Annotated[str | None, typer.Option(help="Name of a question instead of SQL.")] = None,
    values: Annotated[list[str] | None, typer.Option("--with", help="Parameter of a question: --with run=NAME.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Ask the store's audit tables: which weights made which labels, what a run cost, what changed. In SQL, or by name."""
    from configs.settings import ConfigError
    from flows.ledger import query as answers
    from flows.ledger.questions import QUESTIONS

    if (sql is None) == (ask is None):
        known = "\n".join(f"  {name}: {one.words}" for name, one in QUESTIONS.items())
        raise ConfigError(f"give SQL or --ask with one of these questions, not both:\n{known}")
    given = dict(_pair(value) for value in values or ())
    root = load(Path(store), None, None, None).root if store.endswith((".yaml", ".yml")) else store
    found = answers.ask(root, ask, given) if ask is not None else answers.query(root, sql or "", given or None)
    _show(found.columns, found.rows, as_json)


def _pair(value: str) -> tuple[str, str]:
    from configs.settings import ConfigError

    key, separator, rest = value.partition("=")
    if not separator:
        raise ConfigError(f"--with {value}: must have the form name=value")
    return key, rest


def _show(columns: list[str], rows: list[tuple[object, ...]], as_json: bool) -> None:
    import json

    from rich.table import Table
    from rich.text import Text

    from flows.text import console

    if as_json:
        records = [dict(zip(columns, row, strict=True)) for row in rows]
        print(json.dumps(records, indent=1, ensure_ascii=False, default=str))
        return
    table = Table(*columns)
    for row in rows:
        table.add_row(*(Text("" if value is None else str(value)) for value in row))
    console.print(table)
    console.print(f"{len(rows)} row{'s' * (len(rows) != 1)}")
