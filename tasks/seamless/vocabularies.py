"""The two vocabularies of seamless segmentation, and how the ids that data sets store become their classes.

K2B is that of KITTI360-APS and BlendPASS, A2B that of AmodalSynthDrive and BlendPASS. Both have 11 classes of
stuff, then 7 Things.
"""

import numpy as np

from tasks.ingest.datasets.cityscapes import CLASSES as CITYSCAPES_CLASSES
from tasks.ingest.datasets.cityscapes import LABEL_IDS

IGNORED = 255
STUFF = (
    *("road", "sidewalk", "building", "wall", "fence", "pole", "traffic light", "traffic sign"),
    *("vegetation", "terrain", "sky"),
)
K2B = (*STUFF, "pedestrians", "cyclists", "car", "truck", "other vehicles", "van", "two-wheeler")
A2B = (*STUFF, "person", "rider", "car", "truck", "bus", "motorcycle", "bicycle")
THINGS = range(len(STUFF), len(K2B))
"""Thing classes of either vocabulary."""

A2B_OF_TRAIN_ID = np.array([A2B.index(name) if name in A2B else IGNORED for name in CITYSCAPES_CLASSES])
"""Class of each of Cityscapes' 19 training ids; trains are in neither vocabulary."""
A2B_OF_LABEL_ID = np.full(max(LABEL_IDS) + 1, IGNORED)
"""Class of each of Cityscapes' label ids, which AmodalSynthDrive shares."""
A2B_OF_LABEL_ID[list(LABEL_IDS)] = A2B_OF_TRAIN_ID
