"""AP against hand-worked curves and, loosely, COCO's."""

import contextlib
import io

import numpy as np
import pytest
from pycocotools import mask as coco_masks
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from metrics.seamless.average_precision import THRESHOLDS, average_precision, detection_counts, joined
from metrics.seamless.objects import Objects, no_objects
from metrics.seamless.seams import crosses_seam, seam_detection_counts
from tests.metrics.seamless.samples import CLASSES, HEIGHT, STUFF, WIDTH, rectangle, sample


def objects(*boxes: tuple[int, int, int, int], scores: list[float] | None = None, crowd: list[bool] | None = None) -> Objects:
    """Rectangles (top, left, height, width) of class 0."""
    masks = np.array([rectangle(*box) for box in boxes]).reshape(-1, HEIGHT, WIDTH)
    group = None if crowd is None else np.array(crowd)
    return Objects(masks, np.zeros(len(boxes), int), None if scores is None else np.array(scores), group)


def curve(prediction: Objects, truth: Objects, **settings: object) -> np.ndarray:
    return detection_counts(prediction, truth, 1, **settings).per_class()[0]  # type: ignore[arg-type]


def test_the_curve_by_hand() -> None:
    # Scores .9 right, .8 wrong, .7 right, of three objects. Points (recall, precision) from the least score on:
    # (2/3, 2/3), (1/3, 1/2), (1/3, 1), (0, 1); widths 1/6, 1/6, 1/6, 1/6.
    found = average_precision(np.array([0.9, 0.8, 0.7]), np.array([1, 0, 1]), np.array([0, 1, 0]), 3)
    assert found == pytest.approx((2 / 3 + 1 / 2 + 1 + 1) / 6)
    # With equal scores there is one point (2/3, 2/3) and the artificial one (0, 1), each with a width of 1/3.
    assert average_precision(np.full(3, 0.5), np.array([1, 0, 1]), np.array([0, 1, 0]), 3) == pytest.approx((2 / 3 + 1) / 3)
    assert average_precision(np.array([0.5]), np.array([0]), np.array([0]), 3) == 0


def test_perfect_missing_and_absent() -> None:
    truth = objects((0, 0, 12, 12), (20, 50, 12, 12))
    assert curve(truth, truth).tolist() == [1.0] * 10
    assert curve(no_objects(HEIGHT, WIDTH), truth).tolist() == [0.0] * 10
    assert np.isnan(curve(truth, no_objects(HEIGHT, WIDTH))).all()
    nobody = detection_counts(no_objects(HEIGHT, WIDTH), no_objects(HEIGHT, WIDTH), 3)
    assert nobody.figures() == {"ap": None, "ap50": None}


def test_classes_without_truth_stay_out_of_the_mean() -> None:
    truth = objects((0, 0, 12, 12))
    masks = np.concatenate([truth.masks, truth.masks])
    both = Objects(masks, np.array([0, 2]), np.array([0.5, 0.9]))
    assert detection_counts(both, truth, 3).figures()["ap"] == 1


def test_a_second_detection_of_an_object_is_false() -> None:
    truth, twice = objects((0, 0, 12, 12)), objects((0, 0, 12, 12), (0, 0, 12, 11), scores=[0.3, 0.9])
    counts = detection_counts(twice, truth, 1)
    # The surer one takes the object although the other fits better; above its IoU of 11/12 the other does.
    np.testing.assert_array_equal(counts.hits.T, [[0, 1]] * 9 + [[1, 0]])
    np.testing.assert_array_equal(counts.misses.T, [[1, 0]] * 9 + [[0, 1]])


def test_small_objects_neither_count_nor_harm() -> None:
    small, large = (0, 0, 9, 11), (20, 20, 10, 10)
    truth = objects(small, large)
    assert truth.areas.tolist() == [99, 100]
    found = detection_counts(objects(small, large, scores=[0.9, 0.5]), truth, 1)
    assert found.truths.tolist() == [1]
    assert (found.hits.sum(), found.misses.sum()) == (10, 0)
    # A prediction that a small object covers by 3/5 is forgiven while the threshold is below that.
    partly = detection_counts(objects((0, 0, 15, 11), scores=[0.9]), truth, 1)
    np.testing.assert_array_equal(partly.misses[0], THRESHOLDS >= 99 / 165)


def test_void_and_crowds_forgive_by_their_share() -> None:
    truth = objects((30, 0, 12, 12))
    void = rectangle(0, 0, 10, 7)
    lone = objects((0, 0, 10, 10), scores=[0.9])
    np.testing.assert_array_equal(detection_counts(lone, truth, 1, void).misses[0], THRESHOLDS >= 0.7)
    crowd = objects((30, 0, 12, 12), (0, 0, 10, 7), crowd=[False, True])
    np.testing.assert_array_equal(detection_counts(lone, crowd, 1).misses[0], THRESHOLDS >= 0.7 - 1e-9)
    # Void and crowd on the same pixels forgive once.
    np.testing.assert_array_equal(detection_counts(lone, crowd, 1, void).misses[0], THRESHOLDS >= 0.7 - 1e-9)
    assert detection_counts(objects((0, 0, 10, 7), scores=[0.9]), crowd, 1).misses.sum() == 0, "a find in a crowd is not false"


