"""The command ``panolabel``, under the one name that nobody else has: it says so if another ``flows`` is in the way of ours."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

HOME = Path(__file__).resolve().parents[1]


def main() -> None:
    """Run the command line, unless packages of somebody else would be taken for ours: then say which, in one line."""
    try:
        refuse_foreign()
        from flows.cli import main as command_line
    except ImportError as error:
        if type(error) is not ImportError and type(error).__name__ != "ForeignPackage":
            raise
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    command_line()


def refuse_foreign() -> None:
    """Raise ImportError if the package ``flows`` that would be imported is not ours; ours looks after the other names."""
    spec = find_spec("flows")
    if spec is not None and spec.origin is None:  # a mere folder, which gives way to ours once that is on the path
        sys.path.append(str(HOME))
        spec = find_spec("flows")
    if spec is None or spec.origin is None or Path(spec.origin).resolve().parent != HOME / "flows":
        place = "nowhere" if spec is None else "".join(list(spec.submodule_search_locations or [])[:1]) or spec.origin
        raise ImportError(
            f"`flows` at {place} is imported in the place of panolabel's own at {HOME / 'flows'}: start from a folder "
            "without it, take that folder off PYTHONPATH, or give panolabel an environment of its own"
        )
