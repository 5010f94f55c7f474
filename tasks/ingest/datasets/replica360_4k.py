"""Replica360_4K: rendered reconstructions of rooms, 2048x4096; a mask says where the reconstruction has no hole."""

import re

from tasks.ingest.datasets.dataset import DataSet
from tasks.ingest.datasets.layout import FileLayout
from tasks.ingest.datasets.truth import Arrays, Found, depth_arrays


def decode(found: Found, _uri: str) -> Arrays:
    """``depth`` (H, W) float32, stored in metres, where the mask is not 0."""
    mask = found.pixels("mask")
    return depth_arrays(found.dpt("depth"), mask > 0)


REPLICA360_4K = DataSet(
    FileLayout(
        example="<scene>/0000_rgb_pano.jpg",
        pattern=re.compile(r"(?P<scene>[^/]+)/(?P<frame>\d{4}[^/]*)_rgb_pano\.jpg"),
        item=r"\g<scene>/\g<frame>",
        places={"depth": r"\g<scene>/\g<frame>_depth_pano.dpt", "mask": r"\g<scene>/\g<frame>_mask_pano.png"},
    ),
    decode,
)
