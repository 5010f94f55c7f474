"""The audit of one panorama against the stage ``evaluate``, and what it makes of truths and teachers that do not fit at once."""

from dataclasses import replace

import numpy as np
import pytest

from geometry.directions import erp_directions
from geometry.fields import where_observed
from geometry.fusion.fuse import fuse
from geometry.fusion.sightings import patch_fields
from geometry.layouts import icosahedron
from geometry.observed import observed_in_patches
from metrics.audit.attribution import COLUMNS, PARTS, level_errors, missing_iou, parts
from metrics.audit.measure import FIGURES, Measured, rows_of
from metrics.panorama import evaluate_item
from metrics.protocols import OURS
from tasks.evaluate.audit import Evidence, as_arrays, attribute, truth_labels
from tasks.label.fuse import decode_labels, encode_labels, fusion_settings
from tasks.label.settings import Fuse

CLASSES = ("up", "down", "ahead")
HEIGHT = 48
FUSION = Fuse(height=HEIGHT)
Labels = dict[str, np.ndarray]


def truth_of(height: int) -> Labels:
    directions = erp_directions(height, 2 * height)
    x, ahead = directions[..., 0], directions[..., 2] > 0.7
    depth = x + np.sqrt(x**2 + 8)
    return {
        "depth": np.where(ahead, depth / 2, depth).astype(np.float32),
        "normals": (-directions).astype(np.float32),
        "semantics": np.where(ahead, 2, directions[..., 1] > 0).astype(np.uint8),
        "sky": np.zeros(x.shape, bool),
    }


def evidence_of(truth: Labels, unit: str = "metre") -> Evidence:
    """What a noisy teacher says, fused as the stage does; views of a unit that is not metric have a factor of their own."""
    generator, cameras = np.random.default_rng(0), icosahedron(32)
    said = patch_fields(truth_labels(truth_of(HEIGHT), (HEIGHT, 2 * HEIGHT), len(CLASSES)), cameras)
    factor = generator.uniform(0.5, 2, (20, 1, 1)) if unit != "metre" else 1 + 0.02 * generator.normal(size=(20, 32, 32))
    said["depth"] = replace(said["depth"], values=(said["depth"].values * factor).astype(np.float32), unit=unit)
    noisy = said["normals"].values + generator.normal(0, 0.1, (20, 32, 32, 3)).astype(np.float32)
    said["normals"] = replace(said["normals"], values=noisy / np.linalg.norm(noisy, axis=-1, keepdims=True))
    confused = np.where(
        generator.random((20, 32, 32, 1)) < 0.2, generator.integers(0, 3, (20, 32, 32, 1)), said["semantics"].values
    )
    said["semantics"] = replace(said["semantics"], values=confused.astype(np.uint16))
    stored = encode_labels(fuse(said, cameras, HEIGHT, 2 * HEIGHT, fusion_settings(FUSION, CLASSES)), FUSION)
    return Evidence(decode_labels(stored), cameras, said, dict.fromkeys(said, cameras), truth, "", {})


