"""Charts say what they are given: their shapes are read back from the SVG."""

from xml.etree import ElementTree

import numpy as np
import pytest

from tasks.pages.charts import band_chart, heat_picture, histogram, waterfall

SVG = "{http://www.w3.org/2000/svg}"


def test_each_part_begins_where_the_last_one_ended() -> None:
    steps = [("floor", 1.0, 0.5, 1.5), ("teacher", 8.0, None, None), ("way back", -2.0, -3.0, -1.0), ("total", 7.0, 6.0, 9.0)]
    tree = ElementTree.fromstring(waterfall(steps))
    bars = [(float(one.get("x", 0)), float(one.get("width", 0))) for one in tree.iter(f"{SVG}rect")]
    scale = bars[3][1] / 7
    assert [width / scale for _, width in bars] == pytest.approx([1, 8, 2, 7], abs=0.01)
    zero = bars[0][0]
    assert [(x - zero) / scale for x, _ in bars] == pytest.approx([0, 1, 7, 0], abs=0.01)
    whiskers = [one.get("points", "").split() for one in tree.iter(f"{SVG}polyline")][:3]
    ends = [[(float(point.split(",")[0]) - zero) / scale for point in points] for points in whiskers]
    assert ends == [pytest.approx(own, abs=0.01) for own in ([0.5, 1.5], [6, 8], [6, 9])], "intervals lie at their bars' starts"
    assert [one.text for one in tree.iter(f"{SVG}text")][1::2] == ["+1.0000", "+8.0000", "-2.0000", "7.0000"]


def test_points_stand_at_their_values_and_gaps_stay_empty() -> None:
    rows = [{"band": "a<b", "fused": 2.0, "low": 1.0, "high": 4.0}, {"band": "c", "fused": None, "low": None, "high": None}]
    rows.append({"band": "d", "fused": 1.0, "low": 1.0, "high": 1.0})
    tree = ElementTree.fromstring(band_chart(rows, {"fused": "total"}))
    heights = [float(one.get("cy", 0)) for one in tree.iter(f"{SVG}circle")]
    ground = max(float(one.get("points", "").split(",")[1].split()[0]) for one in tree.iter(f"{SVG}polyline"))
    assert (ground - heights[0]) / (ground - heights[1]) == pytest.approx(2, rel=0.01)
    assert "a<b" in [one.text for one in tree.iter(f"{SVG}text")]
    ElementTree.fromstring(band_chart([], {"fused": "total"}))


def test_a_histogram_counts() -> None:
    values = np.random.default_rng(0).random(50)
    bars = [float(one.get("height", 0)) for one in ElementTree.fromstring(histogram(list(values), 0.5)).iter(f"{SVG}rect")]
    counts = np.histogram(values, 20, (0, 1))[0]
    assert np.array(bars) / max(bars) == pytest.approx(counts / counts.max(), abs=0.02)


def test_a_heat_picture_is_the_mean_of_each_cell() -> None:
    sums = np.array([[[0.0, 2.0], [4.0, 0.0]], [[1.0, 2.0], [1.0, 0.0]]])
    picture, most = heat_picture(sums, 3)
    assert picture.shape == (6, 6, 3)
    assert most == pytest.approx(np.percentile([0, 1, 4], 99))
    assert (picture[3:, 3:] == 96).all(), "grey where nothing is known"
    dark, middle, bright = (int(picture[place].sum()) for place in ((0, 0), (0, 3), (3, 0)))
    assert dark < middle < bright
    assert heat_picture(np.zeros((2, 2, 2)), 1)[1] == 1
