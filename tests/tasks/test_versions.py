"""Code that can change a stage's output does not change in silence: raise its VERSION, or record that the output is the same.

``python -m tests.tasks.test_versions`` records the code as it is now, in ``stage_code.json``.
"""

import ast
import hashlib
import json
from functools import lru_cache
from pathlib import Path

import grimp
import pytest

from tasks.adapt import recipe as adaptation
from tasks.evaluate import audit, evaluate
from tasks.ingest import ingest
from tasks.label import fuse, label, project
from tasks.predict import predict
from tasks.train import train

STAGES = {
    "ingest": ingest, "project": project, "label": label, "fuse": fuse, "predict": predict, "train": train,
    "evaluate": evaluate, "audit": audit,
} | {f"adapt.{name}": getattr(adaptation, name) for name in adaptation.MAKERS}  # fmt: skip
ROOMS = ("tasks", "models", "geometry", "metrics")
"""Where code that makes outputs lives; what only moves them (storage, block loop, other stages) has tests of its own."""

CARRIERS = {
    "tasks.stage.block",
    "tasks.stage.devices",
    "tasks.ingest.sources",
    "tasks.pages.pictures",
    "tasks.pages.report",
    "tasks.evaluate.showcase",
    "tasks.pipeline",
}
RECORD = Path(__file__).with_name("stage_code.json")


def code_digest(module: str) -> str:
    """sha256 of a module's syntax without docstrings, comments, layout and imports: it sees through a module that was moved."""
    path = Path(*module.split("."))
    source = path.with_suffix(".py") if path.with_suffix(".py").exists() else path / "__init__.py"
    tree = ast.parse(source.read_text())
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            documented = body and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant)
            kept = [one for one in body[1 if documented else 0 :] if not isinstance(one, (ast.Import, ast.ImportFrom))]
            node.body = kept or [ast.Pass()]  # type: ignore[attr-defined]
    return hashlib.sha256(ast.unparse(tree).encode()).hexdigest()[:16]


@lru_cache
def current_code() -> dict[str, dict]:
    """For every stage its version and the digest of each module that its output depends on."""
    code = {}
    for name, module in STAGES.items():
        graph = grimp.build_graph(*ROOMS, cache_dir=None)
        for other in CARRIERS | {one.__name__ for one in STAGES.values() if one is not module}:
            graph.remove_module(other)
        modules = sorted(graph.find_upstream_modules(module.__name__) | {module.__name__})
        code[name] = {"version": module.VERSION, "modules": {one: code_digest(one) for one in modules}}
    return code


@pytest.mark.parametrize("stage", STAGES)
def test_changed_code_comes_with_a_changed_version(stage: str) -> None:
    recorded, now = json.loads(RECORD.read_text())[stage], current_code()[stage]
    before, after = recorded["modules"], now["modules"]
    # By contents, not by name: a module that only moved is as it was.
    changed = sorted(name for one, other in ((after, before), (before, after)) for name in one if one[name] not in other.values())
    if now["version"] == recorded["version"]:
        assert not changed, (
            f"{', '.join(changed)} changed under stage {stage!r}: if its output can differ, raise VERSION in "
            f"{STAGES[stage].__name__}; then record the code with `python -m tests.tasks.test_versions`"
        )


def test_the_digest_sees_code_and_not_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    digests = []
    for text in ('"""A."""\nx = 1  # one\n', '"""B."""\nfrom a import b\n\n\nx = 1\n', '"""A."""\nx = 2\n'):
        Path("module.py").write_text(text)
        digests.append(code_digest("module"))
    assert digests[0] == digests[1] != digests[2]


if __name__ == "__main__":
    RECORD.write_text(json.dumps(current_code(), indent=1, sort_keys=True) + "\n")
