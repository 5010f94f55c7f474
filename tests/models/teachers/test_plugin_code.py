"""What counts of a plug-in's code: a hundred edits of each sort, to a package with every way to import, and to single files."""

import ast
import importlib
import random
import shutil

import pytest

from models.teachers import plugin_code
from models.teachers.plugin_code import code_of

PACKAGE = {
    "__init__.py": '"""A package."""\nfrom .core import load\n',
    "core.py": '''"""The teacher."""

import json
from importlib import import_module

import numpy as np

from . import helpers
from .sub.deep import FACTOR

try:
    from . import fast
except ImportError:
    fast = None


class Teacher:
    """Says depth."""

    classes = ()

    def __call__(self, patches, cameras, item):
        """Say it."""
        return helpers.scale(patches, FACTOR)


def load(settings, device):
    """Load it."""
    from edits_plugin.lazy import prepare

    late = import_module("edits_plugin.dynamic")
    table = json.loads((__file__ and "data.json") and "{}")
    return prepare(Teacher(), late, table)
''',
    "helpers.py": "SHIFT = 1.5\n\n\ndef scale(values, factor):\n    total = values * factor\n    return total + SHIFT\n",
    "fast.py": "SPEED = 3\n\n\ndef run(x):\n    return x * SPEED\n",
    "lazy.py": "from .sub import deep as other\n\n\ndef prepare(one, two, three):\n    weight = 7\n    return one\n",
    "dynamic.py": "LEVEL = 2\n\n\ndef late(x):\n    return x - LEVEL\n",
    "sub/__init__.py": "ORDER = 4\n\n\ndef of_sub(x):\n    return x\n",
    "sub/deep.py": "from .. import base\n\nFACTOR = 2.0\n\n\ndef deep(x):\n    return base.root(x)\n",
    "base.py": "ROOT = 9\n\n\ndef root(x):\n    return x % ROOT\n",
    "unrelated.py": "NOTHING = 1\n",
    "data.json": "{}",
    "notes.md": "not named",
}
READ = [name for name in PACKAGE if name.endswith(".py") and name != "unrelated.py"]
WITH_CONSTANTS = [name for name in READ if " = " in PACKAGE[name]]
WITH_FUNCTIONS = [name for name in READ if "def " in PACKAGE[name]]


@pytest.fixture
def package(tmp_path, monkeypatch):
    for name, text in PACKAGE.items():
        path = tmp_path / "edits_plugin" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    return tmp_path / "edits_plugin"


def digest(module="edits_plugin.core"):
    importlib.invalidate_caches()
    plugin_code._read.cache_clear()
    return repr({name: sorted(part.items()) for name, part in code_of(module).items()})


def change_constant(rng, text):
    lines = text.splitlines()
    where = [index for index, line in enumerate(lines) if " = " in line and line.strip()[0].isalpha()]
    index = rng.choice(where)
    lines[index] = lines[index].split(" = ")[0] + f" = {rng.randint(10, 10**9)}"
    return "\n".join(lines) + "\n"


def change_body(rng, text):
    lines = text.splitlines()
    index = rng.choice([index for index, line in enumerate(lines) if "return " in line])
    indent = lines[index][: len(lines[index]) - len(lines[index].lstrip())]
    lines.insert(index, f"{indent}mark_{rng.randint(0, 10**9)} = {rng.choice(['1', 'None', '[2]', 'len'])}")
    return "\n".join(lines) + "\n"


def new_import(rng, text):
    name = rng.choice(["os", "math", "torch", "scipy", "no_such_thing", "collections.abc"])
    return text + f"import {name} as name_{rng.randint(0, 10**9)}\n"


def change_argument(rng, text):
    return text.replace("def ", f"def new_{rng.randint(0, 10**9)}_", 1)


def change_string(rng, text):
    return text + f"WORD = 'w{rng.randint(0, 10**9)}'\n"


def conditional_import(rng, text):
    return text + f"if {rng.randint(0, 10**9)}:\n    from edits_plugin import unrelated\n"


COUNT = {
    "constant": (WITH_CONSTANTS, change_constant), "body": (WITH_FUNCTIONS, change_body), "import": (READ, new_import),
    "signature": (WITH_FUNCTIONS, change_argument), "string": (READ, change_string), "condition": (READ, conditional_import),
}  # fmt: skip


@pytest.mark.parametrize("sort", COUNT)
def test_a_hundred_edits_that_count(sort, package):
    names, edit = COUNT[sort]
    rng, before = random.Random(sort), digest()
    seen = {before}
    for _ in range(100):
        name = rng.choice(names)
        (package / name).write_text(edit(rng, PACKAGE[name]))
        seen.add(found := digest())
        assert found != before, (package / name).read_text()
        (package / name).write_text(PACKAGE[name])
    assert digest() == before
    assert len(seen) > 90 or sort == "import"


def add_comment(rng, text):
    lines = text.splitlines()
    # Between statements of the top level, and behind a line of code: nothing else is sure to be no string.
    index = rng.choice(
        [index for index, line in enumerate(lines) if line.endswith((")", "SHIFT", "1.5", "x", "one", "2", "= 3"))] or [0]
    )
    if lines[index].count('"""') == 0:
        lines[index] += f"  # {rng.random()}"
    return "\n".join([f"# {rng.random()}", *lines]) + "\n"


