"""Names of modules and packages: none of ours takes the place of another, and another in the place of ours is told."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from flows.rooms import ROOMS

ROOT = Path(__file__).parents[1]


def inside(room: str) -> set[str]:
    """Names that would be top-level if the room's own folder stood first on the path."""
    found = (ROOT / room).iterdir()
    return {one.stem for one in found if one.suffix == ".py" or (one / "__init__.py").exists()} - {"__init__"}


def test_the_rooms_are_those_that_are_installed() -> None:
    include = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]["find"]["include"]
    assert sorted(one.rstrip("*") for one in include) == sorted([*ROOMS, "panolabel"])


@pytest.mark.parametrize("room", ROOMS)
def test_no_module_of_a_room_has_the_name_of_another_package(room: str) -> None:
    """Tools that load a file put its folder first on the path; then its neighbours must hide nothing."""
    taken = set(packages_distributions()) | set(sys.stdlib_module_names) | set(ROOMS)
    assert not inside(room) & taken


def start(*command: str, path: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (path, ROOT)))}
    return subprocess.run([sys.executable, *command], capture_output=True, text=True, cwd=path, env=environment, check=False)


@pytest.mark.parametrize("init", [True, False])
@pytest.mark.parametrize("room", ROOMS)
def test_a_package_in_the_place_of_ours_is_told_in_one_line(room: str, init: bool, tmp_path: Path) -> None:
    (tmp_path / room).mkdir()
    if init:
        (tmp_path / room / "__init__.py").touch()
    result = start("-c", "import sys; sys.argv = ['panolabel', '--help']; from panolabel import main; main()", path=tmp_path)
    if not init:  # a mere folder gives way to a package, wherever that stands on the path
        assert result.returncode == 0
        return
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"error: `{room}` at {tmp_path / room} is imported in the place of panolabel's own at {ROOT / room}")
    assert "PYTHONPATH" in line


def test_a_mere_folder_gives_way_where_our_packages_come_last(tmp_path: Path) -> None:
    """As in an editable installation, whose packages are looked for after all of the path."""
    (tmp_path / "storage").mkdir()
    (tmp_path / "last.py").write_text(
        "import sys\n"
        "from importlib.machinery import PathFinder\n"
        "class Last:\n"
        "    @staticmethod\n"
        "    def find_spec(name, path, target=None):\n"
        f"        return None if path else PathFinder.find_spec(name, [{str(ROOT)!r}])\n"
        "sys.meta_path.append(Last)\n"
    )
    code = "import last, flows, storage.urls; print(storage.__file__)"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, check=False)
    assert result.stdout.strip() == str(ROOT / "storage" / "__init__.py"), result.stderr


def test_a_worker_that_loads_a_flow_is_told_too(tmp_path: Path) -> None:
    (tmp_path / "storage.py").touch()
    code = (
        "from prefect.flows import load_flow_from_entrypoint as load; load('flows.pipeline.pipeline', use_placeholder_flow=False)"
    )
    result = start("-c", code, path=tmp_path)
    assert f"ForeignPackage: `storage` at {tmp_path / 'storage.py'} is imported" in result.stderr
