"""Scenes are worked on in processes that share no threads with this one."""

import multiprocessing

import numpy as np
import pytest

from scenes.build import build_scene
from scenes.processes import in_processes
from scenes.render import cast


def kind_of_process(number: int, factor: int) -> tuple[str, int]:
    return type(multiprocessing.current_process()).__name__, number * factor


def first_hit(seed: int) -> float:
    return float(cast(build_scene("street", seed), np.array([0, -1.6, 0]), np.array([[0.0, 1.0, 0.0]])).distance[0])


@pytest.mark.parametrize("processes", [1, 2])
def test_results_come_in_the_order_of_the_jobs(processes: int) -> None:
    kind = {1: type(multiprocessing.current_process()).__name__, 2: "SpawnProcess"}[processes]
    assert in_processes(kind_of_process, [(1, 10), (2, 10), (3, 10)], processes) == [(kind, 10), (kind, 20), (kind, 30)]


def test_rays_are_cast_in_processes_of_one_that_has_cast_rays() -> None:
    here = [first_hit(seed) for seed in (1, 2)]
    assert in_processes(first_hit, [(1,), (2,)], 2) == here


def test_without_jobs_there_is_nothing() -> None:
    assert in_processes(kind_of_process, []) == []
