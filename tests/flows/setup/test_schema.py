"""The JSON schema of pipeline files: that of the code, right of right files, and of wrong ones."""

import json
from pathlib import Path

import pytest
import yaml

from configs.settings import ConfigError
from tasks.catalogue import kind_named
from tasks.pipeline import validated
from tasks.schema import schema_text
from tests.support.commands import panolabel
from tests.support.pipelines import write_panoramas, write_pipeline

CONFIGS = Path(__file__).resolve().parents[3] / "configs"


def test_the_committed_schema_is_that_of_the_code() -> None:
    assert (CONFIGS / "schema.json").read_text() == schema_text(), "run: panolabel schema --out configs/schema.json"
    assert panolabel("schema").stdout == schema_text()


WRONG_STAGES = (
    {"ingest": {"source": {"url": "x"}, "block_size": 0}},
    {"ingest": None},
    {"fuze": {}},
    {"other": {"stage": "fuze"}},
    {"fuse": {"height": "tall"}},
    {"label": {"stage": "fuse", "kind": "transformers"}},
    {"project": {"layout": {"kind": "cube"}}},
    {"train": {}},
    {"other": {"stage": "train", "kind": "seamless", "steps": 3, "supervision": "merged"}},
    {"other": {"stage": "predict", "model": 3}},
    {"other": {"stage": "from", "config": "x.yaml"}},
)
RIGHT_STAGES = (
    {"evaluate": None},
    {"label": {"stage": "fuse", "height": 64}},
    {"other": {"stage": "train", "labels": {"fuse": 2.0}, "steps": 3}},
    {"other": {"stage": "train", "labels": ["fuse", "adapted"], "steps": 3}},
    {"other": {"stage": "from", "config": "x.yaml", "of": "fuse", "set": {"fuse.height": 3}}},
)


def test_the_schema_accepts_shipped_configs_and_refuses_mistakes(tmp_path: Path) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads(schema_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    path = write_pipeline(tmp_path, 1)
    assert panolabel("init", path.parent / "images", "--out", tmp_path / "made.yaml").returncode == 0
    files = [*CONFIGS.glob("*.yaml"), path, tmp_path / "made.yaml"]
    assert len(files) >= 6
    for file in files:
        validator.validate(yaml.safe_load(file.read_text()))
    good = yaml.safe_load((CONFIGS / "street.yaml").read_text())
    as_list = [{key: values} for key, values in good["stages"].items()]
    validator.validate({**good, "stages": as_list})
    assert not validator.is_valid({**good, "stages": [{**as_list[0], **as_list[1]}]})
    assert not validator.is_valid({**good, "folder": "x"})
    for wrong in WRONG_STAGES:
        assert not validator.is_valid({**good, "stages": {**good["stages"], **wrong}}), wrong
        with pytest.raises(ConfigError):
            validated({**good, "stages": {**good["stages"], **wrong}})
    for right in RIGHT_STAGES:
        validator.validate({**good, "stages": {**good["stages"], **right}})
    fuse = schema["$defs"]["stage:fuse"]["properties"]
    assert fuse["height"]["description"].startswith("Rows of the fused labels")
    assert set(fuse) == {"stage", "keep", *kind_named("fuse").reads, *kind_named("fuse").settings.model_fields}


def test_yaml_files_name_a_schema_that_is_there(tmp_path: Path) -> None:
    write_panoramas(tmp_path / "panos", ["a"])
    assert panolabel("init", tmp_path / "panos", "--out", tmp_path / "x.yaml").returncode == 0
    for file in [*CONFIGS.glob("*.yaml"), tmp_path / "x.yaml"]:
        first = file.read_text().splitlines()[0]
        assert first.startswith("# yaml-language-server: $schema=")
        assert (file.parent / first.split("=")[1]).read_text() == schema_text()
