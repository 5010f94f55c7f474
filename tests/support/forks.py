"""A process that has imported what commands import, and forks itself for each: seconds of imports are paid once.

What it forks is a process like any other, with arguments, environment, folder, outputs and exit code of its own. What happens
while modules are imported is not seen by it: that is for the tests that start Python anew.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import subprocess
import sys
import threading
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from models.teachers import plugin_code
from tasks.catalogue import KINDS, kind_named

ROOT = Path(__file__).parents[2]
IMPORTED = ("flows.cli", "flows.pipeline", "flows.setup.doctor", "prefect.flow_engine", "distributed", "pandas", "rich.tree")
_one_at_a_time = threading.Lock()


def forked(
    arguments: tuple[str, ...], variables: dict[str, str], folder: Path | None = None, code: str | None = None
) -> subprocess.CompletedProcess[str]:
    """What ``panolabel`` with these arguments comes to in a folder, with this environment and no other.

    With ``code``: what Python makes of that, with these arguments.
    """
    with TemporaryDirectory() as said, _one_at_a_time:
        outputs = [f"{said}/stdout", f"{said}/stderr"]
        asked = {"code": code, "arguments": arguments, "variables": variables, "folder": str(folder or Path.cwd())}
        parent = _parent()
        assert parent.stdin is not None
        assert parent.stdout is not None
        print(json.dumps({**asked, "outputs": outputs}), file=parent.stdin, flush=True)
        status = int(parent.stdout.readline())
        return subprocess.CompletedProcess(["panolabel", *arguments], status, *(Path(one).read_text() for one in outputs))


@cache
def _parent() -> subprocess.Popen[str]:
    """The process that forks, which ends with this one. It knows neither a server nor a path of ours."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "PYTHONPATH"))}
    command = [sys.executable, "-c", "from tests.support.forks import serve; serve()"]
    parent = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=variables)
    atexit.register(parent.communicate)
    return parent


def serve() -> None:
    """Fork for every line of stdin, one after the other, and say each exit code; returns from the process that was forked."""
    from flows.running.server.settings import import_prefect

    sys.path[0] = str(ROOT)
    import_prefect()  # first, and as a command does it: without any settings
    for name in IMPORTED:
        importlib.import_module(name)
    for kind in KINDS:
        kind_named(kind)
    plugin_code.code_of("tests.support.brightness")  # whose which package is takes half a second, too
    gc.freeze()
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            _become(**json.loads(line))
            break
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def _become(code: str | None, arguments: list[str], variables: dict[str, str], folder: str, outputs: list[str]) -> None:
    """Be the command: what is left of this process is its ``main``, and the end of an interpreter."""
    for number, path in enumerate((os.devnull, *outputs)):
        os.dup2(os.open(path, os.O_RDWR | os.O_CREAT), number)
    os.environ.clear()
    os.environ.update(variables)
    os.chdir(folder)
    sys.path[:1] = [folder, *filter(None, variables.get("PYTHONPATH", "").split(os.pathsep))]
    if "PYTHONPATH" in variables:
        plugin_code._owners.cache_clear()  # there are other packages on it
    sys.argv = ["-c" if code else "panolabel", *arguments]
    if code:
        exec(code, {"__name__": "__main__"})
        return
    from flows.cli import main

    main()
