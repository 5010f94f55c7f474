"""Gradient truncation, seen from every group of parameters: it blocks what it names and nothing else."""

import pytest
import torch

from models.student.tasks import TASKS
from tests.models.student.support import images, student

STREAM = {task.name: task.stream for task in TASKS}


def group_of(name):
    """backbone, streams.<stream>, heads.<task>.<part>, bridges.<stream>, features.<task>, decoders.<task>; reductions by task."""
    parts = name.split(".")
    if parts[0] == "bridges" and parts[2] == "reduce":
        return ".".join(parts[:4])
    return ".".join(parts[: {"backbone": 1, "heads": 3}.get(parts[0], 2)])


def reached(model, output):
    """Groups of parameters that receive a gradient from a random weighting of the output."""
    model.zero_grad(set_to_none=True)
    (output * torch.randn(output.shape, generator=torch.Generator().manual_seed(1))).sum().backward()
    return {group_of(name) for name, p in model.named_parameters() if p.grad is not None and p.grad.any()}


def expected(task, truncation, streams="split"):
    """What the gradient of a main task's final answer reaches, by the description."""
    own = STREAM[task]
    through = {other for other in STREAM if STREAM[other] == own or truncation not in (own, "both")}
    used = {"invariant", "variant"} if streams == "shared" else {own} | {STREAM[other] for other in through}
    return (
        {"backbone", f"bridges.{own}", f"features.{task}", f"decoders.{task}", f"heads.{task}.answer"}
        | {f"streams.{stream}" for stream in used}
        | {f"heads.{other}.feature" for other in through}
        | {f"bridges.{own}.reduce.{other}" for other in STREAM}
    )


@pytest.mark.parametrize("truncation", ["none", "invariant", "variant", "both"])
def test_gradients_reach_just_the_groups_that_truncation_leaves(truncation):
    model = student("convnext", truncation=truncation)
    for task in ("depth", "semantics", "normals"):
        assert reached(model, model(images())[task]) == expected(task, truncation)


def test_shared_streams_are_reached_by_all_tasks():
    model = student("convnext", streams="shared")
    for task in ("depth", "normals"):
        assert reached(model, model(images())[task]) == expected(task, "both", "shared")


def test_without_bridges_tasks_meet_only_in_their_stream():
    model = student("convnext", bridges=False)
    groups = {
        "backbone",
        "streams.variant",
        "heads.normals.feature",
        "heads.normals.answer",
        "features.normals",
        "decoders.normals",
    }
    assert reached(model, model(images()).normals) == groups


def test_a_preliminary_answer_trains_its_head_and_stream():
    model = student("convnext")
    groups = {"backbone", "streams.invariant", "heads.edge_distance.feature", "heads.edge_distance.answer"}
    assert reached(model, model(images()).preliminary["edge_distance"]) == groups


def test_truncation_leaves_the_answers_and_the_open_gradients_as_they_are():
    open_model, cut = student("convnext", truncation="none"), student("convnext", truncation="both")
    one, other = open_model(images()), cut(images())
    torch.testing.assert_close(one.depth, other.depth, rtol=0, atol=0)
    one.depth.sum().backward()
    other.depth.sum().backward()
    for name, parameter in cut.named_parameters():
        if group_of(name) in ("decoders.depth", "features.depth", "bridges.invariant", "bridges.invariant.reduce.normals"):
            torch.testing.assert_close(parameter.grad, open_model.get_parameter(name).grad)
    stream = "streams.invariant.join.weight"  # every path of depth to its own stream is open
    torch.testing.assert_close(cut.get_parameter(stream).grad, open_model.get_parameter(stream).grad)
    first = next(name for name, _ in cut.named_parameters() if name.startswith("backbone."))  # the detour through normals is cut
    assert not torch.allclose(cut.get_parameter(first).grad, open_model.get_parameter(first).grad)
