"""The code of a teacher of one's own, as a digest: its import closure, and the versions of the distributions that it imports.

What the interpreter sees counts; comments, docstrings and layout do not. Followed are imports anywhere in a module (in a
function, under a condition, relative or not, and by name, as ``import_module("package.module")``) into its own top-level package,
with every ``__init__`` on the way, and into modules that no distribution owns. Files beside the code whose names it spells out
count with their bytes. Of other distributions the version counts; panolabel's own code is told by the versions of its stages.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import json
import re
import sys
from collections.abc import Iterator
from functools import lru_cache
from importlib.machinery import ModuleSpec, PathFinder
from importlib.metadata import packages_distributions, version
from pathlib import Path
from typing import Any

from models.teachers.weights import digest_file

DOTTED = re.compile(r"\.{0,3}[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
FILE_NAME = re.compile(r"[^/\\]+\.\w+")
OWN_ROOMS = ("configs", "flows", "geometry", "metrics", "models", "panolabel", "scenes", "storage", "tasks")


def code_of(module: str, alone: bool = False) -> dict[str, Any]:
    """What a module's code rests on, as JSON values: ``modules`` and ``files`` by name with digests, and ``versions``.

    Parameters
    ----------
    module : str
        Dotted name; its top-level package can be imported.
    alone : bool
        Only ``modules``, and of these only those of its own top-level package.
    """
    top = module.partition(".")[0]
    modules: dict[str, str] = {}
    versions: dict[str, str] = {}
    files: dict[str, str] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name in modules or not name:
            continue
        owner = name.partition(".")[0]
        if owner != top and (alone or owner in sys.stdlib_module_names or owner in OWN_ROOMS):
            continue
        if owner != top and (owned := _distributions(owner)):
            versions |= owned
            continue
        spec = _find(name)
        if spec is None:  # an attribute of its package, or not installed
            continue
        modules[name] = ""
        waiting.append(name.rpartition(".")[0])
        if spec.origin is None or not Path(spec.origin).is_file():  # a namespace has no code
            continue
        path = Path(spec.origin)
        modules[name], found, words = _read(str(path), path.stat().st_size, path.stat().st_mtime_ns)
        package = name if spec.submodule_search_locations is not None else name.rpartition(".")[0]
        waiting += [_absolute(one, package) for one in found]
        spelt = (_absolute(word, package) for word in words if DOTTED.fullmatch(word))
        waiting += [one for one in spelt if one.partition(".")[0] == top]
        if alone:
            continue
        files |= {f"{name}: {file}": digest for file, digest in _named_files(path.parent, package, words)}
    return {"modules": modules, "versions": versions, "files": files}


def _absolute(name: str, package: str) -> str:
    """A name with leading dots, as seen from a package; empty where it leads out of the top."""
    dots = len(name) - len(name.lstrip("."))
    if not dots:
        return name
    above = package.split(".")
    base = above[: len(above) - dots + 1] if package else []
    return ".".join([*base, name[dots:]]).strip(".") if base else ""


@lru_cache(maxsize=1)
def _owners() -> dict[str, list[str]]:
    return dict(packages_distributions())


def _distributions(top: str) -> dict[str, str]:
    """Versions of the distributions that own a top-level name; several share a namespace."""
    # What follows a + is the build, for a CPU or a GPU, which workers may differ in.
    return {name: version(name).partition("+")[0] for name in sorted(set(_owners().get(top, ())))}


def _find(name: str) -> ModuleSpec | None:
    """Where a module lies, found without importing anything below its top-level package."""
    parts = name.split(".")
    try:
        spec = importlib.util.find_spec(parts[0])
    except (ValueError, ImportError):  # made by hand, without a spec
        return None
    for count in range(2, len(parts) + 1):
        if spec is None or spec.submodule_search_locations is None:
            return None
        spec = PathFinder.find_spec(".".join(parts[:count]), list(spec.submodule_search_locations))
    return spec


@lru_cache(maxsize=4096)
def _read(path: str, _size: int, _mtime_ns: int) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    """Of one file: the digest of its code, the names that it imports, with dots before relative ones, and its strings."""
    content = Path(path).read_bytes()
    if not path.endswith(".py"):  # compiled
        return hashlib.sha256(content).hexdigest(), (), ()
    tree = ast.parse(content)
    _drop_texts(tree)
    digest = hashlib.sha256(json.dumps(_plain(tree)).encode()).hexdigest()
    words = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    return digest, tuple(sorted(set(_imports(tree)))), tuple(sorted(word for word in words if 0 < len(word) < 256))


def _drop_texts(tree: ast.Module) -> None:
    """Take docstrings out, and other strings that stand alone: they do nothing."""
    for node in ast.walk(tree):
        for name in ("body", "orelse", "finalbody"):
            body = getattr(node, name, None)
            if isinstance(body, list):
                kept = [one for one in body if not _is_text(one)]
                setattr(node, name, kept or [ast.Pass()] * bool(body))


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _plain(node: Any) -> Any:
    """A syntax tree as JSON values without places, and without what is empty: that is where Python's versions differ."""
    if isinstance(node, ast.AST):
        fields = {name: _plain(value) for name, value in ast.iter_fields(node) if value is not None and value != []}
        return [type(node).__name__, {name: value for name, value in fields.items() if name not in ("kind", "type_comment")}]
    if isinstance(node, list):
        return [_plain(one) for one in node]
    return node if isinstance(node, str) else f"{type(node).__name__} {node!r}"


def _imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            yield base
            yield from (f"{base}{'' if base.endswith('.') else '.'}{alias.name}" for alias in node.names if alias.name != "*")


def _named_files(folder: Path, package: str, words: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Names and digests of the files that are no code and whose path from the module's folder its strings spell out.

    Where the code has a package, whose folder is its own, the name of a file anywhere in it is enough.
    """
    tails = {word.strip("/") for word in words if "\n" not in word and "\0" not in word} - {""}
    found = {folder / tail for tail in tails}
    names = {tail for tail in tails if FILE_NAME.fullmatch(tail)}
    if package and names:
        found |= {path for path in folder.rglob("*") if path.name in names and "__pycache__" not in path.parts}
    for path in found:
        if path.suffix not in (".py", ".pyc") and path.is_relative_to(folder) and path.is_file():
            yield path.relative_to(folder).as_posix(), digest_file(path)
