"""The five maps as pictures: colours of classes, lines between segments, whole objects through one another."""

import numpy as np

from models.seamless.fusion import Detections
from tasks.adapt.compare import Scoring, fused
from tasks.adapt.showcase import map_pictures, objects_picture
from tasks.pages.pictures import INVALID, palette
from tests.support.discs import CLASSES, HEIGHT, THINGS, WIDTH, scene, visible_parts

SCORING = Scoring(least_stuff=0)


def test_the_five_maps_of_the_truth() -> None:
    image, semantics, wholes, classes = scene(10)
    visible, sure = visible_parts(wholes), np.array([0.9, 0.8, 0.7, 0.4])
    found = Detections(visible, classes, sure), Detections(wholes, classes, sure)
    maps = fused(semantics, *found, THINGS, SCORING)
    shown = map_pictures(image, maps, len(CLASSES), SCORING)
    assert list(shown) == ["semantic", "instance", "amodal instance", "panoptic", "amodal panoptic"]
    assert {picture.shape for picture in shown.values()} == {(HEIGHT, WIDTH, 3)}
    colours = palette(len(CLASSES))
    np.testing.assert_array_equal(shown["semantic"], colours[semantics])
    segments = maps.panoptic.segments
    lines = (segments != np.roll(segments, -1, axis=1)) | np.pad(segments[1:] != segments[:-1], ((0, 1), (0, 0)))
    assert lines[:, -1].any(), "lines close at the seam"
    expected = np.where((segments >= 0)[..., None], colours[semantics], np.array(INVALID))
    np.testing.assert_array_equal(shown["panoptic"], np.where(lines[..., None], 255, expected))
    unsure = visible[3] & ~np.any(wholes[:3], axis=0)
    grey = objects_picture(image, visible[:0])
    np.testing.assert_array_equal(shown["instance"][unsure], grey[unsure])
    assert (shown["instance"][visible[0]] != grey[visible[0]]).any(axis=1).all()
    hidden = wholes[0] & ~visible[0]
    assert hidden.any(), "else nothing is seen through"
    assert (shown["amodal instance"][hidden] != shown["instance"][hidden]).any()


def test_uncertain_pixels_are_told_from_objects() -> None:
    image, _, wholes, _ = scene(10)
    picture = objects_picture(image, wholes[:1], wholes[1] & ~wholes[0])
    assert len(np.unique(picture[wholes[1] & ~wholes[0]], axis=0)) == 1
    outside = ~wholes[0] & ~wholes[1]
    assert (picture[outside] == picture[outside][:, :1]).all(), "grey elsewhere"
