"""The ready-made configs are of use, and what they say keeps its fingerprints: no label is made twice because the code moved.

``python -m tests.configs.test_shipped`` records the fingerprints as they are now, in ``shipped.json``.
"""

from __future__ import annotations

import json
from pathlib import Path
from unittest.mock import patch

import pytest

from configs.settings import ConfigError
from tasks.pipeline import load, stages
from tasks.stage import graph

CONFIGS = sorted(Path("configs").glob("*.yaml"))
RECORD = Path(__file__).with_name("shipped.json")
NOT_HERE = {"that are not here": "0" * 64}


def fingerprints(path: Path) -> dict[str, str]:
    """Of every stage, without any panorama, by its key; weights that would have to be downloaded are a constant."""
    weights = graph._weights

    def found(*about):
        try:
            return weights(*about)
        except ConfigError:
            return NOT_HERE

    with patch.object(graph, "_weights", found):
        return {stage.key: f"{stage.name} {stage.identity.fingerprint}" for stage in stages(load(path))}


def record() -> None:
    """Write down the fingerprints of all ready-made configs."""
    RECORD.write_text(json.dumps({path.stem: fingerprints(path) for path in CONFIGS}, indent=1) + "\n")


@pytest.fixture(autouse=True)
def at_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).parents[2])


def test_none_is_forgotten() -> None:
    assert sorted(json.loads(RECORD.read_text())) == [path.stem for path in CONFIGS]


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_fingerprints_of_all_stages_are_kept(path: Path) -> None:
    assert fingerprints(path) == json.loads(RECORD.read_text())[path.stem], (
        "stores that were made by this config would be made again: if that is meant, raise the VERSION of the stage whose output "
        "changes, say so in CHANGELOG.md, and run: python -m tests.configs.test_shipped"
    )


@pytest.mark.parametrize("name", ["demo", "street"])
def test_the_labels_of_the_demo_are_those_of_the_first_release(name: str) -> None:
    own = fingerprints(Path(f"configs/{name}.yaml"))
    assert own["project"] == "project dfa112bac4be04ee"
    assert own["dense"] == "label.dense 194beff5b1d37941"
    assert own["fuse"] == "fuse 6dfcb514a4691fa9"


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_ready_made_config_has_the_name_of_its_file_and_says_what_it_is(path: Path) -> None:
    assert load(path).name == path.stem
    schema, said = path.read_text().splitlines()[:2]
    assert schema == "# yaml-language-server: $schema=schema.json"
    assert said.startswith("# ")


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_fingerprints_do_not_depend_on_where_one_is(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here, file = fingerprints(path), path.resolve()
    monkeypatch.chdir(path.parent)
    assert fingerprints(Path(file.name)) == here


if __name__ == "__main__":
    record()
