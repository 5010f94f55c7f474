"""Trials: some panoramas, some stages, in the same store. What ran is counted by Prefect's server, and compared with the plan."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.runs.changes import TEACHER, write_config, write_images
from configs.pipeline import Config
from configs.settings import ConfigError
from configs.trial import Trial
from flows.plan import make_plan
from flows.publishing.publish import publish
from flows.running.acceptance import accept
from flows.setup.cost import estimate_cost
from flows.stores.finished import NotFinished
from flows.stores.garbage import collect, find_garbage
from flows.stores.status import store_status
from tasks.catalogue import kind_named
from tasks.label import fuse
from tasks.pipeline import load
from tests.support.chains import BLOCKS, LABELLING, STAGES, write_chain
from tests.support.pipelines import run_pipeline, write_panoramas, write_pipeline
from tests.support.prefect_runs import blocks_made
from tests.support.stages import ingested

pytestmark = pytest.mark.usefixtures("prefect_api")


def run(config: Config, **trial: Any) -> dict[str, Any]:
    from flows.pipeline import pipeline
    from flows.stores.record import new_run_name

    record: dict[str, Any] = pipeline(config, new_run_name(config.name), trial=trial)
    return record


def executed(config: Config, **trial: Any) -> dict[str, int]:
    """Run a trial, and count the blocks that ran by stage; plan and record must agree, and nothing be owed afterwards."""
    chosen = Trial.model_validate(trial)
    plan = make_plan(config, trial=chosen)
    record = run(config, **trial)
    ran = {row["stage"]: row["ran"] for row in record["stages"] if row["ran"]}
    assert blocks_made(record["run"]) == ran
    assert {row.stage: row.to_run for row in plan.stages if row.to_run and row.stage in plan.owed} == ran
    assert not make_plan(config, trial=chosen).anything_to_run
    return ran


def stored(config: Config, stage: str) -> list[list[str]]:
    """The items of every block of a stage, as receipts name them."""
    files = (Path(config.root) / "stages" / stage).rglob("receipt.json")
    return sorted([row["item"] for row in json.loads(file.read_text())["items"]] for file in files)


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory, prefect_api: str) -> Config:
    """A new source of seven panoramas in blocks of two, of which three were tried."""
    config = load(write_pipeline(tmp_path_factory.mktemp("tried"), 7))
    assert executed(config, limit=3) == dict.fromkeys(LABELLING, 2)
    return config


def test_a_trial_of_a_new_source_reads_and_makes_its_panoramas_alone(tried: Config) -> None:
    assert stored(tried, "fuse") == [["p00", "p01"], ["p02"]]
    assert not list(Path(tried.root, "stages").glob("*/*/*.parquet")), "places are given once all files are read"
    record = store_status(tried)["last_run"]["trial"]
    assert record["options"] == "--limit 3"
    assert record["panoramas"] == {"ingest": {"of": 7, "taken": 3, "items": ["p00", "p01", "p02"]}}
    assert find_garbage(tried, keep_runs=0, older_than_hours=0) == []


def test_cost_has_the_rates_of_a_trial_at_once(tried: Config) -> None:
    costs = {row.stage: row for row in estimate_cost(tried, 100).stages}
    assert all(costs[key].measured_on == 3 for key in LABELLING)
    of_trial = estimate_cost(tried, trial=Trial(limit=3, until=["fuse"]))
    assert (of_trial.panoramas, [row.stage for row in of_trial.stages]) == (3, ["ingest", *LABELLING[:-1]])
    with pytest.raises(ConfigError, match="--panoramas: say how many"):
        estimate_cost(tried)


def test_a_published_version_never_comes_from_a_trial(tried: Config) -> None:
    with pytest.raises(NotFinished, match="owed by stage"):
        publish(tried)
    with pytest.raises(NotFinished, match="no panorama has labels"):
        publish(tried, allow_incomplete=True)


@pytest.mark.parametrize(
    ("trial", "message"),
    [
        ({"items": ["p0O"]}, "--items p0O: no panorama is called so; did you mean 'p0"),
        ({"split": "train"}, "--split train: chooses no panorama"),
        ({"sample": 1e-9}, "--sample 1e-09: chooses no panorama; the least share that has one is 0."),
        ({"until": ["fuze"]}, "--until fuze: no stage is called so; did you mean 'fuse'?"),
        ({"stage": "fuse", "items": ["p06"]}, "make that too: `panolabel run"),
    ],
)
def test_choosing_nothing_is_an_error_that_names_the_nearest(tried: Config, trial: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as error:
        make_plan(tried, trial=Trial.model_validate(trial))
    assert message in str(error.value)
    assert "--until fuse --items" not in str(error.value) or "--items p06 --until fuse" in str(error.value)


def test_a_sample_is_the_same_panoramas_and_a_larger_one_has_them_too(tmp_path: Path) -> None:
    write_panoramas(tmp_path / "images", [f"q{number:02d}" for number in range(40)])
    config = load(write_pipeline(tmp_path, 0))
    small, large = (
        {entry.item for source in make_plan(config, trial=Trial(sample=share)).sources for entry in source.scan.to_read}
        for share in (0.2, 0.5)
    )
    assert small < large
    assert 3 <= len(small) <= 14 < len(large) <= 27


def test_a_split_is_the_panoramas_that_a_list_puts_there(tmp_path: Path) -> None:
    path = write_pipeline(tmp_path, 4, source={"url": str(tmp_path / "list.csv")})
    rows = [f"{tmp_path / 'images' / f'p0{number}.png'},{'test' if number % 2 else 'train'}" for number in range(4)]
    (tmp_path / "list.csv").write_text("\n".join(["uri,split", *rows]))
    plan = make_plan(load(path), trial=Trial(split="test"))
    assert {entry.item for source in plan.sources for entry in source.scan.to_read} == {"p01", "p03"}


def test_the_first_panoramas_are_those_that_are_there(tmp_path: Path) -> None:
    config = load(write_pipeline(tmp_path, 5))
    ingested(config)
    for name in ("p00", "p01"):
        (tmp_path / "images" / f"{name}.png").unlink()
    taken = [
        sorted(item.item for source in make_plan(config, trial=Trial(limit=limit)).sources for item in source.scan.known)
        for limit in (2, 5)
    ]
    assert taken == [["p02", "p03"], ["p00", "p01", "p02", "p03", "p04"]]


def test_ten_tried_then_all(tmp_path: Path) -> None:
    config = load(write_pipeline(tmp_path, 7))
    run(config, limit=3)
    assert executed(config, items=["p06", "p02"], until=["fuse"]) == dict.fromkeys(LABELLING[:-1], 1), "p02 was tried before"
    assert executed(config, items=["p06"], stage="evaluate") == {"evaluate": 1}
    assert executed(config) == dict.fromkeys(LABELLING, 2), "of four blocks the first and the last were tried as a whole"
    assert stored(config, "fuse") == [["p00", "p01"], ["p02"], ["p02", "p03"], ["p04", "p05"], ["p06"]]
    assert executed(config, limit=3) == {}
    found = find_garbage(config, keep_runs=0, older_than_hours=0)
    assert {one.why for one in found} == {"trial: the whole block is there"}
    assert len(found) == len(LABELLING)
    collect(config, found)
    assert stored(config, "fuse") == [["p00", "p01"], ["p02", "p03"], ["p04", "p05"], ["p06"]]
    assert not make_plan(config).anything_to_run
    changed = make_plan(load(tmp_path / "small.yaml", {"fuse.edge_feather": 0.5}), trial=Trial(limit=1))
    assert {row.stage: row.reasons for row in changed.stages}["fuse"] == ("fuse.edge_feather: 0.2 -> 0.5",)


def test_what_was_tried_is_not_made_again_nor_what_is_tried_afterwards(tmp_path: Path) -> None:
    """A teacher counts the panoramas that it looks at: rows are copied from trial blocks into whole ones, and back."""
    names = [f"p{number:02d}" for number in range(14)]
    write_images(tmp_path / "images", names)
    config, calls = load(write_config(tmp_path, 8)), tmp_path / "calls"
    run(config, limit=10)
    assert sorted(calls.read_text().split()) == names[:10]
    row = next(row for row in make_plan(config).stages if row.stage == TEACHER)
    assert (row.cached, row.to_run, row.items, row.copied) == (1, 1, 4, 2)
    run(config)
    assert sorted(calls.read_text().split()) == names
    few = make_plan(config, trial=Trial(items=("p03", "p09", "p13")))
    assert {row.stage: (row.items, row.copied) for row in few.stages if row.to_run} == dict.fromkeys(few.owed, (0, 3))
    run(config, items=["p03", "p09", "p13"])
    assert sorted(calls.read_text().split()) == names
    assert stored(config, "fuse")[1:3] == [["p03"], names[8:10]]


@pytest.mark.slow
def test_a_chain_is_tried_whole_and_its_barriers_have_names_of_their_own(tmp_path: Path) -> None:
    config = load(write_chain(tmp_path, targets=4))
    assert executed(config, limit=3) == BLOCKS
    assert [len(names) for names in stored(config, "train")] == [1]
    costs = {row.stage: row.measured_on for row in estimate_cost(config, 100).stages if row.worker_seconds is not None}
    assert set(STAGES) <= costs.keys(), "with what was learned from the panoramas of the trial"
    assert not find_garbage(config, older_than_hours=0)
    run_pipeline(config)
    assert len(stored(config, "train")) == 2
    with pytest.raises(ConfigError, match="--accept student: what it is made with was learned from other panoramas"):
        accept(config, make_plan(config, trial=Trial(limit=3)), "student", "why")
    assert {one.url.split("/")[-3] for one in find_garbage(config, older_than_hours=0)} >= {"fuse", "project"}


@pytest.mark.slow
def test_what_reads_the_same_as_before_stops_on_its_own_side_of_a_trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new version of a stage makes the same bytes: a model that learned from all is not taken for one of a trial."""
    config = load(write_chain(tmp_path, targets=4))
    run(config, limit=3)
    run(config)
    with monkeypatch.context() as patch:
        patch.setattr(fuse, "KIND", replace(fuse.KIND, version="next"))
        kind_named.cache_clear()
        tried, whole = (run(config, **trial)["stages"] for trial in ({"limit": 3}, {}))
    kind_named.cache_clear()
    assert [{row["stage"]: row["ran"] for row in rows if row["ran"]} for rows in (tried, whole)] == [{"fuse": 2}, {"fuse": 1}]
    files = [file for stage in ("student", "adapted") for file in (tmp_path / "store/stages" / stage).rglob("receipt.json")]
    origins = {file: said["made"]["adopted"] for file in files if "adopted" in (said := json.loads(file.read_text()))["made"]}
    assert len(origins) == len(files) / 2
    for file, origin in origins.items():
        now, then = (json.loads(one.read_text()) for one in (file, tmp_path / "store/stages" / origin / "receipt.json"))
        assert now["made"]["identity"]["settings"] == then["made"]["identity"]["settings"]


