"""The config speaks to its user: every mistake names its key and the fix."""

import os
from pathlib import Path

import pytest
import yaml

from configs.settings import ConfigError
from tasks.pipeline import load
from tests.support.stages import stage_of

TEACHER = {"stage": "label", "kind": "transformers", "fields": ["depth"], "settings": {"model": "demo"}}
STAGES = {"ingest": {"source": {"url": "images"}}, "project": {}, "one": TEACHER, "fuse": {}, "evaluate": {}}
MINIMAL = {"name": "test", "root": "store", "stages": STAGES}


def write(folder: Path, stages: dict | None = None, **changes: object) -> Path:
    """A config whose stages have these changes laid over them."""
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump({**MINIMAL, "stages": {**STAGES, **(stages or {})}, **changes}, sort_keys=False))
    return path


def test_defaults_are_filled_in(tmp_path: Path) -> None:
    config = load(write(tmp_path))
    assert stage_of(config, "project").settings.layout.kind == "icosahedron"
    assert stage_of(config, "ingest").settings.block_size == 16


def ingest(**changes: object) -> dict:
    return {"ingest": {**STAGES["ingest"], **changes}}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"fuze": {}}, "stages.fuze: no stage is of the kind 'fuze'; did you mean 'fuse'?"),
        ({"fuse": {"off_axes_power": 1}}, "stages.fuse.off_axes_power: unknown key; did you mean 'off_axis_power'?"),
        ({"project": {"layout": {"kind": "random", "cout": 3}}}, "did you mean 'count'?"),
        ({"project": {"layout": {"kind": "randm"}}}, "'random'"),
        ({"project": {"layout": {"kind": "random", "fov_degrees": [120, 80]}}}, "swap the two numbers"),
        ({"fuse": {"height": 511}}, "use 512"),
        ({"fuse": {"depth_dtype": "float8"}}, "stages.fuse.depth_dtype"),
        (ingest(block_size=0), "stages.ingest.block_size: Input should be greater than or equal to 1 (got 0)"),
        ({"ingest": {"source": {}}}, "stages.ingest.source.url: is required; add it"),
        ({"project": {"layout": {"kind": "cubemap", "fov_degrees": 1.57}}}, "greater than or equal to 90"),
    ],
)
def test_a_mistake_names_its_key_and_the_fix(tmp_path: Path, changes: dict, expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(write(tmp_path, changes))
    assert expected in str(caught.value)


def test_a_key_of_the_frame_is_told_apart(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="executions: unknown key; did you mean 'execution'"):
        load(write(tmp_path, executions={}))


def test_a_stage_stands_once(tmp_path: Path) -> None:
    stages = [*({key: values} for key, values in STAGES.items()), {"one": TEACHER}]
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump({**MINIMAL, "stages": stages}))
    with pytest.raises(ConfigError, match=r"stages.one: stands twice"):
        load(path)


def test_two_teachers_for_one_field_contradict(tmp_path: Path) -> None:
    stages = {"ingest": STAGES["ingest"], "project": {}, "one": TEACHER, "two": TEACHER, "fuse": {}}
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump({**MINIMAL, "stages": stages}, sort_keys=False))
    with pytest.raises(ConfigError, match="both 'one' and 'two' give 'depth'"):
        load(path)


def test_several_mistakes_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(write(tmp_path, {"fuze": {}, **ingest(block_size=0)}))
    assert "fuze" in str(caught.value)
    assert "block_size" in str(caught.value)


def test_overrides_are_laid_over_the_file(tmp_path: Path) -> None:
    config = load(write(tmp_path), {"fuse.height": 64, "ingest.source.url": "elsewhere"})
    assert stage_of(config, "fuse").settings.height == 64
    assert stage_of(config, "ingest").settings.source.url == os.path.abspath("elsewhere"), "as the working directory sees it"


def test_a_missing_file_is_an_error_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path / "nothing.yaml")
