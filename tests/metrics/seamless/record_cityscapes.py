"""Figures of the official Cityscapes scripts on the samples: ``python -m tests.metrics.seamless.record_cityscapes``.

It needs ``pip install --no-deps cityscapesscripts pyquaternion``, whose other requirements the project does not want; so what
they said (version 2.3.0) is kept in ``cityscapes.json``, and the tests compare with that.
"""

import json
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from tests.metrics.seamless.samples import STUFF, Sample, sample

IMAGES = 24
IDS = [7, 8, 11, 24, 26, 28, 33]
"""Cityscapes ids of the samples' classes: three of stuff, four of Things."""
RECORDED = Path(__file__).with_name("cityscapes.json")


def instance_image(one: Sample) -> np.ndarray:
    """Truth as Cityscapes' instanceIds: class * 1000 + number, class alone for a group, 0 for void."""
    image = np.zeros(one.void.shape, np.int32)
    for index, label in enumerate(one.truth.classes):
        alone = index < STUFF or one.truth.crowd[index]
        image[one.truth.segments == index] = IDS[label] if alone else IDS[label] * 1000 + index
    return image


def average_precisions(samples: list[Sample], folder: Path) -> list[list[float | None]]:
    from cityscapesscripts.evaluation import evalInstanceLevelSemanticLabeling as official
    from cityscapesscripts.evaluation.instance import Instance
    from cityscapesscripts.helpers.labels import id2label

    np.in1d = np.isin  # the scripts predate numpy 2
    args = official.args
    official.setInstanceLabels(args)
    names = [id2label[identity].name for identity in IDS[STUFF:]]
    args.instLabels = names
    matches = {}
    for number, one in enumerate(samples):
        image = instance_image(one)
        truth = {name: [] for name in names}
        for identity in np.unique(image):
            instance = Instance(image, int(identity))
            name = id2label[instance.labelID].name
            if name in truth:
                truth[name].append(instance.toDict())
        predictions = {}
        for index, mask in enumerate(one.detections.masks):
            path = str(folder / f"{number}_{index}.png")
            Image.fromarray(mask.astype(np.uint8) * 255).save(path)
            label = IDS[int(one.detections.classes[index])]
            predictions[path] = {"labelID": label, "conf": float(one.detections.scores[index])}
        found, said = official.assignGt2Preds(truth, image, predictions, args)
        matches[str(number)] = {"groundTruth": found, "prediction": said}
    table = official.evaluateMatches(matches, args)[0]
    return [[None if np.isnan(value) else float(value) for value in row] for row in table]


def panoptic_counts(samples: list[Sample], folder: Path) -> dict[str, list[float]]:
    from cityscapesscripts.evaluation import evalPanopticSemanticLabeling as official

    pairs = []
    for number, one in enumerate(samples):
        annotations = []
        for kind, panoptic in (("truth", one.truth), ("said", one.prediction)):
            image, segments = np.zeros((*one.void.shape, 3), np.uint8), []
            for index, label in enumerate(panoptic.classes):
                pixels = panoptic.segments == index
                if pixels.any():
                    image[pixels, 0] = index + 1
                    crowd = 0 if panoptic.crowd is None else int(panoptic.crowd[index])
                    segments.append({"id": index + 1, "category_id": IDS[label], "iscrowd": crowd, "area": int(pixels.sum())})
            Image.fromarray(image).save(folder / f"{kind}_{number}.png")
            annotations.append({"image_id": str(number), "file_name": f"{kind}_{number}.png", "segments_info": segments})
        pairs.append(tuple(annotations))
    stats = official.pq_compute_single_core(0, pairs, str(folder), str(folder), {identity: {} for identity in IDS})
    return {name: [float(getattr(stats[identity], name)) for identity in IDS] for name in ("iou", "tp", "fp", "fn")}


def main() -> None:
    samples = [sample(seed) for seed in range(IMAGES)]
    with tempfile.TemporaryDirectory() as folder:
        recorded = {
            "digests": [one.digest() for one in samples],
            "average_precision": average_precisions(samples, Path(folder)),
            "panoptic": panoptic_counts(samples, Path(folder)),
        }
    RECORDED.write_text(json.dumps(recorded, indent=1) + "\n")


if __name__ == "__main__":
    main()
