"""The command line. Every command prints tables, or JSON with ``--json``.

Exit codes: 0 done; 1 a run failed, ``plan --check`` found work, ``verify`` found damage, ``try --golden`` a difference, or
``doctor`` a failure, or nobody allowed a ``publish``; 2 the config, source or item cannot be used, or ``init`` would overwrite a
config; 3 ``run --from-plan`` found that something changed since; 4 a stage gave up all its items, or the one that was tried;
5 ``plan`` could not tell all, since weights are not here; 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import shlex
import sys
from importlib.metadata import version
from typing import Annotated

import typer

from flows.commands import forgetting, models, publishing, querying, running, setup, stores, trying
from flows.commands.audit import audit
from flows.commands.scenes import scenes
from storage.credentials import mask_credentials

EXIT_CODES = {
    "RunFailed": 1,
    "NothingMade": 4,
    "ServerError": 1,
    "StoreError": 1,
    "DamagedBlock": 1,
    "PublishConflict": 1,
    "NotApproved": 1,
    "PlanDrift": 3,
    "Interrupted": 130,
}
"""Errors by name: importing their classes would cost ``--help`` a second."""

app = typer.Typer(
    help="Audited dense labels for 360-degree panoramas, without annotators.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"panolabel {version('panolabel')}")
        raise typer.Exit


@app.callback()
def _options(
    _show_version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say which version this is.")
    ] = False,
) -> None:
    """Audited dense labels for 360-degree panoramas, without annotators."""


app.command()(setup.doctor)
app.command()(setup.init)
app.command()(setup.schema)
app.command()(setup.migrate)
app.command()(running.plan)
app.command()(running.run)
app.command("try")(trying.attempt)
app.command()(setup.cost)
app.command()(stores.status)
app.command()(stores.trace)
app.command()(querying.query)
app.command()(audit)
app.add_typer(running.failures, name="failures")
app.command()(running.verify)
app.command()(forgetting.forget)
app.command()(forgetting.remember)
app.command()(publishing.publish)
app.command()(publishing.export)
app.command()(publishing.points)
app.command()(models.train)
app.command()(models.predict)
app.command()(models.adapt)
app.command()(models.infer)
app.command("gc")(stores.collect_garbage)
app.command()(scenes)


def main() -> None:
    """Entry point: errors that a user can mend are one message on stderr, not a traceback."""
    try:
        app()
    except Exception as error:
        name = type(error).__name__
        if name not in EXIT_CODES and not isinstance(error, (ValueError, FileNotFoundError, PermissionError)):
            raise
        print(f"error: {mask_credentials(str(error))}", file=sys.stderr)
        if name in ("RunFailed", "StoreError", "Interrupted"):
            command = mask_credentials(shlex.join(["panolabel", *sys.argv[1:]]))
            print(f"What is done stays done. To go on: {command}", file=sys.stderr)
        raise SystemExit(EXIT_CODES.get(name, 2)) from None


if __name__ == "__main__":
    main()
