"""Records, intervals and pages of the adaptation experiment."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import ttest_rel

from benchmarks.adaptation.arms import ARMS, MAIN, NUDGED
from benchmarks.adaptation.experiments import EXPERIMENTS
from benchmarks.adaptation.intervals import FIGURES, differences, figures_of
from benchmarks.adaptation.records import Record, read_records, write_record
from benchmarks.adaptation.report import arms_page, thresholds_page
from benchmarks.adaptation.run import recorded
from metrics.seamless.average_precision import DetectionCounts
from metrics.seamless.quality import QualityCounts
from metrics.seamless.suite import SuiteCounts, merged
from tasks.seamless.vocabularies import K2B, THINGS

C = len(K2B)
RESNET = EXPERIMENTS["resnet"]


def _counts(generator: np.random.Generator, better: float = 0.0) -> SuiteCounts:
    """Of one panorama; ``better`` is added to the IoU of every match."""

    def quality() -> QualityCounts:
        hits, false, missed = generator.integers(1, 4, (3, C))
        return QualityCounts(
            hits * (generator.uniform(0.5, 0.7, C) + better), *(one.astype(float) for one in (hits, false, missed))
        )

    def detections() -> DetectionCounts:
        found = int(generator.integers(0, 4))
        hits = generator.integers(0, 2, (found, 10)).astype(np.int8)
        truths = np.zeros(C, np.int64)
        truths[THINGS.start] = 3
        return DetectionCounts(np.full(found, THINGS.start, np.int16), generator.random(found), hits, 1 - hits, truths)

    confusion = generator.integers(1, 50, (C, C + 1)).astype(float)
    return SuiteCounts(confusion, quality(), quality(), detections(), detections(), detections())


def _record(arm: str, seed: int, better: float = 0.0) -> Record:
    generator = np.random.default_rng(seed)
    settings = RESNET.training.model_copy(update={"seed": seed}).model_dump(mode="json")
    about = {"arm": arm, "seed": seed, "settings": settings, "source_steps": RESNET.source_steps, "panoramas": 3}
    return Record(about, [_counts(generator, better) for _ in range(3)])


def test_record_comes_back_as_it_was_written(tmp_path: Path) -> None:
    record = _record("OPLL", 3)
    write_record(tmp_path, record)
    back = read_records(tmp_path, "OPLL")[3]
    assert back.about["figures"] == merged(record.counts).figures(THINGS)
    for one, other in zip(back.counts, record.counts, strict=True):
        for name, value in other.arrays().items():
            np.testing.assert_array_equal(one.arrays()[name], value)
            assert one.arrays()[name].dtype == value.dtype


def test_differences_are_paired_over_seeds() -> None:
    one = {seed: np.random.default_rng(seed).random(len(FIGURES)) for seed in range(5)}
    other = {seed: own - np.random.default_rng([seed, 1]).normal(0.2, 0.05, len(FIGURES)) for seed, own in one.items()}
    for number, found in enumerate(differences(one, {**other, 9: other[0]})):
        oracle = ttest_rel(*([own[number] for own in table.values()] for table in (one, other)))
        ends = oracle.confidence_interval(0.95)
        assert (found.low, found.high, found.chance) == pytest.approx((ends.low, ends.high, oracle.pvalue))


def test_a_figure_that_a_seed_lacks_is_unknown() -> None:
    one = {seed: np.arange(len(FIGURES)) + 0.1 * seed for seed in range(3)}
    one[1][2] = np.nan
    found = differences(one, {seed: np.zeros(len(FIGURES)) for seed in range(3)})
    assert [np.isnan(each.mean) for each in found] == [False, False, True, False, False, False]


def test_figures_are_those_of_all_panoramas_together() -> None:
    record = _record("OPLL", 3)
    oracle = merged(record.counts).figures(THINGS)
    np.testing.assert_array_equal(figures_of({3: record})[3], [oracle[name] for name in FIGURES])


def test_nothing_is_said_of_arms_without_a_common_seed() -> None:
    tables = figures_of({0: _record("OPLL", 0)})
    assert np.isnan([found.mean for found in differences(tables, {1: tables[0]})]).all()


@pytest.mark.parametrize(("seeds", "said"), [(5, "shown"), (4, "not shown")])
def test_page_says_what_was_shown_and_from_how_many_seeds(seeds: int, said: str) -> None:
    records = {name: {seed: _record(name, seed) for seed in range(seeds)} for name in ("source", "pseudo-labels")}
    records["OPLL"] = {seed: _record("OPLL", seed, better=0.2) for seed in range(seeds)}
    page = arms_page("resnet", records)
    assert f"{3 * seeds} of {5 * len(ARMS)} runs" in page
    assert f"OPLL above pseudo-labels in mAPQ: {said}, " in page
    assert f"pseudo-labels above source in mAPQ: not shown, 0.0 (0.0 to 0.0) points from {seeds} seeds" in page
    assert MAIN in page.split("Not shown yet")[1]
    assert "| *OPLL, another seed* |" in page
    assert f"*{NUDGED} minus OPLL*" not in page  # no record of it


def test_page_tells_what_was_tuned() -> None:
    trial = {"arm": "OPLL", "rate": 3e-4, "steps": 80, "seed": 0, "mIoU": 0.25, "mPQ": 0.186, "mAPQ": 0.183}
    page = arms_page("resnet", {}, [trial, {**trial, "arm": "statistics"}])
    assert "| OPLL | 0.0003 | 80 | 0 | 25.0 | 18.6 | 18.3 |" in page
    assert "| statistics | - | 80 | 0 | 25.0 | 18.6 | 18.3 |" in page


def test_pages_of_no_records_claim_nothing() -> None:
    assert "not run yet" in arms_page("resnet", {})
    assert "16 of 16 settings are not run yet" in thresholds_page({}, {})


def test_sweep_page_gives_differences_from_the_same_seeds() -> None:
    main = {seed: _record(MAIN, seed) for seed in range(3)}
    page = thresholds_page({"pool share 0.3": {seed: _record("", seed) for seed in range(2)}}, main)
    assert "| pool share 0.3 | 2 |" in page
    assert "| 0.0 |" in page
    assert "15 of 16 settings are not run yet" in page


def test_record_of_other_settings_is_refused(tmp_path: Path) -> None:
    assert not recorded(tmp_path, RESNET, "OPLL", 1)
    write_record(tmp_path, _record("OPLL", 1))
    assert recorded(tmp_path, RESNET, "OPLL", 1)
    longer = replace(RESNET, training=RESNET.training.model_copy(update={"steps": 7}))
    with pytest.raises(ValueError, match="other settings"):
        recorded(tmp_path, longer, "OPLL", 1)
