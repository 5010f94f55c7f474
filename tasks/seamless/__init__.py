"""Data sets for seamless segmentation by the name of their kind: pinhole images to learn from, panoramas to adapt to."""

import re

from tasks.ingest.datasets.layout import FileLayout
from tasks.seamless.cityscapes import AMODAL_SYNTH_DRIVE, CITYSCAPES, DENSEPASS
from tasks.seamless.coco_panoptic import BLENDPASS, KITTI360_APS
from tasks.seamless.dataset import SeamlessSet

UNLABELLED = SeamlessSet(
    FileLayout(
        example="<name>.jpg",
        pattern=re.compile(r"(?P<name>.+)\.(?:png|jpe?g|tiff?|PNG|JPE?G|TIFF?)"),
        item=r"\g<name>",
        places={},
    ),
    (),
    None,
    panoramas=True,
)
SEAMLESS_SETS: dict[str, SeamlessSet] = {
    "amodal_synth_drive": AMODAL_SYNTH_DRIVE,
    "blendpass": BLENDPASS,
    "cityscapes": CITYSCAPES,
    "densepass": DENSEPASS,
    "kitti360_aps": KITTI360_APS,
    "pass": DENSEPASS,
    "unlabelled": UNLABELLED,
}
