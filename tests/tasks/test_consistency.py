"""The threshold of consistency."""

import pytest

from tasks.block import BadItem
from tasks.consistency import require_consistency

FIGURES = {"consistency_depth": 0.61, "consistency_semantics": 0.9, "consistency": 0.741, "views": 3.1}


def test_too_little_agreement_gives_the_item_up_with_the_numbers() -> None:
    require_consistency(FIGURES, 0.741)
    reason = r"^views disagree: consistency 0.7410 is below fuse.min_consistency 0.8 \(depth 0.610, semantics 0.900\)$"
    with pytest.raises(BadItem, match=reason):
        require_consistency(FIGURES, 0.8)


def test_nothing_to_compare_is_no_disagreement() -> None:
    require_consistency({"views": 1.0}, 1.0)
