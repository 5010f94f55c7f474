"""The whole chain in one plan and one run: what a change of anything owes, and that just that runs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from configs.pipeline import Config
from configs.settings import ConfigError
from flows.plan import Plan, make_plan
from flows.running.acceptance import accept
from flows.setup.cost import estimate_cost
from flows.stores.items import verify_store
from flows.stores.lineage import trace_item
from flows.telling.progress import TerminalProgress, reporting_to
from storage.receipts import Receipt, block_url, read_receipt, write_receipt
from tasks.catalogue import kind_named
from tasks.label import fuse
from tasks.pipeline import load
from tasks.stage.reuse.adopt import seen_by_readers
from tests.support.chains import ADAPTATION, ADAPTED, BLOCKS, LABELLING, STUDENT, write_chain
from tests.support.pipelines import data_bytes, keep, restore, run_pipeline, write_panoramas
from tests.support.prefect_runs import blocks_made, flow_run_of
from tests.support.processes import until

pytestmark = pytest.mark.usefixtures("prefect_api")

BEHIND_LABELS = {"train": 1, **{key: BLOCKS[key] for key in (*STUDENT, *ADAPTATION, *ADAPTED)}}
"""What a change of any label makes anew."""


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory, prefect_api: str) -> Path:
    path = write_chain(tmp_path_factory.mktemp("chain"))
    assert executed(load(path)) == BLOCKS
    keep(path)
    return path


@pytest.fixture
def path(ran: Path) -> Path:
    """A chain that has run once."""
    return restore(ran)


def executed(config: Config) -> dict[str, int]:
    """Run, and count the tasks of blocks by the stage's key, as the Prefect server saw them; the record must say the same.

    What the plan of before says must agree, if no file of a source is to be read; and nothing may be owed afterwards.
    """
    plan = make_plan(config)
    record = run_pipeline(config)
    touched = {row["stage"]: row["ran"] + row["adopted"] for row in record["stages"] if row["ran"] + row["adopted"]}
    assert blocks_made(record["run"]) == touched
    assert {row.stage: row.to_run for row in plan.stages if row.to_run and row.stage in plan.owed} == touched
    assert {row["stage"] for row in record["stages"] if row["adopted"]} <= {row.stage for row in plan.stages if row.at_most}
    if not any(source.scan.to_read for source in plan.sources):
        assert owed(plan) == touched
    assert not make_plan(config).anything_to_run
    return {row["stage"]: row["ran"] for row in record["stages"] if row["ran"]}


def owed(plan: Plan) -> dict[str, int]:
    return {key: len(blocks) for key, blocks in plan.owed.items() if blocks}


def reasons(config: Config) -> dict[str, tuple[str, ...]]:
    return {stage.stage: stage.reasons for stage in make_plan(config).stages if stage.to_run}


def test_nothing_changed_nothing_runs(path: Path) -> None:
    assert reasons(load(path)) == {}
    assert executed(load(path)) == {}


def test_a_fuse_setting_reruns_what_is_made_of_labels(path: Path) -> None:
    changed = load(path, {"fuse.edge_feather": 0.5})
    assert reasons(changed)["fuse"] == ("fuse.edge_feather: 0.2 -> 0.5",)
    assert executed(changed) == {"fuse": 2, "evaluate": 2, **BEHIND_LABELS}
    assert executed(load(path)) == {}, "what was made before is still there"


def test_a_threshold_rule_reruns_thresholds_and_what_follows_in_the_adaptation(path: Path) -> None:
    changed = load(path, {"adapt.omni.semantic.fixed": 0.7})
    expected = {"adapt.thresholds": 1, "adapt.omni": 2, "adapt": 1, "adapted": 2, "adapted_score": 2}
    assert list(reasons(changed)) == list(expected)
    assert executed(changed) == expected


def test_a_teachers_weights_rerun_everything_behind_it(path: Path) -> None:
    (path.parent / "geometry.json").write_text(json.dumps({"factor": 3.25}))
    assert reasons(load(path))["geometry"][0].startswith("weights of geometry: ")
    assert executed(load(path)) == {"geometry": 2, "fuse": 2, "evaluate": 2, **BEHIND_LABELS}


def test_a_teachers_weights_that_change_no_label_stop_at_the_teacher(path: Path) -> None:
    (path.parent / "classes.json").write_text(json.dumps({"factor": 3.25}))  # it scales distances, and this one gives classes
    assert set(reasons(load(path))) == {"classes", "fuse", "evaluate", *BEHIND_LABELS}
    assert executed(load(path)) == {"classes": 2}


def test_panoramas_added_to_the_source_are_labelled_and_learned_from(path: Path) -> None:
    write_panoramas(path.parent / "images", ["q00", "q01"])
    assert executed(load(path)) == {**dict.fromkeys(LABELLING, 1), **BEHIND_LABELS}


def test_panoramas_added_to_the_target_train_no_student(path: Path) -> None:
    write_panoramas(path.parent / "target", ["u00", "u01"])
    ran = executed(load(path))
    assert not ran.keys() & {*LABELLING, "train"}
    of_new = dict.fromkeys((*STUDENT, "adapt.predict", "adapt.scores"), 1)
    assert ran == {**of_new, "adapt.thresholds": 1, "adapt.omni": 3, "adapt": 1, "adapted": 3, "adapted_score": 3}


def test_a_replaced_panorama_makes_its_block_anew_and_what_learned_from_it(path: Path) -> None:
    shutil.copy(path.parent / "images" / "p03.png", path.parent / "images" / "p01.png")
    assert reasons(load(path))["fuse"] == ("changed files: at most 1 block",)
    assert executed(load(path)) == {**dict.fromkeys(LABELLING, 1), **BEHIND_LABELS}


@pytest.fixture
def versions(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Gives ``fuse`` another version, as new code does."""

    def give(version: str) -> None:
        monkeypatch.setattr(fuse, "KIND", replace(fuse.KIND, version=version))
        kind_named.cache_clear()

    yield give
    monkeypatch.undo()
    kind_named.cache_clear()


