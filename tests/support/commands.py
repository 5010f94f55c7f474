"""The command line as a user meets it: a real process, its output and its exit code."""

from __future__ import annotations

import os
import subprocess
import sys


def panolabel(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """What a command comes to; on a wide terminal, and with these variables of the environment."""
    command = [sys.executable, "-m", "flows.cli", *map(str, arguments)]
    variables = {**os.environ, "COLUMNS": "200", **environment}
    return subprocess.run(command, capture_output=True, text=True, env=variables, check=False)