def part_of(evidence: Evidence) -> Evidence:
    """The same where only the 60 degrees above and below the horizon were photographed."""
    observed = np.zeros((HEIGHT, 2 * HEIGHT), bool)
    observed[HEIGHT // 6 : -HEIGHT // 6] = True
    seen = observed_in_patches(observed, evidence.views)
    fields = {name: where_observed(field, seen) for name, field in evidence.fields.items()}
    settings = fusion_settings(FUSION, CLASSES)
    stored = encode_labels(fuse(fields, evidence.views, HEIGHT, 2 * HEIGHT, settings, observed), FUSION)
    return replace(evidence, fused=decode_labels(stored), fields=fields, observed=observed)


def shares(found: dict[str, Measured], task: str) -> dict[str, float]:
    """Parts of a task's first error."""
    return dict(zip(PARTS, parts(level_errors(found[task].sums[FIGURES[task][0], "all"])[0])))


def test_the_total_is_what_evaluate_says() -> None:
    evidence = evidence_of(truth_of(HEIGHT))
    found = attribute(FUSION, evidence, CLASSES, CLASSES)
    figures = evaluate_item(evidence.fused, evidence.truth, CLASSES, CLASSES, OURS)
    assert [one.judged for one in found.values()] == pytest.approx([1, 1, 1])
    assert shares(found, "depth")["total"] == pytest.approx(figures["depth"]["abs_rel"])
    assert shares(found, "normals")["total"] == pytest.approx(figures["normals"]["mean"])
    assert shares(found, "semantics")["total"] == pytest.approx(1 - figures["semantics"]["pixel_accuracy"])
    assert missing_iou(found["semantics"].overlap)[-1] == pytest.approx(1 - figures["semantics"]["miou"])
    assert shares(found, "semantics")["teacher"] == pytest.approx(0.2 * 2 / 3, abs=0.01)


def test_of_a_part_only_the_part_is_audited() -> None:
    whole, evidence = evidence_of(truth_of(HEIGHT)), part_of(evidence_of(truth_of(HEIGHT)))
    found = attribute(FUSION, evidence, CLASSES, CLASSES)
    figures = evaluate_item(evidence.fused, evidence.truth, CLASSES, CLASSES, OURS, observed=evidence.observed)
    assert shares(found, "depth")["total"] == pytest.approx(figures["depth"]["abs_rel"])
    assert shares(found, "semantics")["total"] == pytest.approx(1 - figures["semantics"]["pixel_accuracy"])
    assert [one.judged for one in found.values()] == pytest.approx([1, 1, 1]), "shares of what was photographed"
    of_all = attribute(FUSION, replace(evidence, observed=None), CLASSES, CLASSES)["depth"].judged
    assert of_all == pytest.approx(found["depth"].judged * np.sin(np.radians(60)), rel=1e-3), "of the whole sphere it is less"
    unseen = {
        name: np.where(evidence.observed.reshape(HEIGHT, -1, *(1,) * (a.ndim - 2)), a, a[::-1]) for name, a in whole.truth.items()
    }
    other = attribute(FUSION, replace(evidence, truth=unseen), CLASSES, CLASSES)
    for task in found:
        for key, sums in found[task].sums.items():
            np.testing.assert_array_equal(sums, other[task].sums[key])
    rows = [row for row in rows_of(CLASSES) if row[:3] == ("depth", "abs_rel", "latitude")]
    polar = found["depth"].sums["abs_rel", "latitude"][[row[3] for row in rows].index("75-90")]
    assert not polar.any()


def test_a_truth_of_another_size_is_read_at_the_nearest_pixel() -> None:
    evidence = evidence_of(truth_of(3 * HEIGHT))
    found = attribute(FUSION, evidence, CLASSES, CLASSES)
    same = attribute(FUSION, evidence_of(truth_of(HEIGHT)), CLASSES, CLASSES)
    assert shares(found, "depth")["total"] == pytest.approx(shares(same, "depth")["total"], abs=2e-3)


def test_a_teacher_that_is_not_metric_gets_one_factor() -> None:
    found = attribute(FUSION, evidence_of(truth_of(HEIGHT), "scale"), CLASSES, CLASSES)
    assert shares(found, "depth")["teacher"] < 0.005, "its views were aligned, and their common factor is the truth's"
    assert shares(found, "depth")["total"] < 0.01


def test_classes_are_matched_by_name_and_one_without_namesake_is_wrong() -> None:
    evidence = evidence_of(truth_of(HEIGHT))
    same = attribute(FUSION, evidence, CLASSES, CLASSES)
    turned = {**evidence.truth, "semantics": (evidence.truth["semantics"] + 1) % 3}
    found = attribute(FUSION, replace(evidence, truth=turned), CLASSES, ("AHEAD", "up", "down"))
    assert shares(found, "semantics") == pytest.approx(shares(same, "semantics"))
    unknown = attribute(FUSION, evidence, ("up", "down", "somewhere"), CLASSES)
    ahead = dict(zip(PARTS, parts(level_errors(unknown["semantics"].sums["wrong", "class"])[2])))
    assert ahead["total"] == 1


def test_what_the_truth_lacks_is_left_out_and_stored_as_nothing() -> None:
    truth = truth_of(HEIGHT)
    truth["sky"][:8] = True
    del truth["normals"]
    found = attribute(FUSION, evidence_of(truth), CLASSES, CLASSES)
    assert set(found) == {"depth", "semantics"}
    arrays = as_arrays(found, CLASSES)
    rows = rows_of(CLASSES)
    assert arrays["sums"].shape == (len(rows), len(COLUMNS))
    for number, (task, figure, split, band) in enumerate(rows):
        if task == "normals":
            assert not arrays["sums"][number].any()
        elif split == "all":
            np.testing.assert_array_equal(arrays["sums"][number], found[task].sums[figure, split][0])
        if (task, split, band) == ("depth", "latitude", "75-90"):
            assert 0 < arrays["sums"][number, 2] < found["semantics"].sums["wrong", "latitude"][3, 2], "no depth in the sky"
    nothing = as_arrays(attribute(FUSION, replace(evidence_of(truth), truth={}), CLASSES, CLASSES), CLASSES)
    assert {name: array.shape for name, array in nothing.items()} == {name: array.shape for name, array in arrays.items()}
    assert not any(array.any() for array in nothing.values())
