"""The whole chain in one plan and one run: what a change of anything owes, and that just that runs."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from configs.pipeline import Config
from flows.plan import Plan, make_plan
from flows.telling.progress import TerminalProgress, reporting_to
from tasks.pipeline import load
from tests.support.chains import ADAPTATION, ADAPTED, BLOCKS, LABELLING, STUDENT, write_chain
from tests.support.pipelines import keep, restore, run_pipeline, write_panoramas
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
    ran = {row["stage"]: row["ran"] for row in record["stages"] if row["ran"]}
    assert task_runs(record["run"]) == ran
    assert {row.stage: row.to_run for row in plan.stages if row.to_run and row.stage in plan.owed} == ran
    if not any(source.scan.to_read for source in plan.sources):
        assert owed(plan) == ran
    assert not make_plan(config).anything_to_run
    return ran


def owed(plan: Plan) -> dict[str, int]:
    return {key: len(blocks) for key, blocks in plan.owed.items() if blocks}


def task_runs(run: str) -> dict[str, int]:
    """Task runs of blocks by the name of the subflow around them."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterName, FlowRunFilterParentFlowRunId

    with get_client(sync_client=True) as client:
        named = FlowRunFilter(name=FlowRunFilterName(any_=[run]))
        (parent,) = client.read_flow_runs(flow_run_filter=named, limit=200, sort="ID_DESC")
        children = FlowRunFilter(parent_flow_run_id=FlowRunFilterParentFlowRunId(any_=[parent.id]))
        names = {flow.id: flow.name for flow in client.read_flow_runs(flow_run_filter=children, limit=200, sort="ID_DESC")}
        tasks = client.read_task_runs(flow_run_filter=children, limit=200, sort="ID_DESC")
    return dict(Counter(names[one.flow_run_id] for one in tasks if one.state.is_completed() and one.name[:6] != "check "))


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
    (path.parent / "classes.json").write_text(json.dumps({"factor": 3.25}))
    assert reasons(load(path))["classes"][0].startswith("weights of classes: ")
    assert executed(load(path)) == {"classes": 2, "fuse": 2, "evaluate": 2, **BEHIND_LABELS}


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


def test_a_renamed_panorama_is_a_new_one_and_the_labels_of_the_old_one_stay(path: Path) -> None:
    (path.parent / "images" / "p03.png").rename(path.parent / "images" / "z03.png")
    assert executed(load(path)) == {**dict.fromkeys(LABELLING, 1), **BEHIND_LABELS}


def test_a_removed_panorama_leaves_its_labels_and_nothing_runs(path: Path) -> None:
    (path.parent / "target" / "t01.png").unlink()
    assert executed(load(path)) == {}


def test_a_training_tells_how_far_it_is_on_the_terminal_and_in_prefects_log(path: Path) -> None:
    from prefect.settings import PREFECT_LOGGING_TO_API_ENABLED, temporary_settings

    config, begun = load(path, {"train.seed": 1}), datetime.now(UTC)
    console = Console(file=StringIO(), width=200)
    with temporary_settings({PREFECT_LOGGING_TO_API_ENABLED: True}), TerminalProgress(console) as shown, reporting_to(shown):
        run_pipeline(config, only={"train": list(make_plan(config).owed["train"])})
    steps = [f"step {step} of 4: depth " for step in range(1, 5)]
    told = [line for line in console.file.getvalue().splitlines() if line.startswith("train: ")]
    assert [line.removeprefix("train: ")[: len(steps[0])] for line in told] == steps
    assert all(", total " in line for line in told)
    until(lambda: len(logged("step ", begun)) == 4)
    assert logged("step ", begun) == [line.removeprefix("train: ") for line in told]


def logged(start: str, begun: datetime) -> list[str]:
    """Lines that the server has of task runs since then, in their order; other tests have trained there before."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import LogFilter, LogFilterTimestamp
    from prefect.client.schemas.sorting import LogSort

    since = LogFilter(timestamp=LogFilterTimestamp(after_=begun))
    with get_client(sync_client=True) as client:
        found = client.read_logs(log_filter=since, sort=LogSort.TIMESTAMP_ASC)
    return [log.message for log in found if log.task_run_id and log.message.startswith(start)]