def add_docstrings(rng, text):
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)):
            own = ast.Expr(ast.Constant(f"A text {rng.random()}."))
            if ast.get_docstring(node) is not None:
                node.body[0] = own
            else:
                node.body.insert(0, own)
    return ast.unparse(ast.fix_missing_locations(tree))


def drop_docstrings(rng, text):
    return text.replace('    """Load it."""\n', "").replace('        """Say it."""\n', "") + f"'{rng.random()}'\n"


def reformat(rng, text):
    return ast.unparse(ast.parse(text)).replace("\n", "\n" * rng.randint(1, 4)) + "\n" * rng.randint(0, 5)


def brackets(rng, text):
    return text.replace("return total + SHIFT", f"return (total +{' ' * rng.randint(1, 9)}\n        SHIFT)").replace(
        " = 2.0", " = (2.0)"
    )


QUIET = {
    "comment": add_comment,
    "docstrings": add_docstrings,
    "no docstrings": drop_docstrings,
    "layout": reformat,
    "brackets": brackets,
}


@pytest.mark.parametrize("sort", QUIET)
def test_a_hundred_edits_that_do_not_count(sort, package):
    rng, before = random.Random(sort), digest()
    for _ in range(100):
        name = rng.choice(READ)
        (package / name).write_text(QUIET[sort](rng, PACKAGE[name]))
        assert digest() == before, (package / name).read_text()
        (package / name).write_text(PACKAGE[name])


def test_what_is_not_read_does_not_count_and_data_that_is_named_does(package):
    before = digest()
    (package / "unrelated.py").write_text("NOTHING = 2\n")
    (package / "notes.md").write_text("other notes")
    (package / "__pycache__").mkdir(exist_ok=True)
    (package / "__pycache__" / "data.json").write_text("{}")
    assert digest() == before
    (package / "data.json").write_text('{"a": 1}')
    changed = digest()
    (package / "tables").mkdir()
    shutil.move(package / "data.json", package / "tables" / "data.json")
    assert len({before, changed, digest()}) == 3


def test_a_moved_module_counts(package):
    before = digest()
    shutil.move(package / "base.py", package / "bottom.py")
    (package / "sub/deep.py").write_text(PACKAGE["sub/deep.py"].replace("import base", "import bottom as base"))
    assert digest() != before


def test_everything_on_the_way_is_followed(package):
    found = code_of("edits_plugin.core")
    names = {name.removeprefix("edits_plugin").lstrip(".") for name in found["modules"]}
    assert names == {"", "core", "helpers", "fast", "lazy", "dynamic", "sub", "sub.deep", "base"}
    assert set(found["versions"]) == {"numpy"}
    assert code_of("edits_plugin")["modules"] == found["modules"]


def test_versions_of_what_is_imported_count(package, monkeypatch):
    before = digest()
    monkeypatch.setattr(plugin_code, "version", lambda name: "9.9")
    assert digest() != before
    monkeypatch.setattr(plugin_code, "version", lambda name: "9.9+cu130")
    gpu = digest()
    monkeypatch.setattr(plugin_code, "version", lambda name: "9.9+cpu")
    assert digest() == gpu


def test_single_files_follow_the_files_beside_them(tmp_path, monkeypatch):
    (tmp_path / "lone_teacher.py").write_text("import lone_helper\nimport json\nNAMES = 'lone_names.txt'\n")
    (tmp_path / "lone_helper.py").write_text("A = 1\n")
    (tmp_path / "lone_names.txt").write_text("wall\n")
    (tmp_path / "other.txt").write_text("wall\n")
    monkeypatch.syspath_prepend(tmp_path)
    seen = {digest("lone_teacher")}
    (tmp_path / "lone_helper.py").write_text("A = 2\n")
    seen.add(digest("lone_teacher"))
    (tmp_path / "lone_names.txt").write_text("floor\n")
    seen.add(digest("lone_teacher"))
    assert len(seen) == 3
    (tmp_path / "other.txt").write_text("floor\n")
    (tmp_path / "lone_helper.py").write_text("A = 2  # two\n")
    assert digest("lone_teacher") in seen


def test_a_namespace_package_is_followed_over_its_folders(tmp_path, monkeypatch):
    for side, name, text in (("one", "teacher", "from edits_space import helper\n"), ("two", "helper", "A = 1\n")):
        folder = tmp_path / side / "edits_space"
        folder.mkdir(parents=True)
        (folder / f"{name}.py").write_text(text)
        monkeypatch.syspath_prepend(tmp_path / side)
    before = digest("edits_space.teacher")
    (tmp_path / "two" / "edits_space" / "helper.py").write_text("A = 2\n")
    assert digest("edits_space.teacher") != before


def test_a_cycle_of_imports_ends(tmp_path, monkeypatch):
    (tmp_path / "round_a.py").write_text("import round_b\n")
    (tmp_path / "round_b.py").write_text("import round_a\nB = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert set(code_of("round_a")["modules"]) == {"round_a", "round_b"}
