"""The whole adaptation through Prefect: report, record, nothing to do the second time, refusals."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from configs.adapt import load_adapt_config
from configs.settings import ConfigError
from flows.cli import app
from storage.fingerprint import digest
from storage.runs import latest_run
from tasks.seamless.model import BadModel
from tests.support.discs import write_adaptation, write_source_model

pytestmark = pytest.mark.usefixtures("prefect_api")

EVERY = {"predict": 2, "scores": 2, "thresholds": 1, "omni": 2, "pool": 1, "adapt": 1, "compare": 2}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write_adaptation(tmp_path, 3)


def run(path: Path, **overrides: Any) -> dict[str, Any]:
    from flows.adapt import adapt

    return adapt(load_adapt_config(path, {key.replace("__", "."): value for key, value in overrides.items()}))


def test_a_run_adapts_reports_and_has_nothing_to_do_the_second_time(path: Path) -> None:
    record = run(path)
    assert record["state"] == "completed"
    assert {row["stage"]: row["ran"] for row in record["stages"]} == EVERY
    assert set(record["figures"]) == {"source", "adapted"}
    assert record["figures"]["source"] != record["figures"]["adapted"]
    assert record["figures"]["source"]["mIoU"] > 0.3
    page = Path(record["report"]).read_text()
    for text in (
        "Thresholds",
        "mAPQ",
        "Object pool",
        "whole objects",
        "source model: amodal panoptic",
        "adapted model: panoptic",
        f"{record['figures']['adapted']['mIoU']:.3f}",
    ):
        assert text in page
    assert {file.name for file in Path(record["model"]).iterdir()} == {"config.json", "model.safetensors"}
    assert latest_run(str(path.parent / "store"), "discs")["run"] == record["run"]  # type: ignore[index]
    for command in ("adapt", "run"):
        outcome = CliRunner().invoke(app, [command, str(path), "--json"])
        assert outcome.exit_code == 0, outcome.output
        again = json.loads(outcome.stdout)
        assert (again["state"], again["anything_to_run"]) == ("nothing to run", False)


def test_panoramas_that_the_model_learned_from_are_refused(path: Path) -> None:
    image = path.parent / "target" / "images" / "p01.png"
    write_source_model(path.parent / "source_model", (digest(image.read_bytes()),))
    with pytest.raises(ConfigError, match=r"learned from 1 of these panoramas, with labels \(p01\)"):
        run(path)
    assert latest_run(str(path.parent / "store"))["state"] == "failed"  # type: ignore[index]
    assert not (path.parent / "store" / "stages" / "predict").exists()


def test_no_panoramas_and_no_model(path: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises((ConfigError, ValueError), match="empty"):
        run(path, source__url=str(tmp_path / "empty"), source__truth=None)
    (path.parent / "source_model" / "model.safetensors").write_bytes(b"torn")
    with pytest.raises(BadModel, match="no saved seamless network"):
        run(path)
    (path.parent / "source_model" / "config.json").unlink()
    with pytest.raises(BadModel, match=r"must be a folder that holds config.json and model.safetensors"):
        run(path)