def test_a_new_version_with_the_same_bytes_stops_at_its_stage(path: Path, versions: Callable[[str], None]) -> None:
    before = data_bytes(path.parent / "store")
    versions("next")
    plan = make_plan(load(path))
    assert {row.stage: row.at_most for row in plan.stages if row.to_run} == {
        "fuse": False,
        **dict.fromkeys(("evaluate", *BEHIND_LABELS), True),
    }
    assert executed(load(path)) == {"fuse": 2}
    assert {**data_bytes(path.parent / "store"), **before} == data_bytes(path.parent / "store"), "nothing was touched"
    versions("the one after")
    assert executed(load(path)) == {"fuse": 2}, "what was copied is as good as what was made"
    assert {found.made["adopted"].count("/") for found in adopted_receipts(path)} == {2}
    origins = {tuple(found.made["adopted"].split("/")) for found in adopted_receipts(path)}
    assert not any("adopted" in read_receipt(block_url(str(path.parent / "store"), *origin)).made for origin in origins)
    assert not any(found for _, found in verify_store(load(path)))


def test_a_change_that_is_accepted_copies_the_stage_itself_and_the_trace_says_who_vouched(path: Path) -> None:
    changed = {"fuse.edge_feather": 0.5}
    config = load(path, changed)
    for key, because, told in (
        ("fuze", "why", "no stage that this file makes is called so; it makes project"),
        ("fuse", " ", "say why its output cannot change"),
        ("train", "why", "nothing of it changed since the last run"),
    ):
        with pytest.raises(ConfigError, match=told):
            accept(config, make_plan(config), key, because)
    accept(config, make_plan(config), "fuse", "only a name changed")
    row = next(row for row in make_plan(config).stages if row.stage == "fuse")
    assert (row.at_most, row.reasons[-1].endswith(": only a name changed")) == (True, True)
    assert executed(config) == {}
    step = next(step for step in trace_item(config, "p00")["steps"] if step["key"] == "fuse")
    assert step["made"]["accepted"]["because"] == "only a name changed"
    assert executed(load(path, {"fuse.edge_feather": 0.6})) == {"fuse": 2, "evaluate": 2, **BEHIND_LABELS}


def test_damage_of_what_would_be_copied_makes_it_anew(path: Path, versions: Callable[[str], None]) -> None:
    model = next((path.parent / "store/stages/train").rglob("model.safetensors"))
    model.write_bytes(b"torn")
    versions("next")
    ran = executed(load(path))
    assert (ran["fuse"], ran["train"]) == (2, 1)


