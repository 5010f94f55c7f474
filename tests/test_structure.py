"""What runs, plans and stores know no stage by name: kinds are declared under tasks/, and nothing else matches their names."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from tasks.catalogue import KINDS

ROOT = Path(__file__).parents[1]
ROOMS = ("flows", "storage", "configs", "panolabel")
FILES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))
STORED = re.compile(r"(label|adapt|train)\.[a-z_.]*")
"""Names of stages in receipts and paths, and beginnings of them."""
ASKING = {
    *("get", "pop", "setdefault", "index", "count", "startswith", "endswith", "removeprefix", "removesuffix", "partition"),
    *("rpartition", "split", "fullmatch", "match", "search"),
}
"""Methods that look something up, or match a text."""
OTHERS = {
    ("flows/publishing/export.py", "train"): "a split of a data set",
    ("flows/setup/machine.py", "project"): "a table of pyproject.toml",
}
"""Where the word means no stage."""


def is_name(value: object) -> bool:
    return isinstance(value, str) and (value in KINDS or STORED.fullmatch(value) is not None)


def constants(tree: ast.Module) -> dict[str, list[str]]:
    """Names of a module's constants whose values are, or hold, names of stages."""
    found = {}
    for node in tree.body:
        value = node.value if isinstance(node, (ast.Assign, ast.AnnAssign)) else None
        targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        names = [one.value for one in ast.walk(value) if isinstance(one, ast.Constant) and is_name(one.value)] if value else []
        found |= {target.id: names for target in targets if isinstance(target, ast.Name) and names}
    return found


def asked(node: ast.AST) -> Iterable[ast.AST]:
    """The parts of a node that are compared, indexed or matched with something."""
    match node:
        case ast.Compare():
            return [node.left, *node.comparators]
        case ast.Subscript():
            return [node.slice]
        case ast.MatchValue():
            return [node.value]
        case ast.Call(func=ast.Attribute(attr=attribute)) if attribute in ASKING:
            return node.args
        case ast.Call(func=ast.Name(id="join")) if "stages" in [getattr(one, "value", "") for one in node.args]:
            return node.args
        case ast.BinOp(op=ast.BitAnd() | ast.Sub() | ast.BitXor() | ast.BitOr()):  # of sets
            return [node.left, node.right]
    return []


def tables(node: ast.AST) -> Iterable[ast.AST | None]:
    """Keys of a mapping in which something is looked up where it stands."""
    value = node.value if isinstance(node, (ast.Subscript, ast.Attribute)) else None
    return value.keys if isinstance(value, ast.Dict) else []


def asked_names(source: str) -> Iterator[tuple[int, str]]:
    """Line and name of every place at which a module compares, indexes or matches with the name of a stage."""
    tree = ast.parse(source)
    own = constants(tree)
    for node in ast.walk(tree):
        for part in [*asked(node), *tables(node)]:
            inner = [*part.elts] if isinstance(part, (ast.Tuple, ast.List, ast.Set)) else [part]
            for one in inner:
                if isinstance(one, ast.Constant) and is_name(one.value):
                    yield one.lineno, one.value
                if isinstance(one, ast.Name):
                    yield from ((one.lineno, name) for name in own.get(one.id, ()))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_nothing_outside_tasks_matches_the_name_of_a_stage(path: Path) -> None:
    name = path.relative_to(ROOT).as_posix()
    found = [(line, word) for line, word in asked_names(path.read_text(encoding="utf-8")) if (name, word) not in OTHERS]
    assert not found, f"{name}: stages are what their Kind says; these lines match a name: {found}"


@pytest.mark.parametrize(
    "source",
    [
        "stage == 'fuse'",
        "stage.name in ('ingest', 'x')",
        "record['identities']['fuse']",
        "record.get('fuse', {})",
        "name.startswith('label.')",
        "join(root, 'stages', 'ingest', fingerprint)",
        "match kind:\n    case 'train':\n        pass",
        "{'fuse': 1}[stage]",
        "{'fuse': 1}.get(stage)",
        "OLD = {'fuse': 1}\nx = OLD[stage]\ny = stage in OLD",
        "OLD = 'fuse'\nx = stage == OLD",
        "OLD = frozenset({'fuse'})\nx = OLD & data.keys()",
        "stage == 'label.geometry'",
    ],
)
def test_the_test_sees_a_match(source: str) -> None:
    assert list(asked_names(source))


@pytest.mark.parametrize("source", ["values = {'train': {'steps': 1}}", "stage == other", "command('train')", "x['labels']"])
def test_the_test_leaves_alone_what_asks_nothing(source: str) -> None:
    assert not list(asked_names(source))


def test_the_exceptions_are_needed() -> None:
    for name, word in OTHERS:
        assert word in {found for _, found in asked_names((ROOT / name).read_text(encoding="utf-8"))}


SHAPE = re.compile(r"\((?:[A-Z0-9]\w*|\.\.\.|[a-z]+)(?:\s*[,*/+][^()]*)?,?\)|scalar|\bshapes?\b")


def array_docstrings() -> dict[str, str]:
    """Docstrings of public functions and methods of tasks/ that take or give arrays, by place."""
    found = {}
    for path in sorted((ROOT / "tasks").rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        scopes = [tree, *(node for node in tree.body if isinstance(node, ast.ClassDef))]
        for node in (node for scope in scopes for node in scope.body if isinstance(node, ast.FunctionDef)):
            typed = [*(one.annotation for one in node.args.args), node.returns]
            if node.name[0] != "_" and re.search("NDArray|ndarray|Tensor", " ".join(map(ast.unparse, filter(None, typed)))):
                found[f"{path.relative_to(ROOT)}:{node.name}"] = ast.get_docstring(node) or ""
    return found


def test_docstrings_of_arrays_give_shapes() -> None:
    found = array_docstrings()
    without = [place for place, told in found.items() if not SHAPE.search(told)]
    assert len(without) <= 0.2 * len(found), without


def test_functions_are_short_and_modules_hold_one_idea() -> None:
    lengths, modules = [], {}
    for room in (*ROOMS, "tasks", "models", "geometry", "metrics", "scenes"):
        for path in (ROOT / room).rglob("*.py"):
            text = path.read_text(encoding="utf-8")
            modules[str(path.relative_to(ROOT))] = text.count("\n")
            lengths += [
                node.end_lineno - node.lineno + 1
                for node in ast.walk(ast.parse(text))
                if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.end_lineno is not None
            ]
    lengths.sort()
    assert (lengths[len(lengths) // 2] <= 8, lengths[int(0.9 * len(lengths))] <= 25) == (True, True)
    assert not {name: lines for name, lines in modules.items() if lines > 300}
