"""What YAML would read as something else than was meant is refused, with its line."""

from pathlib import Path

import pytest
import yaml

from configs.plain_yaml import parse_yaml
from configs.settings import ConfigError
from flows.commands.options import overrides
from tasks.pipeline import load
from tests.configs.test_reading import MINIMAL, STAGES


@pytest.mark.parametrize(
    ("text", "key", "lines"),
    [
        ("a: 1\nb: 2\na: 3\n", "a", (1, 3)),
        ("x:\n  deep:\n    a: 1\n    b: 2\n    a: 1\n", "a", (3, 5)),
        ("x: {a: 1, b: 2,\n    a: 3}\n", "a", (1, 2)),
        ("- {a: 1}\n- a: 1\n  a: 2\n", "a", (2, 3)),
        ('{"name": 1,\n "root": 2,\n "name": 3}', "name", (1, 3)),
        ("'a': 1\n\"a\": 2\n", "a", (1, 2)),
        ("? {x: 1, x: 2}\n: 1\n", "x", (1, 1)),
    ],
)
def test_a_key_that_stands_twice_is_told_with_both_lines(text: str, key: str, lines: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match=rf"{key}' stands twice .* lines {lines[0]} and {lines[1]}"):
        parse_yaml(text.encode())


@pytest.mark.parametrize(
    "text",
    [
        "a: {x: 1}\nb: {x: 1}\n",
        "base: &base {x: 1, y: 2}\nmine: {<<: *base, x: 3}\n",
        "base: &base {x: 1}\na: *base\nb: *base\n",
        "a: 1\n'1': 2\n1: 3\n",
        "day: 2026-01-02\nat: '12:30'\nzero: 0\nhundred: 1_00\nhex: 0x1f\nfloat: 0.5\nsmall: 00.5\n",
    ],
)
def test_what_is_plain_stays_as_yaml_reads_it(text: str) -> None:
    assert parse_yaml(text.encode()) == yaml.safe_load(text)


@pytest.mark.parametrize(("text", "value"), [("x: 12:30", 750), ("a: 1\nx: 010", 8), ("x: [1, -1:30.5]", -90.5)])
def test_numbers_of_other_bases_are_told(text: str, value: float) -> None:
    with pytest.raises(ValueError, match=rf"line {text.count(chr(10)) + 1}: .* means {value} in YAML"):
        parse_yaml(text.encode())


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"fuse": {"depth_edge": True}}, "stages.fuse.depth_edge: is true, where a number is needed"),
        ({"ingest": {"source": {"url": "i"}, "aspect_tolerance": False}}, "stages.ingest.aspect_tolerance: is false"),
        ({"ingest": {"source": {"url": "i"}, "block_size": True}}, "stages.ingest.block_size: is true"),
    ],
)
def test_a_truth_value_is_no_number(tmp_path: Path, values: dict, expected: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump({**MINIMAL, "stages": {**STAGES, **values}}, sort_keys=False))
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert expected in str(caught.value)


def test_the_command_line_is_read_as_a_config_is() -> None:
    assert overrides(["ingest.source.allow=[/data, /more]", "fuse.height=512"]) == {
        "ingest.source.allow": ["/data", "/more"],
        "fuse.height": 512,
    }
    with pytest.raises(ConfigError, match=r"--set fuse=.*stands twice"):
        overrides(["fuse={height: 8, height: 16}"])