def test_a_plan_without_the_weights_is_partial_and_a_run_refuses(tmp_path: Path) -> None:
    path = write_pipeline(tmp_path, 2)
    run_pipeline(load(path))
    config = load(path, {"geometry.kind": "transformers", "geometry.settings": {"model": "/models/depth"}})
    plan = make_plan(config, weigh="here")
    rows = {row.stage: row for row in plan.stages}
    assert rows["geometry"].reasons == ("weights not here: geometry",)
    assert rows["fuse"].reasons == rows["evaluate"].reasons == ("at most: weights not here: geometry",)
    assert {key: row.to_run for key, row in rows.items()} == {
        "ingest": 0, "project": 0, "classes": 0, "geometry": 1, "fuse": 1, "evaluate": 1
    }  # fmt: skip
    assert plan.as_json()["partial"]
    assert list(plan.as_json()["weights_not_here"]) == ["geometry"]
    with pytest.raises(ConfigError, match=r"stages\.geometry"):
        run(config)
    (tmp_path / "geometry.json").unlink()
    (why,) = make_plan(load(path), weigh="here").lacks.values()
    assert why.startswith(f"weights: there is no {tmp_path}/geometry.json on this machine"), "of a teacher of one's own too"
    with pytest.raises(ConfigError, match="unknown teacher"):
        make_plan(load(path, {"geometry.kind": "transfomers"}), weigh="here")
