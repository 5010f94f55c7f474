"""Sources of all kinds: what may be said of them, and what contradicts itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from configs.json_schema import json_schema
from configs.pipeline import Config
from configs.reading import load_config
from configs.settings import ConfigError
from flows.commands.options import load
from tests.configs.test_schema import MINIMAL

DATA_SET = {"kind": "structured3d", "root": "/data/s3d", "split": "test"}


def written(folder: Path, source: Any) -> Path:
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump({**MINIMAL, "source": source}))
    return path


def test_the_root_of_a_data_set_is_its_url(tmp_path: Path) -> None:
    config = load_config(written(tmp_path, DATA_SET))
    assert (config.source.kind, config.source.url, config.source.split) == ("structured3d", "/data/s3d", "test")
    assert Config.model_validate(config.model_dump(mode="json")) == config, "as a record keeps it, it is read again"


def test_the_command_line_replaces_the_root_and_keeps_the_kind(tmp_path: Path) -> None:
    config = load(written(tmp_path, DATA_SET), "/elsewhere", None, ["source.split=val"])
    assert (config.source.kind, config.source.url, config.source.split) == ("structured3d", "/elsewhere", "val")


def test_plain_files_are_as_they_were(tmp_path: Path) -> None:
    source = load_config(written(tmp_path, {"url": "images", "truth": "scenes"})).source
    assert source.model_dump() == {"kind": "files", "url": "images", "truth": "scenes", "split": None, "allow": ()}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ({"kind": "structured3d"}, "source: root: is required for a data set"),
        ({"kind": "structured4d", "root": "x"}, "'structured3d'"),
        ({"kind": "structured3d", "root": "x", "truth": "y"}, "source: truth: a data set brings its own"),
        ({"kind": "structured3d", "rot": "x", "url": "y"}, "source.rot: unknown key"),
        ({"kind": "structured3d", "root": 7}, "source.url: Input should be a valid string"),
        ({"root": "x"}, "source.root: unknown key"),
        ({"kind": "files", "truth": "x"}, "source.url: is required"),
        ("images", "source: Input should be"),
        ({"kind": ["structured3d"], "root": "x"}, "source.kind"),
    ],
)
def test_a_mistake_is_told(tmp_path: Path, source: Any, expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(written(tmp_path, source))
    assert expected in str(caught.value)


def test_the_json_schema_knows_both_ways() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    validator = jsonschema.Draft202012Validator(json_schema())
    for source in (DATA_SET, {"url": "images"}, {"url": "s3://x", "truth": "y", "split": "test"}):
        validator.validate({**MINIMAL, "source": source})
    for source in ({"kind": "structured3d"}, {"kind": "structured4d", "root": "x"}, {}, {"root": 7}):
        assert not validator.is_valid({**MINIMAL, "source": source}), source
