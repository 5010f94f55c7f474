"""Heat maps of an audit."""

import numpy as np

from storage.rows import ItemRow
from tasks.evaluate.shown_audit import heat_maps
from tasks.evaluate.summary import gather


def test_heat_maps_are_means_over_panoramas_by_task() -> None:
    erp, patch = np.zeros((2, 3, 2, 32, 64), np.float32), np.zeros((2, 3, 2, 16, 16), np.float32)
    erp[:, 0, 0], erp[:, 0, 1] = [[[1.0]], [[3.0]]], 2.0
    items = [(ItemRow(str(k), "done"), {"erp_maps": erp[k], "patch_maps": patch[k]}) for k in range(2)]
    found = heat_maps(gather(items, {"classes": [], "truth_classes": []}))
    assert [(one["figure"], one["what"]) for one in found] == [("depth AbsRel", "fused labels, over the panorama")]
    assert found[0]["most"] == 1
    assert found[0]["picture"].shape == (320, 640, 3)
