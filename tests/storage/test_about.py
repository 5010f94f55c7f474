"""What blocks say together: those with an item count, and contradictions are told."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from storage.about import Contradiction, common_about, refuse_other_arrays
from storage.receipts import Receipt
from storage.rows import ItemRow


def receipt(block: str, about: dict[str, Any], *states: str) -> Receipt:
    rows = [ItemRow(f"p{number}", state) for number, state in enumerate(states)]
    return Receipt("fuse", "f" * 16, block, rows, {}, about, {})


def test_a_block_without_an_item_says_nothing() -> None:
    bad = receipt("000000-a", {"classes": [], "depth_unit": ""}, "quarantined", "quarantined")
    good = receipt("000001-b", {"classes": ["sky"], "depth_unit": "metre"}, "quarantined", "done")
    assert common_about([bad, good]) == common_about([good, bad]) == {"classes": ["sky"], "depth_unit": "metre"}
    assert common_about([bad]) == common_about([]) == {}


def test_keys_of_a_newer_version_are_kept() -> None:
    one, other = receipt("000000-a", {"classes": ["sky"]}, "done"), receipt("000001-b", {"classes": ["sky"], "new": 1}, "done")
    assert common_about([one, other]) == {"classes": ["sky"], "new": 1}


def test_contradictions_name_both_blocks() -> None:
    one, other = receipt("000000-a", {"depth_unit": "metre"}, "done"), receipt("000001-b", {"depth_unit": "scale"}, "done")
    with pytest.raises(Contradiction, match="000000-a says depth_unit = 'metre', 000001-b says 'scale'"):
        common_about([one, other])


@pytest.mark.parametrize(
    ("other", "told"),
    [
        ({"depth": np.zeros((4, 8), np.float16)}, "depth is float16"),
        ({"depth": np.zeros((8, 16), np.float32)}, "depth is float32"),
        ({}, "depth is missing"),
        ({"depth": np.zeros((4, 8), np.float32), "sky": np.zeros((4, 8), bool)}, "sky is bool"),
    ],
)
def test_labels_of_another_form_are_refused(other: dict[str, Any], told: str) -> None:
    first = {"depth": np.zeros((4, 8), np.float32)}
    refuse_other_arrays(first, {"depth": np.ones((4, 8), np.float32)}, "p01")
    with pytest.raises(Contradiction, match=f"p01: its array {told}"):
        refuse_other_arrays(first, other, "p01")
