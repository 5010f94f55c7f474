"""The table holds a value once, and differences of methods are those of the same clips, with SciPy's paired t interval."""

import dataclasses

import numpy as np
import pytest
from scipy.stats import ttest_rel

from metrics.video.table import Row, paired_difference, rows, table


def measured(method: str, values: list[float], run: str = "1", strata: dict[str, str] | None = None) -> list[Row]:
    figures = [({"ate": value, "rpe": 0.0}, f"clip{number}") for number, value in enumerate(values)]
    return [row for one, clip in figures for row in rows(one, clip, "val", method, "frames", run, strata)]


def test_a_row_has_the_columns_and_a_value_is_there_once() -> None:
    given = measured("ours", [0.1, 0.2]) + measured("theirs", [0.3, 0.1])
    assert [field.name for field in dataclasses.fields(Row)] == [
        *("clip", "split", "method", "input", "metric", "value", "strata", "run")
    ]
    whole = table(reversed(given))
    assert whole == table(given)
    assert set(whole) == set(given)
    with pytest.raises(ValueError, match="two values of ate of clip 'clip0', method 'ours', run '1'"):
        table([*given, dataclasses.replace(given[0], value=5.0)])
    assert len(table(given + measured("ours", [0.1], run="2"))) == 10


def test_strata_are_the_same_in_any_order() -> None:
    one, other = ({"points": "seam", "scene": "room"}, {"scene": "room", "points": "seam"})
    assert measured("ours", [0.1], strata=one) == measured("ours", [0.1], strata=other)
    values = measured("a", [1.0, 2], strata=one) + measured("b", [2.0, 4], strata=other) + measured("b", [9.0, 9])
    assert paired_difference(values, "ate", "a", "b", other).mean == 1.5
    assert paired_difference(values, "ate", "a", "b").clips == 0


@pytest.mark.parametrize("level", [0.9, 0.95])
def test_an_interval_is_that_of_a_paired_t_test(level: float) -> None:
    generator = np.random.default_rng(0)
    hard = generator.normal(size=12)
    a, b = hard + 0.1 * generator.normal(size=12), hard + 0.1 * generator.normal(size=12) + 0.05
    found = paired_difference(measured("a", list(a)) + measured("b", list(b)), "ate", "a", "b", level=level)
    theirs = ttest_rel(b, a).confidence_interval(level)
    assert (found.mean, found.low, found.high) == pytest.approx(((b - a).mean(), theirs.low, theirs.high))
    assert (found.clips, found.unpaired) == (12, 0)


def test_what_has_no_pair_is_counted_and_runs_are_no_clips() -> None:
    nan = float("nan")
    given = measured("a", [1.0, 2.0, nan, 4.0]) + measured("b", [2.0, 4.0, 6.0])
    found = paired_difference(given, "ate", "a", "b")
    assert (found.mean, found.clips, found.unpaired) == (1.5, 2, 2)
    again = given + measured("b", [4.0, 4.0, 6.0], run="2")
    assert paired_difference(again, "ate", "a", "b").mean == 2.0
    assert paired_difference(again, "ate", "a", "b").clips == 2
    one = paired_difference(measured("a", [1.0]) + measured("b", [3.0]), "ate", "a", "b")
    assert one.mean == 2.0
    assert np.isnan([one.low, one.high]).all()
    assert np.isnan(paired_difference([], "ate", "a", "b").mean)
