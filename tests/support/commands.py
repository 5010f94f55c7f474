"""The command line as a user meets it: a real process, its output and its exit code."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from flows.cli import main


def panolabel(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """What a command comes to; on a wide terminal, and with these variables of the environment."""
    command = [sys.executable, "-m", "flows.cli", *map(str, arguments)]
    variables = {**os.environ, "COLUMNS": "200", **environment}
    return subprocess.run(command, capture_output=True, text=True, env=variables, check=False)


def in_process(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, *arguments: object) -> tuple[int, str, str]:
    """Exit code, output and errors of the command line, within this process: the imports take longest."""
    monkeypatch.setattr(sys, "argv", ["panolabel", *map(str, arguments)])
    capsys.readouterr()
    try:
        main()
        code = 0
    except SystemExit as error:
        code = int(error.code or 0)
    return code, *capsys.readouterr()
