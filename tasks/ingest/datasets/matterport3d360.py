"""Matterport3D360: scanned homes, 1024x2048, depth of 360MonoDepth's stitching; rows near the poles were never seen."""

import re

from tasks.ingest.datasets.dataset import DataSet
from tasks.ingest.datasets.layout import FileLayout
from tasks.ingest.datasets.truth import Arrays, Found, depth_arrays


def decode(found: Found, _uri: str) -> Arrays:
    """``depth`` (H, W) float32, stored in metres."""
    metres = found.dpt("depth")
    return depth_arrays(metres, metres > 0)


MATTERPORT3D360 = DataSet(
    FileLayout(
        example="<part>/data/<scene>/<id>_rgb.png",
        pattern=re.compile(r"(?P<folder>[^/]+/data/(?P<scene>[^/]+))/(?P<id>[^/]+)_rgb\.png"),
        item=r"\g<scene>/\g<id>",
        places={"depth": r"\g<folder>/\g<id>_depth.dpt"},
        split=lambda match, splits: splits.get(match["scene"], ""),
        split_files="scenes_<split>.txt",
    ),
    decode,
    pole_crop=0.14,
)
