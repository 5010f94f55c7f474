"""The limits of the one-panorama test say which files are given up, and nothing else: moving one costs the files it concerns."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from configs.pipeline import Config
from flows.plan import make_plan
from flows.stores.items import quarantined_items
from tasks.ingest import ingest
from tests.support.pipelines import load, run_pipeline, write_pipeline
from tests.support.stages import source_of

pytestmark = pytest.mark.usefixtures("prefect_api")
LENIENT = {"ingest__most_halves": 1.0}


@pytest.fixture
def with_a_pair(tmp_path: Path) -> Path:
    """Four panoramas, two a block, and a picture whose halves are one picture twice."""
    path = write_pipeline(tmp_path, 4)
    eye = cv2.imread(str(tmp_path / "images" / "p00.png"))[:, :48]
    cv2.imwrite(str(tmp_path / "images" / "pair.png"), np.hstack([eye, eye]))
    return path


def given_up(config: Config) -> list[str]:
    return [item.item for item in ingest.recorded(source_of(config)).known if item.reason]


def owed(config: Config) -> dict[str, tuple[int, int]]:
    return {stage.stage: (stage.cached, stage.to_run) for stage in make_plan(config).stages}


def test_a_raised_limit_costs_the_file_that_it_lets_in(with_a_pair: Path) -> None:
    config = load(with_a_pair)
    run_pipeline(config)
    assert given_up(config) == ["pair"]
    assert owed(config)["ingest"] == (5, 0)
    raised = load(with_a_pair, **LENIENT)
    plan = owed(raised)
    assert plan["ingest"] == (4, 1)
    assert {counts for stage, counts in plan.items() if stage != "ingest"} == {(2, 1)}
    run_pipeline(raised)
    assert given_up(raised) == []
    assert set(owed(raised).values()) == {(5, 0), (3, 0)}


@pytest.mark.slow
def test_a_lowered_limit_costs_the_block_of_the_file_that_it_gives_up(with_a_pair: Path) -> None:
    lenient = load(with_a_pair, **LENIENT)
    run_pipeline(lenient)
    strict = load(with_a_pair)
    assert owed(strict)["ingest"] == (4, 1)
    run_pipeline(strict)
    assert given_up(strict) == ["pair"]
    told = quarantined_items(make_plan(strict))
    assert [row["item"] for row in told] == ["pair"]
    assert "two halves that are alike" in told[0]["reason"]
    assert all(to_run == 0 for _, to_run in owed(strict).values())
    run_pipeline(lenient)
    assert given_up(lenient) == []
    assert all(to_run == 0 for _, to_run in owed(lenient).values())
