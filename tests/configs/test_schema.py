"""The config speaks to its user: every mistake names its key and the fix."""

from pathlib import Path

import pytest
import yaml

from configs.reading import load_config
from configs.settings import ConfigError

MINIMAL = {
    "name": "test",
    "root": "store",
    "source": {"url": "images"},
    "teachers": [{"name": "one", "kind": "transformers", "fields": ["depth"], "settings": {"model": "demo"}}],
}


def write(folder: Path, **changes: object) -> Path:
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump({**MINIMAL, **changes}))
    return path


def test_defaults_are_filled_in(tmp_path: Path) -> None:
    config = load_config(write(tmp_path))
    assert config.project.layout.kind == "icosahedron"
    assert config.block_size == 16


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"fuze": {}}, "fuze: unknown key; did you mean 'fuse'?"),
        ({"fuse": {"off_axes_power": 1}}, "fuse.off_axes_power: unknown key; did you mean 'off_axis_power'?"),
        ({"project": {"layout": {"kind": "random", "cout": 3}}}, "did you mean 'count'?"),
        ({"project": {"layout": {"kind": "randm"}}}, "'random'"),
        ({"project": {"layout": {"kind": "random", "fov_degrees": [120, 80]}}}, "swap the two numbers"),
        ({"fuse": {"height": 511}}, "use 512"),
        ({"fuse": {"depth_dtype": "float8"}}, "fuse.depth_dtype"),
        ({"block_size": 0}, "block_size: Input should be greater than or equal to 1 (got 0)"),
        ({"teachers": MINIMAL["teachers"] * 2}, "the name 'one' is used twice"),
        ({"source": {}}, "source.url: is required; add it"),
        ({"project": {"layout": {"kind": "cubemap", "fov_degrees": 1.57}}}, "greater than or equal to 90"),
    ],
)
def test_a_mistake_names_its_key_and_the_fix(tmp_path: Path, changes: dict, expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(write(tmp_path, **changes))
    assert expected in str(caught.value)


def test_two_teachers_for_one_field_contradict(tmp_path: Path) -> None:
    second = {**MINIMAL["teachers"][0], "name": "two"}
    with pytest.raises(ConfigError, match="both 'one' and 'two' give 'depth'"):
        load_config(write(tmp_path, teachers=[*MINIMAL["teachers"], second]))


def test_several_mistakes_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(write(tmp_path, fuze={}, block_size=0))
    assert "fuze" in str(caught.value)
    assert "block_size" in str(caught.value)


def test_overrides_are_laid_over_the_file(tmp_path: Path) -> None:
    config = load_config(write(tmp_path), {"fuse.height": 64, "source.url": "elsewhere"})
    assert (config.fuse.height, config.source.url) == (64, "elsewhere")


def test_a_missing_file_is_an_error_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path / "nothing.yaml")


@pytest.mark.parametrize("path", sorted(Path("configs").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_ready_made_config_is_valid(path: Path) -> None:
    assert load_config(path).name == path.stem
