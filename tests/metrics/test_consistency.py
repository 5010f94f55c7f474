"""Figures of a panorama's consistency against closed forms."""

import numpy as np
import pytest

from geometry.directions import erp_directions
from metrics.consistency import consistency_figures

SHAPE = (64, 128)


def test_the_combined_figure_is_the_geometric_mean_of_those_there_are():
    below = erp_directions(*SHAPE)[..., 1] > 0
    labels = {
        "depth_consistency": np.where(below, 51, 0).astype(np.uint8),
        "semantics_consistency": np.full(SHAPE, 204, np.uint8),
    }
    figures = consistency_figures(labels)
    assert figures["consistency_depth"] == pytest.approx(0.2)
    assert figures["consistency_semantics"] == pytest.approx(0.8)
    assert "consistency_normals" not in figures
    assert figures["consistency"] == pytest.approx(np.sqrt(0.2 * 0.8))


def test_where_nothing_can_be_judged_there_is_no_figure():
    assert consistency_figures({"depth_consistency": np.zeros(SHAPE, np.uint8), "views": np.ones(SHAPE, np.uint8)}) == {}
