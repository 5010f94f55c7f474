"""The report shows every item, every figure and every reason, and nothing of it can break the page."""

import base64
import io
import re

import numpy as np
from PIL import Image

from metrics.summary import summarise
from tasks.pages.report import WIDTH, format_figure, item_figures, picture_uri, render_report

RUN = {"run": "20260101-demo", "config": "demo", "started": "2026-01-01T00:00:00", "user": "someone"}
STAGE = {"stage": "fuse", "cached": 1, "ran": 2, "quarantined": 1, "seconds": 3.25, "bytes": 5_000_000}


def render(**changes: object) -> str:
    parts: dict = {"title": "t", "run": RUN, "plan_rows": [STAGE], "summary": {}, "items": [], "quarantined": []}
    return render_report(**{**parts, **changes})


def test_every_item_figure_and_reason_appears() -> None:
    picture = np.zeros((20, 40, 3), np.uint8)
    html = render(
        summary={
            "items": 2,
            "protocol": "pager_scale",
            "headline": [{"figure": "depth AbsRel", "key": "depth.abs_rel", "value": 0.1234, "low": 0.1, "high": None}],
            "bands": {"depth AbsRel": {"0-30": 0.2, "30-60": None}},
            "per_class": [{"class": "floor", "iou": 0.75}],
        },
        items=[
            {"item": name, "metrics": {"depth": {"abs_rel": 0.5}}, "pictures": {"panorama": picture}} for name in ("one", "two")
        ],
        quarantined=[{"item": "three", "stage": "ingest", "reason": "the file is empty"}],
        classes=["sky", "floor"],
    )
    for text in (
        "one",
        "two",
        "three",
        "the file is empty",
        "0.123",
        "pager_scale",
        "0.750",
        "floor",
        "0.200",
        "5.0",
        "20260101-demo",
    ):
        assert text in html
    assert html.count("data:image/webp;base64,") == 2
    assert "–" in html


def test_both_averages_stand_beside_each_other_and_the_protocol_is_explained() -> None:
    row = {"figure": "mIoU", "key": "semantics.miou", "over": "pixels", "value": 0.7, "over_images": 0.61, "over_pixels": 0.7}
    html = render(
        summary={"items": 2, "protocol": "da2", "headline": [{**row, "low": 0.5, "high": 0.8}], "bands": {}, "per_class": []}
        | {"figures": [{**row, "low": 0.5, "high": 0.8}, {**row, "over_pixels": None, "low": None, "high": None}]}
    )
    assert "<td>0.610</td>" in html
    assert "<b>0.700</b>" in html
    assert "0.500 to 0.800" in html
    assert "<b>–</b>" in html
    assert "median alignment" in html


def test_figures_of_an_item_come_by_name_and_none_is_kept() -> None:
    metrics = {"depth": {"abs_rel": None, "bands": {}, "sums": {}}, "coverage": {"depth": 0.5}, "truth": "abc"}
    assert item_figures(metrics) == [("depth AbsRel", None), ("depth coverage", 0.5)]
    html = render(items=[{"item": "one", "metrics": metrics, "pictures": {}}])
    assert "depth AbsRel<b>–</b>" in html
    assert "depth coverage<b>0.500</b>" in html


def test_what_metrics_summarise_can_be_shown() -> None:
    items = [{"coverage": {"depth": value, "depth_consistency": None}} for value in (0.25, 0.75)]
    html = render(summary={**summarise(items, []), "protocol": "panolabel"})
    assert "depth coverage" in html
    assert "0.500" in html


def test_names_are_escaped() -> None:
    picture = np.zeros((2, 4, 3), np.uint8)
    item = {"item": "<i>'\"", "metrics": {}, "pictures": {"panorama": picture}}
    assert "<i>'" not in render(items=[item], classes=["<u>"])
    assert "<u>" not in render(items=[item], classes=["<u>"])
    html = render(title="<script>x</script>", quarantined=[{"item": "<b>", "stage": "s", "reason": "a & b"}])
    assert "<script>x" not in html
    assert "&lt;b&gt;" in html
    assert "a &amp; b" in html


def test_no_figure_is_a_dash() -> None:
    assert (format_figure(None), format_figure(0.12345)) == ("–", "0.123")


def test_pictures_are_embedded_and_small() -> None:
    picture = np.full((500, 1000, 3), (200, 30, 60), np.uint8)
    encoded = re.fullmatch(r"data:image/webp;base64,(.*)", picture_uri(picture))
    assert encoded is not None
    image = Image.open(io.BytesIO(base64.b64decode(encoded.group(1))))
    assert image.size == (WIDTH, WIDTH // 2)
    assert np.abs(np.asarray(image.convert("RGB")).astype(int) - (200, 30, 60)).max() < 12
