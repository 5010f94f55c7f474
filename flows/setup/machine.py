"""What the machine has: Python and packages against the ranges that panolabel declares, devices, a Prefect server."""

from __future__ import annotations

import os
import platform
import tomllib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, metadata, packages_distributions, version
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from flows.rooms import ROOMS
from flows.running.server.answers import ask_version
from flows.running.server.settings import NamedServer, named_server, prefect_home
from flows.setup.checks import Check


def check_packages() -> Iterator[Check]:
    """Python and every declared package: present, and within its range."""
    python, requirements = declared()
    fits = platform.python_version() in SpecifierSet(python)
    yield Check(
        "python", "ok" if fits else "failure", f"{platform.python_version()} ({python})", "" if fits else f"use Python {python}"
    )
    for requirement in requirements:
        yield from _check_requirement(requirement)
    for name, owners in shared_names().items():
        found = ", ".join(f"{owner} {version(owner)}" for owner in owners)
        kept = owners[-1] if name != "cv2" else "opencv-python-headless"
        advice = f"pip uninstall -y {' '.join(owners)} && pip install --force-reinstall --no-deps {kept}"
        yield Check(f"import {name}", "warning", f"{found} share the folder {name}: which one is imported is chance", advice)


def shared_names() -> dict[str, list[str]]:
    """Import names into which several installed distributions write, of those that are sold in several, and of our own."""
    owners = packages_distributions()
    named = ("cv2", "onnxruntime", "PIL", *ROOMS)
    return {name: found for name in named if len(found := sorted(set(owners.get(name, ())))) > 1}


def declared() -> tuple[str, list[Requirement]]:
    """Python's range and the requirements: of the checkout that this code is in, else of the installed package."""
    checkout = Path(__file__).resolve().parents[2] / "pyproject.toml"
    if checkout.is_file():
        project = tomllib.loads(checkout.read_text(encoding="utf-8"))["project"]
        optional = [
            f"{line}; extra == '{extra}'"
            for extra, lines in project.get("optional-dependencies", {}).items()
            if extra not in ("test", "benchmarks")
            for line in lines
        ]
        return project["requires-python"], [Requirement(line) for line in [*project["dependencies"], *optional]]
    about = metadata("panolabel")
    lines = [line for line in about.get_all("Requires-Dist") or [] if not ("'test'" in line or '"test"' in line)]
    return about["Requires-Python"], [Requirement(line) for line in lines]


def _check_requirement(requirement: Requirement) -> Iterator[Check]:
    install = f"pip install '{requirement.name}{requirement.specifier}'"
    optional = requirement.marker is not None and not requirement.marker.evaluate({"extra": ""})
    try:
        found = version(requirement.name)
    except PackageNotFoundError:
        if not optional:
            yield Check(requirement.name, "failure", f"is not installed ({requirement.specifier})", install)
        return
    if requirement.specifier.contains(found, prereleases=True):
        yield Check(requirement.name, "ok", f"{found} ({requirement.specifier})")
    else:
        yield Check(requirement.name, "warning" if optional else "failure", f"{found}, not {requirement.specifier}", install)


def check_devices() -> Iterator[Check]:
    """Every device that torch can compute on, with its memory."""
    import torch

    for number in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
        free, total = torch.cuda.mem_get_info(number)
        name = torch.cuda.get_device_name(number)
        yield Check(f"device cuda:{number}", "ok", f"{name}, {free / 1e9:.1f} of {total / 1e9:.1f} GB free")
    if torch.backends.mps.is_available():
        yield Check("device mps", "ok", "Apple GPU; memory is shared with the CPU")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 0
    yield Check("device cpu", "ok", f"{cores} cores, {pages / 1e9:.1f} GB of memory, {torch.get_num_threads()} torch threads")


def check_prefect() -> Iterator[Check]:
    """The server that the user named for Prefect answers and fits, or one can be started for each run."""
    server = named_server()
    if server is not None:
        yield _check_server(server)
        return
    home = prefect_home()
    nearest = next(folder for folder in [home, *home.parents] if folder.exists())
    if nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK):
        yield Check("prefect", "ok", f"no server is named: a server of its own is started for each run; its home is {home}")
    else:
        yield Check("prefect", "failure", f"{home} cannot be written to", "set XDG_CACHE_HOME to a folder of yours")


def _check_server(server: NamedServer) -> Check:
    said = ask_version(server)  # its errors tell what to do
    ours = Version(version("prefect"))
    if said is None:
        return Check("prefect", "ok", f"{server} answers; Prefect Cloud does not tell its version (client {ours})")
    theirs = Version(said)
    seen = f"{server} answers: server {theirs}, client {ours}"
    if theirs.major != ours.major:
        return Check("prefect", "failure", seen, f"bring the server to {ours}")
    if theirs < ours:
        return Check("prefect", "warning", seen, f"a server should not be older than its clients: bring it to {ours}")
    return Check("prefect", "ok", seen)
