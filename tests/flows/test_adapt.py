"""The whole adaptation through Prefect: report, record, nothing to do the second time, refusals."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from configs.settings import ConfigError
from flows.cli import app
from flows.plan import make_plan
from storage.fingerprint import digest
from storage.records.runs import latest_run
from tasks.seamless.model import BadModel
from tests.support.discs import read, write_adaptation, write_source_model
from tests.support.pipelines import run_pipeline

pytestmark = pytest.mark.usefixtures("prefect_api")

EVERY = {
    "adapt.predict": 2, "adapt.scores": 2, "adapt.thresholds": 1, "adapt.omni": 2, "adapt.pool": 1, "adapt": 1, "compare": 2,
}  # fmt: skip


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write_adaptation(tmp_path, 3)


def run(path: Path, **overrides: Any) -> dict[str, Any]:
    return run_pipeline(read(path, **overrides))


def test_a_run_adapts_reports_and_has_nothing_to_do_the_second_time(path: Path) -> None:
    record = run(path)
    assert record["state"] == "completed"
    assert {row["stage"]: row["ran"] for row in record["stages"]} == EVERY
    figures = record["found"]["compare"]["figures"]
    assert set(figures) == {"source", "adapted"}
    assert figures["source"] != figures["adapted"]
    assert figures["source"]["mIoU"] > 0.3
    page = Path(record["report"]).read_text()
    for text in (
        "Thresholds",
        "mAPQ",
        "Object pool",
        "whole objects",
        "source model: amodal panoptic",
        "adapted model: panoptic",
        f"{figures['adapted']['mIoU']:.3f}",
    ):
        assert text in page
    assert {file.name for file in Path(record["found"]["adapt"]["model"]).iterdir()} == {"config.json", "model.safetensors"}
    assert latest_run(str(path.parent / "store"), "discs")["run"] == record["run"]  # type: ignore[index]
    outcome = CliRunner().invoke(app, ["run", str(path), "--json"])
    assert outcome.exit_code == 0, outcome.output
    again = json.loads(outcome.stdout)
    assert (again["state"], again["anything_to_run"]) == ("nothing to run", False)


def test_a_short_command_overwrites_no_file_of_another_hand_and_leaves_none_that_is_refused(path: Path) -> None:
    mine = path.parent / "mine.yaml"
    mine.write_text("name: mine")
    source = ["--source", str(path.parent / "target" / "images"), "--root", str(path.parent)]
    outcome = CliRunner().invoke(app, ["adapt", str(path.parent / "source_model"), *source, "--name", "mine"])
    assert isinstance(outcome.exception, ConfigError)
    assert "no such command wrote it" in str(outcome.exception)
    assert mine.read_text() == "name: mine"
    outcome = CliRunner().invoke(
        app, ["adapt", str(path.parent / "source_model"), *source, "--name", "new", "--set", "adapt.nope=1"]
    )
    assert isinstance(outcome.exception, ConfigError)
    assert not (path.parent / "new.yaml").exists()


def test_the_command_writes_a_file_that_adapts_and_compares(path: Path) -> None:
    source, root = path.parent / "target", path.parent / "own"
    changes = {"adapt.height": 64, "adapt.training.crop": "[64, 64]", "adapt.training.steps": 1, "adapt.training.rates": "{}"}
    sets = [word for key, value in changes.items() for word in ("--set", f"{key}={value}")]
    command = ["adapt", str(path.parent / "source_model"), "--source", str(source / "images"), "--truth", str(source)]
    outcome = CliRunner().invoke(app, [*command, "--root", str(root), *sets, "--set", "execution.device=cpu", "--json"])
    assert outcome.exit_code == 0, outcome.output
    assert set(json.loads(outcome.stdout)["found"]["compare"]["figures"]) == {"source", "adapted"}
    assert not make_plan(read(root / "adaptation.yaml")).anything_to_run


def test_panoramas_that_the_model_learned_from_are_refused(path: Path) -> None:
    image = path.parent / "target" / "images" / "p01.png"
    write_source_model(path.parent / "source_model", (digest(image.read_bytes()),))
    with pytest.raises(ConfigError, match=r"learned from 1 of these panoramas, with labels \(p01\)"):
        run(path)
    assert latest_run(str(path.parent / "store"))["state"] == "failed"  # type: ignore[index]
    assert not (path.parent / "store" / "stages" / "adapt.predict").exists()


def test_no_panoramas_and_no_model(path: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="empty"):
        run(path, ingest__source__url=str(tmp_path / "empty"))
    (path.parent / "source_model" / "model.safetensors").write_bytes(b"torn")
    with pytest.raises(BadModel, match="no saved seamless network"):
        run(path)
    (path.parent / "source_model" / "config.json").unlink()
    with pytest.raises(
        ConfigError, match=r"stages\.adapt\.predict: model .* must be a folder that holds config.json and model.saf"
    ):
        run(path)
