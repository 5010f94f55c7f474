"""The threshold of consistency."""

from tasks.label.consistency import require_consistency, task_consistencies
from tasks.stage.job import BadItem

FIGURES = {"consistency_depth": 0.61, "consistency_semantics": 0.9, "consistency": 0.741, "views": 3.1}


def given_up(figures: dict[str, float], least: float) -> str | None:
    """The reason, or None if the panorama is kept."""
    try:
        require_consistency(figures, least)
    except BadItem as bad:
        return str(bad)
    return None


def test_too_little_agreement_gives_the_item_up_with_the_numbers() -> None:
    assert given_up(FIGURES, 0.741) is None
    reason = "views disagree: consistency 0.7410 is below fuse.min_consistency 0.8 (depth 0.610, semantics 0.900)"
    assert given_up(FIGURES, 0.8) == reason


def test_nothing_to_compare_is_no_disagreement() -> None:
    uncompared = {"views": 1.0}
    assert task_consistencies(uncompared) == {}
    assert given_up(uncompared, 1.0) is None
    assert given_up(uncompared | {"consistency": 0.999}, 1.0) is not None
