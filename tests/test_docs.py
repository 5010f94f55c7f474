"""What the documents name exists: files behind links, headings, paths, commands and their options, make targets, modules."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import typer

from flows.cli import app

ROOT = Path(__file__).parents[1]
LINK = re.compile(r"(?<!`)\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"^```.*?^```|^    [^\n]*$|`[^`\n]+`", re.MULTILINE | re.DOTALL)
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"(?:^\s*|`|\$ |&& )panolabel ([^`\n]*)", re.MULTILINE)
TARGET = re.compile(r"(?:^\s*|`|\$ |&& )make ([a-z][a-z-]*)", re.MULTILINE)
MODULE = re.compile(r"python -m ([\w.]+)")
PATH = re.compile(r"`([\w-]+(?:/[\w.-]+)+)`")
LOCAL = re.compile(r"(?!https?:|mailto:)")


def documents() -> list[str]:
    """Every Markdown file of the repository."""
    return [file for file in files() if file.endswith(".md")]


@cache
def files() -> list[str]:
    """Every file that git tracks, and those that are new and not ignored."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()


def code(document: str) -> Iterator[str]:
    """Blocks and spans of code; prose may say what panolabel does and what one has to make."""
    return (match[0] for match in CODE.finditer((ROOT / document).read_text()))


def headings(file: Path) -> set[str]:
    """The anchors of a document's headings, as GitHub makes them."""
    lines = re.findall(r"^#+ (.+)$", FENCE.sub("", file.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", line.lower()).strip().replace(" ", "-") for line in lines}


@cache
def command_line() -> Any:
    return typer.main.get_command(app)


def missing_command(words: list[str]) -> str | None:
    """What is wrong with the words after ``panolabel``: an unknown command, or an option that the command lacks."""
    command = command_line()
    while (commands := getattr(command, "commands", None)) and words and re.fullmatch(r"[a-z][a-z-]*", words[0]):
        name, *words = words
        if name not in commands:
            return f"there is no command {name!r}"
        command = commands[name]
    known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)} | {"--help"}
    unknown = [word for word in words if re.fullmatch(r"--[a-z][a-z-]*", word) and word not in known]
    return f"{command.name} has no option {', '.join(unknown)}" if unknown else None


@pytest.mark.parametrize("document", documents())
def test_links_lead_to_files_and_headings(document: str) -> None:
    dead = []
    for target in filter(LOCAL.match, LINK.findall(FENCE.sub("", (ROOT / document).read_text()))):
        name, _, anchor = target.partition("#")
        file = ROOT / document if not name else (ROOT / document).parent / name
        if not file.exists() or (anchor and anchor not in headings(file)):
            dead.append(target)
    assert not dead


@pytest.mark.parametrize("document", documents())
def test_paths_of_the_repository_exist(document: str) -> None:
    rooms = {file.split("/")[0] for file in files() if "/" in file}  # not work/, which a run makes
    named = [path for path in PATH.findall((ROOT / document).read_text()) if path.split("/")[0] in rooms]
    assert [path for path in named if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("document", documents())
def test_commands_and_their_options_exist(document: str) -> None:
    said = [line for block in code(document) for line in COMMAND.findall(block)]
    wrong = {line: problem for line in said if (problem := missing_command(re.split(r" \| | > | # | && ", line)[0].split()))}
    assert not wrong


@pytest.mark.parametrize("document", documents())
def test_make_targets_and_modules_exist(document: str) -> None:
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    text = "\n".join(code(document))
    assert set(TARGET.findall(text)) <= targets
    assert [name for name in set(MODULE.findall(text)) if find_spec(name) is None] == []


def test_what_does_not_exist_is_seen(tmp_path: Path) -> None:
    assert missing_command(["plan", "x.yaml", "--check", "--json"]) is None
    assert missing_command(["failures", "waive", "x.yaml"]) is None
    assert missing_command(["plam", "x.yaml"]) == "there is no command 'plam'"
    assert missing_command(["failures", "forget"]) == "there is no command 'forget'"
    assert missing_command(["run", "x.yaml", "--check"]) == "run has no option --check"
    page = tmp_path / "page.md"
    page.write_text("# One `code` heading, and more\n```\n# no heading\n```\n## Second\n")
    assert headings(page) == {"one-code-heading-and-more", "second"}


def test_every_command_is_explained() -> None:
    said = [line.split()[0] for page in documents() for block in code(page) for line in COMMAND.findall(block) if line.strip()]
    assert set(command_line().commands) <= set(said)
