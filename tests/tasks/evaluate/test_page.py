"""The page of an audit escapes what it shows, and says what there is."""

import numpy as np

from storage.receipts import ItemRow
from tasks.evaluate.page import heat_maps, render_audit
from tasks.evaluate.summary import Audited, gather

NAME = "<script>alert(1)</script>"
AGREEMENT = {"depth": {"all": [{"band": "all", "share": 1.0, "value": 0.5, "low": None, "high": None}]}}


def render(**changes: object) -> str:
    summary = {"items": 1, "with_truth": 0, "attribution": {}, "bands": {}, "judged": {}, "agreement": AGREEMENT}
    worst = [{"item": NAME, "score": 2.0, "reasons": [f"because {NAME}"]}]
    audited = Audited([], {}, {}, [], [])
    given = {"title": NAME, "summary": {**summary, "consistency": {NAME: 0.25}, "worst": worst}, "audited": audited}
    shown = {"pictures": {NAME: {"panorama": np.zeros((4, 8, 3), np.uint8)}}, "min_consistency": 0.3}
    quarantined = [{"item": NAME, "stage": "fuse", "reason": NAME}]
    return render_audit(**{**given, **shown, "quarantined": quarantined, **changes})  # type: ignore[arg-type]


def test_names_and_reasons_are_text() -> None:
    html = render()
    assert "<script>" not in html
    assert html.count("&lt;script&gt;") >= 6
    assert "data:image/webp;base64," in html
    assert "none with ground truth" in html
    assert "the threshold 0.3" in html


def test_heat_maps_are_means_over_panoramas_by_task() -> None:
    erp, patch = np.zeros((2, 3, 2, 32, 64), np.float32), np.zeros((2, 3, 2, 16, 16), np.float32)
    erp[:, 0, 0], erp[:, 0, 1] = [[[1.0]], [[3.0]]], 2.0
    items = [(ItemRow(str(k), "done"), {"erp_maps": erp[k], "patch_maps": patch[k]}) for k in range(2)]
    found = heat_maps(gather(items, {"classes": [], "truth_classes": []}))
    assert [(one["figure"], one["what"]) for one in found] == [("depth AbsRel", "fused labels, over the panorama")]
    assert found[0]["most"] == 1
    assert found[0]["picture"].shape == (320, 640, 3)
