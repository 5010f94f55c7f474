"""What others do with the instances of many views: stitching without merging, components of fused classes, and sahi's merging.

Each takes the fields and cameras of a panorama and gives ids (H, W) and the class of each id. All work on the flat ERP image.
"""

from collections.abc import Callable, Iterator, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from geometry.cameras import Camera
from geometry.fields import Field
from geometry.instances.fuse import InstanceSettings, fuse_instances
from geometry.resampling.backproject import backprojection, view_weight

Fields = dict[str, Field]
Said = tuple[NDArray[np.integer], NDArray[np.integer]]
Method = Callable[[Fields, Sequence[Camera], int, int], Said]


def ours(settings: InstanceSettings) -> Method:
    def method(fields: Fields, cameras: Sequence[Camera], height: int, width: int) -> Said:
        out = fuse_instances(fields["instances"], cameras, height, width, settings)
        return out["instances"], out["instance_class"]

    return method


def nearest_view(fields: Fields, cameras: Sequence[Camera], height: int, width: int) -> Said:
    """Each pixel takes the segment of the view that sees it best; nothing is merged across views."""
    ids, best = np.zeros((height, width), np.int64), np.zeros((height, width), np.float32)
    for segment, weight, seen in _unfolded(fields, cameras, height, width):
        ahead = seen & (weight > best)
        ids[ahead], best[ahead] = segment[ahead], weight[ahead]
    return ids, _all_classes(fields)


def pasted(fields: Fields, cameras: Sequence[Camera], height: int, width: int) -> Said:
    """Views are pasted into the ERP image one over the other; nothing is merged."""
    ids = np.zeros((height, width), np.int64)
    for segment, _, seen in _unfolded(fields, cameras, height, width):
        ids[seen] = segment[seen]
    return ids, _all_classes(fields)


def components(semantics: NDArray[np.integer], things: Sequence[int]) -> Said:
    """Connected components of each thing's class in the fused classes, on the flat image."""
    ids, classes = np.zeros(semantics.shape, np.int64), []
    for label in things:
        count, found = cv2.connectedComponents((semantics == label).astype(np.uint8), connectivity=8)
        ids[found > 0] = found[found > 0] + len(classes)
        classes += [label] * (count - 1)
    return ids, np.array(classes, np.int64)


def sahi(kind: str, metric: str = "IOS", threshold: float = 0.5) -> Method:
    """sahi's ``GREEDYNMM`` or ``NMM``, class by class, of all masks on the flat image; the surest mask is painted on top."""
    from sahi.postprocess.backends import set_postprocess_backend
    from sahi.postprocess.combine import GreedyNMMPostprocess, NMMPostprocess
    from sahi.prediction import ObjectPrediction
    from sahi.utils.cv import get_coco_segmentation_from_bool_mask

    set_postprocess_backend("numpy")
    merge = {"GREEDYNMM": GreedyNMMPostprocess, "NMM": NMMPostprocess}[kind](threshold, metric, class_agnostic=False)

    def method(fields: Fields, cameras: Sequence[Camera], height: int, width: int) -> Said:
        labels, scores = _all_classes(fields), fields["instances"].tables["segment_score"].ravel()
        predictions = []
        for segment, _, _ in _unfolded(fields, cameras, height, width):
            for number in np.unique(segment[segment > 0]):
                parts = get_coco_segmentation_from_bool_mask(segment == number)
                # sahi cannot merge polygons without area, which masks one pixel wide become.
                outline = [part for part in parts if cv2.contourArea(np.array(part, np.float32).reshape(-1, 2)) > 0]
                if outline:
                    label, score = int(labels[number - 1]), float(scores[number - 1])
                    predictions.append(
                        ObjectPrediction(
                            segmentation=outline,
                            category_id=label,
                            category_name=str(label),
                            score=score,
                            full_shape=[height, width],
                        )
                    )
        merged = sorted(merge(predictions), key=lambda one: one.score.value)
        ids = np.zeros((height, width), np.int64)
        for number, one in enumerate(merged, start=1):
            ids[one.mask.bool_mask] = number
        return ids, np.array([one.category.id for one in merged], np.int64)

    return method


def _all_classes(fields: Fields) -> NDArray[np.integer]:
    """Class of each segment when those of all views stand in one row, as :func:`_unfolded` numbers them."""
    return fields["instances"].tables["segment_class"].ravel()


def _unfolded(
    fields: Fields, cameras: Sequence[Camera], height: int, width: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.bool_]]]:
    """For each view on the ERP grid: its segments (H, W), counted over all views; its weight; and what it sees."""
    field = fields["instances"]
    most = field.tables["segment_class"].shape[1]
    for number, camera in enumerate(cameras):
        view, flat = backprojection(camera, height, width), field.values[number].ravel().astype(np.int64)
        own = view_weight(camera, 2.0, 0.2).ravel()
        segment, weight = np.zeros((height, width), np.int64), np.zeros((height, width), np.float32)
        seen = np.zeros((height, width), bool)
        for box in view.boxes:
            at, inside = (box.rows, box.columns), view.seen(box)
            here = flat.take(box.pixel, mode="clip")
            segment[at] = np.where(inside & (here > 0), here + number * most, segment[at])
            weight[at] = np.where(inside, own.take(box.pixel, mode="clip"), weight[at])
            seen[at] |= inside
        yield segment, weight, seen
