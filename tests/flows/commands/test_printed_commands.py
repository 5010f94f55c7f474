"""What the product prints to be typed works when pasted: with what was replaced on the command line, and with odd names."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from flows import invocation
from flows.invocation import command, remember
from tests.support.commands import panolabel
from tests.support.pipelines import write_pipeline

LINE = re.compile(r"(?:^|`|: +)(panolabel [^`\n]*)", re.MULTILINE)


def printed(text: str) -> list[str]:
    """The commands in what a command printed: those in backticks, and those that end a line."""
    return [found.strip() for found in LINE.findall(text)]


def paste(typed: str, prefect_api: str) -> subprocess.CompletedProcess[str]:
    """Run a command line by the shell, as it stands."""
    assert typed.startswith("panolabel ")
    line = f"{shlex.quote(sys.executable)} -m flows.cli {typed.removeprefix('panolabel ')}"
    environment = {**os.environ, "PREFECT_API_URL": prefect_api}
    return subprocess.run(line, shell=True, capture_output=True, text=True, env=environment, check=False)


def with_source(path: Path, url: str) -> str:
    """The text of a pipeline's file with another source."""
    values = yaml.safe_load(path.read_text())
    values["stages"]["ingest"]["source"] = {"url": url}
    return yaml.safe_dump(values, sort_keys=False)


@pytest.mark.parametrize("odd", ["a b", "it's", "$HOME", "x;y", "[bold]"])
def test_words_are_quoted_for_the_shell(odd: str) -> None:
    remember(f"{odd}.yaml", f"/{odd}/*.jpg", f"s3://{odd}", [f"name={odd}"])
    try:
        words = shlex.split(command("failures waive", odd, "--reason", odd))
    finally:
        remember("")
    start = ["panolabel", "failures", "waive", f"{odd}.yaml", odd, "--reason", odd]
    assert words == [*start, "--source", f"/{odd}/*.jpg", "--root", f"s3://{odd}", "--set", f"name={odd}"]


def test_secrets_are_not_printed() -> None:
    remember("x.yaml", "https://user:secret@host/list.csv")
    try:
        assert "secret" not in command("run")
    finally:
        remember("")


@pytest.mark.slow
def test_what_is_told_before_a_run_works_when_pasted(tmp_path: Path, prefect_api: str) -> None:
    written = write_pipeline(tmp_path / "in", 2)
    path = tmp_path / "my labels.yaml"
    path.write_text(with_source(written, "/nowhere"))
    given = ["--source", tmp_path / "in" / "images", "--root", tmp_path / "a store"]
    asked = [panolabel(name, path, *given) for name in ("status", "publish", "audit")]
    (tmp_path / "a store").mkdir()
    asked += [panolabel(name, path, *given) for name in ("audit", "plan")]
    training = tmp_path / "my training.yaml"
    changed = {"root": str(tmp_path / "a store"), "ingest.source.url": str(tmp_path / "in" / "images")}
    labels = {"stage": "from", "config": path.name, "of": "fuse", "set": changed}
    train = {"stage": "train", "size": "tiny", "backbone": "convnext", "height": 32, "steps": 4, "batch": 1, "held_out": None}
    students = {"name": "s", "root": str(tmp_path / "students"), "stages": {"labels": labels, "train": train}}
    training.write_text(yaml.safe_dump(students, sort_keys=False))
    asked += [
        panolabel("run", training, PREFECT_API_URL=prefect_api),
        panolabel("init", tmp_path / "in" / "images", "--out", tmp_path / "a b.yaml"),
    ]
    assert [result.returncode for result in asked] == [2, 2, 2, 2, 0, 2, 0], [result.stderr for result in asked]
    told = [printed(result.stdout + result.stderr) for result in asked]
    kinds = [[shlex.split(one)[1] for one in some] for some in told]
    assert kinds == [["run"], ["run"], ["run"], ["run"], [], ["run"], ["plan"]]
    for some in told:
        for typed in some:
            result = paste(typed, prefect_api)
            assert result.returncode == 0, f"{typed}\n{result.stdout}{result.stderr}"


@pytest.mark.slow
def test_every_printed_command_works_when_pasted(tmp_path: Path, prefect_api: str) -> None:
    written = write_pipeline(tmp_path / "in", 3)
    path = tmp_path / "my labels.yaml"
    path.write_text(with_source(written, "/nowhere").replace(str(tmp_path / "in" / "store"), "/nowhere"))
    (tmp_path / "in" / "images" / "p02.png").write_bytes(b"no image")
    given = ["--source", tmp_path / "in" / "images", "--root", tmp_path / "a store", "--set", "fuse.height=16"]
    run = panolabel("run", path, *given, PREFECT_API_URL=prefect_api)
    assert run.returncode == 0, run.stderr
    assert "<fingerprint>" not in run.stdout
    (labels,) = re.findall(r"^Labels: +(.*data\.zarr)$", run.stdout, re.MULTILINE)
    assert Path(labels, "zarr.json").exists()
    told = [*printed(run.stdout), *printed(panolabel("failures", "list", path, *given).stdout)]
    next(Path(labels).glob("depth/c/*/*/*")).unlink()
    verified = panolabel("verify", path, *given)
    assert verified.returncode == 1
    refused = panolabel("publish", path, *given)
    assert refused.returncode == 2
    told += [*printed(verified.stdout), *printed(refused.stderr)]
    kinds = [" ".join(shlex.split(one)[1:3]).removesuffix(str(path)).strip() for one in told]
    assert kinds == ["trace", "failures retry", "failures waive", "run", "run"]
    for typed in told[-1:] + told[:-1]:
        result = paste(typed, prefect_api)
        assert result.returncode == 0, f"{typed}\n{result.stdout}{result.stderr}"
    assert panolabel("publish", path, *given).returncode == 0


def test_an_item_that_looks_like_an_option_stands_behind_dashes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(invocation, "_given", invocation.Given("a b.yaml", source="/pics"))
    assert invocation.command("trace", item="-dash") == "panolabel trace 'a b.yaml' --source /pics -- -dash"
    assert invocation.command("trace", item="p 1") == "panolabel trace 'a b.yaml' 'p 1' --source /pics"
