"""The command line as a user meets it: a process, its output and its exit code."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from flows.cli import main
from tests.support.forks import forked


def panolabel(*arguments: object, folder: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    """What a command comes to in a folder; on a wide terminal, and with these variables of the environment."""
    return forked(tuple(map(str, arguments)), {**os.environ, "COLUMNS": "200", **environment}, folder)


def panolabel_anew(*arguments: object, folder: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    """As :func:`panolabel`, in a Python that is started for it, which takes seconds: for what happens as modules are imported."""
    command = [sys.executable, "-m", "flows.cli", *map(str, arguments)]
    variables = {**os.environ, "COLUMNS": "200", **environment}
    return subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, check=False)


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
