"""Five maps from three branches, by hand, with the defects of the release as cases."""

import numpy as np

from models.seamless.fusion import NOTHING, Detections, FusionRule, fuse_branches

RULE = FusionRule(range(2, 5), instance_score=0.55, amodal_score=0.5, least_stuff=4)
WIDTH = 20


def spans(*given: tuple[int, int, float], label: int = 2) -> Detections:
    """One row: (start, stop, score), over the seam where stop is beyond the width."""
    masks = np.zeros((len(given), 1, WIDTH), bool)
    for mask, (start, stop, _) in zip(masks, given):
        mask[0, np.arange(start, stop) % WIDTH] = True
    return Detections(masks, np.full(len(given), label), np.array([score for *_, score in given]))


def row(text: str) -> np.ndarray:
    """Classes as digits."""
    return np.array([[int(letter) for letter in text.ljust(WIDTH, "0")]])


def panoptic(semantics: str, instances: Detections) -> tuple[list[int], list[int]]:
    fused = fuse_branches(row(semantics), instances, spans(), RULE)
    return fused.segments[0].tolist(), fused.segment_classes.tolist()


def test_the_surer_instance_keeps_the_pixels_whatever_the_order() -> None:
    for order in ([(2, 8, 0.9), (4, 10, 0.6)], [(4, 10, 0.6), (2, 8, 0.9)]):
        segments, classes = panoptic("0022222222", spans(*order))
        assert segments[:10] == [2, 2, 0, 0, 0, 0, 0, 0, 1, 1]
        assert classes == [2, 2, 0]


def test_instances_are_cut_to_things_and_named_by_the_commonest_class() -> None:
    segments, classes = panoptic("0000233", spans((0, 7, 0.9)))
    assert segments[:7] == [1, 1, 1, 1, 0, 0, 0]
    assert classes == [3, 0]


def test_unsure_instances_small_stuff_and_lone_thing_pixels_are_void() -> None:
    segments, classes = panoptic("1112222", spans((3, 5, 0.54)))
    assert segments[:7] == [NOTHING] * 7, "three pixels of stuff 1 are too few, and no instance is sure"
    assert classes == [0]
    assert panoptic("0" * WIDTH, spans((3, 5, 0.9))) == ([0] * WIDTH, [0]), "a poster: no Thing seen, none kept"


def test_an_instance_across_the_seam_is_one_segment() -> None:
    segments, classes = panoptic("22" + "0" * 16 + "22", spans((18, 22, 0.9)))
    assert segments[:2] + segments[-2:] == [0] * 4
    assert classes == [2, 0]


def test_whole_masks_stay_whole_behind_stuff_and_each_other() -> None:
    amodals = spans((2, 10, 0.6), (6, 16, 0.9))
    fused = fuse_branches(row("0022000003333"), spans(), amodals, RULE)
    np.testing.assert_array_equal(fused.wholes.masks, amodals.masks[::-1])
    assert fused.wholes.scores.tolist() == [0.9, 0.6]
    # Named by Thing pixels that no other mask shares: 3 at 10 to 12, 2 at 2 and 3; the stuff in front has no say.
    assert fused.wholes.classes.tolist() == [3, 2]
    assert fused.stuff[0, :10].tolist() == [0, 0, -1, -1, 0, 0, 0, 0, 0, -1]


def test_shared_pixels_have_no_vote_where_there_are_others() -> None:
    fused = fuse_branches(row("0334444422"), spans(), spans((1, 8, 0.9), (3, 10, 0.8)), RULE)
    assert fused.wholes.classes.tolist() == [3, 2], "4 is commoner in both, but both claim it"


def test_shared_pixels_vote_where_there_are_no_others_and_none_means_none() -> None:
    fused = fuse_branches(row("00444"), spans(), spans((2, 5, 0.9), (1, 6, 0.8), (10, 14, 0.9)), RULE)
    assert fused.wholes.classes.tolist() == [4, 4]
    nobody = fuse_branches(row("0"), spans(), spans((2, 5, 0.49)), RULE)
    assert (len(nobody.wholes.masks), nobody.segment_classes.tolist()) == (0, [0])
    all_things = fuse_branches(row("2" * WIDTH), spans((0, WIDTH, 1.0)), spans(), RULE)
    assert (np.unique(all_things.stuff).tolist(), all_things.segment_classes.tolist()) == ([NOTHING], [2])


def test_a_class_map_of_bytes_gives_the_same() -> None:
    """They cannot hold ``NOTHING``."""
    given = row("0022222222"), spans((2, 8, 0.9)), spans((2, 8, 0.9))
    one, other = (fuse_branches(given[0].astype(kind), *given[1:], RULE) for kind in (np.int64, np.uint8))
    assert (one.stuff == other.stuff).all()
    assert (one.segments == other.segments).all()
    assert one.segment_classes.tolist() == other.segment_classes.tolist() == [2, 0]