def test_one_whole_mask_serves_two_objects_only_as_published() -> None:
    truth = objects((0, 0, 10, 20), (0, 2, 10, 20))
    one = objects((0, 1, 10, 20), scores=[0.9])
    assert detection_counts(one, truth, 1).hits[0].tolist() == [1] * 9 + [0]
    assert detection_counts(one, truth, 1, paper_compat=True).hits[0].tolist() == [2] * 9 + [0]
    # Two predictions find both, though each fits both, whichever comes first.
    two = objects((0, 1, 10, 20), (0, 2, 10, 20), scores=[0.9, 0.8])
    assert detection_counts(two, truth, 1).figures()["ap50"] == 1


def test_a_second_find_that_also_fits_a_crowd_is_forgiven() -> None:
    truth = objects((0, 0, 10, 20), (0, 2, 10, 20), crowd=[False, True])
    counts = detection_counts(objects((0, 0, 10, 20), (0, 1, 10, 20), scores=[0.9, 0.8]), truth, 1)
    assert counts.misses[1].tolist() == [0] * 9 + [1], (
        "above an IoU of 19/21 it fits neither, and the share on the crowd is 19/20"
    )


def test_counts_can_be_joined_in_any_grouping() -> None:
    parts = [detection_counts(one.detections, one.true_objects, CLASSES, one.void) for one in map(sample, range(5))]
    whole = joined(parts).per_class()
    np.testing.assert_array_equal(((parts[4] + parts[2]) + (parts[0] + (parts[3] + parts[1]))).per_class(), whole)
    assert np.isnan(whole[:STUFF]).all()


def test_turning_the_panorama_changes_nothing() -> None:
    one = sample(5)

    def turned(given: Objects) -> Objects:
        return Objects(np.roll(given.masks, 31, axis=2), given.classes, given.scores, given.crowd)

    before = detection_counts(one.detections, one.true_objects, CLASSES, one.void)
    after = detection_counts(turned(one.detections), turned(one.true_objects), CLASSES, np.roll(one.void, 31, axis=1))
    np.testing.assert_array_equal(before.hits, after.hits)
    np.testing.assert_array_equal(before.misses, after.misses)


def test_objects_across_the_seam_have_a_figure_of_their_own() -> None:
    across, inside = (0, 86, 12, 20), (20, 30, 12, 20)
    truth = objects(across, inside)
    assert crosses_seam(truth.masks).tolist() == [True, False]

    def figure(prediction: Objects) -> float | None:
        return seam_detection_counts(prediction, truth, 1).figures()["ap"]

    assert figure(objects(across, scores=[0.5])) == 1
    halves = objects((0, 86, 12, 10), (0, 0, 12, 10), inside, scores=[0.9, 0.8, 0.7])
    counts = seam_detection_counts(halves, truth, 1)
    assert (counts.truths.tolist(), counts.hits.sum(), counts.misses.sum(axis=1).tolist()) == ([1], 0, [10, 10, 0])
    elsewhere = objects(across, (30, 60, 12, 12), scores=[0.5, 0.9])
    assert figure(elsewhere) == 1, "what is invented away from the seam is another figure's business"


def test_close_to_coco_where_the_rules_agree() -> None:
    """Without void, crowds and small objects only the integration differs: 101 points of a curve made monotonous."""
    images, annotations, detections, parts = [], [], [], []
    for number, one in enumerate(map(sample, range(40))):
        large = one.true_objects.areas >= 100
        truth = Objects(one.true_objects.masks[large], one.true_objects.classes[large])
        # Distinct scores, since COCO sorts equal ones by their order.
        generator = np.random.default_rng(number)
        said = Objects(one.detections.masks, one.detections.classes, generator.permutation(len(one.detections)) / 64)
        parts.append(detection_counts(said, truth, CLASSES))
        images.append({"id": number, "height": HEIGHT, "width": WIDTH})
        for kind, given in ((annotations, truth), (detections, said)):
            for index, mask in enumerate(given.masks):
                code = coco_masks.encode(np.asfortranarray(mask.astype(np.uint8)))
                entry = {"image_id": number, "category_id": int(given.classes[index]) + 1, "segmentation": code}
                entry |= {"id": len(kind) + 1, "iscrowd": 0, "area": int(mask.sum()), "bbox": coco_masks.toBbox(code).tolist()}
                kind.append(entry | {"score": float(given.confidence[index])})
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = {"images": images, "annotations": annotations, "categories": [{"id": c + 1} for c in range(CLASSES)]}
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(detections), "segm")
        evaluation.evaluate()
        evaluation.accumulate()
    precision = evaluation.eval["precision"][:, :, :, 0, -1]  # (thresholds, recalls, classes)
    theirs = np.where(precision > -1, precision, np.nan).mean(axis=1).T[STUFF:]
    ours = joined(parts).per_class()[STUFF:]
    assert theirs.mean() > 0.05
    np.testing.assert_allclose(ours, theirs, atol=0.05)
    assert abs(ours.mean() - theirs.mean()) < 0.015
