"""What several panoramas' figures come to."""

from metrics.summary import pooled_figures


def test_truth_of_no_class_has_no_figures_of_classes() -> None:
    items = [{"semantics": {"confusion": []}}, {"semantics": {"confusion": []}}]
    assert pooled_figures(items) == {}
    named = [{"semantics": {"confusion": [[3.0, 1.0, 0.0], [0.0, 4.0, 0.0]]}}]
    assert pooled_figures([*items, *named])["semantics"] == pooled_figures(named)["semantics"]
