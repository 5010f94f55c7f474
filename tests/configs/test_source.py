"""Sources of all kinds: what may be said of them, and what contradicts itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from configs.settings import ConfigError
from flows.commands.options import load as load_with_options
from tasks.pipeline import load, validated
from tasks.schema import json_schema
from tests.configs.test_reading import MINIMAL, STAGES, settings_of

DATA_SET = {"kind": "structured3d", "root": "/data/s3d", "split": "test"}


def of_source(source: Any) -> dict[str, Any]:
    return {**MINIMAL, "stages": {**STAGES, "ingest": {"source": source}}}


def written(folder: Path, source: Any) -> Path:
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(of_source(source), sort_keys=False))
    return path


def test_the_root_of_a_data_set_is_its_url(tmp_path: Path) -> None:
    config = load(written(tmp_path, DATA_SET))
    source = settings_of(config, "ingest").source
    assert (source.kind, source.url, source.split) == ("structured3d", "/data/s3d", "test")
    again = validated(config.model_dump(mode="json"))
    assert (again, settings_of(again, "ingest")) == (config, settings_of(config, "ingest")), "as a record keeps it"


def test_the_command_line_replaces_the_root_and_keeps_the_kind(tmp_path: Path) -> None:
    config = load_with_options(written(tmp_path, DATA_SET), "/elsewhere", None, ["ingest.source.split=val"])
    source = settings_of(config, "ingest").source
    assert (source.kind, source.url, source.split) == ("structured3d", "/elsewhere", "val")


def test_plain_files_are_as_they_were(tmp_path: Path) -> None:
    source = settings_of(load(written(tmp_path, {"url": "images", "truth": "scenes"})), "ingest").source
    assert source.model_dump() == {"kind": "files", "url": "images", "truth": "scenes", "split": None, "allow": ()}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ({"kind": "structured3d"}, "stages.ingest.source: root: is required for a data set"),
        ({"kind": "structured4d", "root": "x"}, "'structured3d'"),
        ({"kind": "structured3d", "root": "x", "truth": "y"}, "stages.ingest.source: truth: a data set brings its own"),
        ({"kind": "structured3d", "rot": "x", "url": "y"}, "stages.ingest.source.rot: unknown key"),
        ({"kind": "structured3d", "root": 7}, "stages.ingest.source.url: Input should be a valid string"),
        ({"root": "x"}, "stages.ingest.source.root: unknown key"),
        ({"kind": "files", "truth": "x"}, "stages.ingest.source.url: is required"),
        ("images", "stages.ingest.source: Input should be"),
        ({"kind": ["structured3d"], "root": "x"}, "stages.ingest.source.kind"),
    ],
)
def test_a_mistake_is_told(tmp_path: Path, source: Any, expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(written(tmp_path, source))
    assert expected in str(caught.value)


def test_the_json_schema_knows_both_ways() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    validator = jsonschema.Draft202012Validator(json_schema())
    for source in (DATA_SET, {"url": "images"}, {"url": "s3://x", "truth": "y", "split": "test"}):
        validator.validate(of_source(source))
    for source in ({"kind": "structured3d"}, {"kind": "structured4d", "root": "x"}, {}, {"root": 7}):
        assert not validator.is_valid(of_source(source)), source