def test_what_a_stage_gave_up_is_tried_once_more(path: Path, versions: Callable[[str], None]) -> None:
    steps = {step.key: step for step in make_plan(load(path)).steps}
    evaluate = steps["evaluate"]
    url = evaluate.stage.block_url(evaluate.blocks[0].name)
    receipt = read_receipt(url)
    given_up = replace(receipt.items[0], state="quarantined", reason="the truth cannot be read", digest="")
    write_receipt(url, replace(receipt, items=[given_up, *receipt.items[1:]]))
    versions("next")
    assert executed(load(path)) == {"fuse": 2, "evaluate": 1}


def test_copies_are_not_taken_for_what_making_takes(path: Path, versions: Callable[[str], None]) -> None:
    before = {one.stage: one.worker_seconds for one in estimate_cost(load(path), 1000).stages}
    (wanted,) = (row.seconds for row in make_plan(load(path, {"train.seed": 1})).stages if row.stage == "train")
    versions("next")
    assert executed(load(path)) == {"fuse": 2}
    after = {one.stage: one.worker_seconds for one in estimate_cost(load(path), 1000).stages}
    assert {key: after[key] for key in ("evaluate", "train")} == {key: before[key] for key in ("evaluate", "train")}
    (found,) = (row.seconds for row in make_plan(load(path, {"train.seed": 1})).stages if row.stage == "train")
    assert found == wanted


def test_another_vocabulary_is_no_equal(path: Path) -> None:
    (receipt, *_) = (read_receipt(str(one.parent)) for one in (path.parent / "store/stages/fuse").rglob("receipt.json"))
    shifted = replace(receipt, about={**receipt.about, "classes": [*receipt.about["classes"][1:], "another"]})
    assert seen_by_readers(shifted) != seen_by_readers(receipt)
    assert seen_by_readers(replace(receipt, made={**receipt.made, "device": "cuda"})) == seen_by_readers(receipt)
    first = receipt.items[0]
    for change in ({"digest": "0" * 32}, {"state": "quarantined"}, {"item": "other"}, {"figures": {}}, {"reason": "why"}):
        assert seen_by_readers(replace(receipt, items=[replace(first, **change), *receipt.items[1:]])) != seen_by_readers(receipt)


def adopted_receipts(path: Path) -> list[Receipt]:
    found = [read_receipt(str(one.parent)) for one in (path.parent / "store/stages").rglob("receipt.json")]
    return [one for one in found if one is not None and "adopted" in one.made]


def test_a_renamed_panorama_is_a_new_one_and_the_labels_of_the_old_one_stay(path: Path) -> None:
    (path.parent / "images" / "p03.png").rename(path.parent / "images" / "z03.png")
    assert executed(load(path)) == {**dict.fromkeys(LABELLING, 1), **BEHIND_LABELS}


def test_a_removed_panorama_leaves_its_labels_and_nothing_runs(path: Path) -> None:
    (path.parent / "target" / "t01.png").unlink()
    assert executed(load(path)) == {}


def test_a_training_tells_how_far_it_is_on_the_terminal_and_in_prefects_log(path: Path) -> None:
    from prefect.settings import PREFECT_LOGGING_TO_API_ENABLED, temporary_settings

    config = load(path, {"train.seed": 1})
    console = Console(file=StringIO(), width=200)
    with temporary_settings({PREFECT_LOGGING_TO_API_ENABLED: True}), TerminalProgress(console) as shown, reporting_to(shown):
        run = run_pipeline(config, only={"train": list(make_plan(config).owed["train"])})["run"]
    steps = [f"step {step} of 4: depth " for step in range(1, 5)]
    told = [line for line in console.file.getvalue().splitlines() if line.startswith("train: step")]
    assert [line.removeprefix("train: ")[: len(steps[0])] for line in told] == steps
    assert all(", total " in line for line in told)
    until(lambda: len(logged("step ", run)) >= 4)
    assert logged("step ", run) == [line.removeprefix("train: ") for line in told]


def logged(start: str, run: str) -> list[str]:
    """Lines that the server has of the task runs of a run, in their order."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import LogFilter, LogFilterFlowRunId
    from prefect.client.schemas.sorting import LogSort

    of_run = LogFilter(flow_run_id=LogFilterFlowRunId(any_=[flow_run_of(run).id]))
    with get_client(sync_client=True) as client:
        found = client.read_logs(log_filter=of_run, sort=LogSort.TIMESTAMP_ASC)
    return [log.message for log in found if log.task_run_id and log.message.startswith(start)]
