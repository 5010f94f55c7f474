"""Blocks of which all rows are copied load no model; one row to be made loads it, once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from benchmarks.runs.changes import add_column, change_pixel
from benchmarks.runs.direct import ingested
from configs.pipeline import Config
from configs.trial import Trial
from flows.plan import make_plan
from models.student import StudentModel
from models.student.configuration import tiny_config
from storage.receipts import Receipt
from tasks.pipeline import load
from tasks.predict.predict import load_student
from tasks.seamless.model import loaded_model
from tests.support.discs import write_adaptation
from tests.support.pipelines import write_panoramas

Case = tuple[Path, str, Any]
"""A config, the stage of it that runs a model, and what loads that."""


def of_a_student(folder: Path) -> Case:
    write_panoramas(folder / "images", ["p00", "p01", "p02"])
    torch.manual_seed(0)
    StudentModel(tiny_config()).save_pretrained(folder / "student")
    stages = {
        "ingest": {"source": {"url": "images"}, "block_size": 4},
        "predict": {"model": "./student", "height": 32},
    }
    path = folder / "predict.yaml"
    path.write_text(yaml.safe_dump({"name": "p", "root": "store", "stages": stages, "execution": {"device": "cpu"}}))
    return path, "predict", load_student


def of_a_source_model(folder: Path) -> Case:
    path = write_adaptation(folder, 3, truth=False)
    (folder / "target/images").rename(folder / "images")
    path.write_text(path.read_text().replace(str(folder / "target/images"), str(folder / "images")))
    return path, "adapt.predict", loaded_model


def carried_out(config: Config, key: str) -> list[Receipt]:
    """The receipts of the stage's blocks that were owed, made now."""
    ingested(config)
    plan = make_plan(config, trial=Trial(until=(key,)))
    step = plan.step(key)
    return [step.stage.make(plan.job(step, block, "run", config.execution)) for block in plan.owed_blocks(step)]


@pytest.mark.parametrize("case", [of_a_student, of_a_source_model])
def test_a_model_is_loaded_where_a_row_is_made(case: Callable[[Path], Case], tmp_path: Path) -> None:
    path, key, loader = case(tmp_path)
    config = load(path)

    def loads() -> tuple[int, int]:
        """Rows that were copied, and how often the model was loaded for the others."""
        loader.cache_clear()
        copied = sum(receipt.copied for receipt in carried_out(config, key))
        return copied, loader.cache_info().misses

    assert loads() == (0, 1)
    add_column(tmp_path / "images")
    assert loads() == (3, 0)
    change_pixel(tmp_path / "images" / "p00.png")
    copied, count = loads()
    assert copied in (1, 2), "those of its block"
    assert count == 1
