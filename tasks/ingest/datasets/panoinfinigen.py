"""PanoInfinigen: generated rooms, nature and cities; Parquet files of the model hub."""

import re

import numpy as np

from tasks.ingest.datasets.dataset import DataSet
from tasks.ingest.datasets.layout import ParquetLayout
from tasks.ingest.datasets.truth import Arrays, Found, depth_arrays, normal_arrays

FARTHEST = {"indoor": 75.0, "nature": 75.0, "urban": 500.0}
"""Metres at which the renderer cuts distances, the sky among them; 65535 stands for as many in 16-bit files."""


def decode(found: Found, uri: str) -> Arrays:
    """``depth`` (H, W) float32 and ``normals`` (H, W, 3) float32.

    Depth is stored in metres as a NumPy file, or over the scene's range as a 16-bit PNG; normals likewise, with x forward, y up,
    z left.
    """
    arrays: Arrays = {}
    if "depth" in found:
        farthest = FARTHEST[re.findall(r"/(indoor|nature|urban)/", uri)[-1]]
        as_array = found.is_array("depth")
        metres = found.array("depth").squeeze() if as_array else found.pixels("depth") * np.float32(farthest / 65535)
        arrays |= depth_arrays(metres, metres < 0.999 * farthest)
    if "normals" in found:
        as_array = found.is_array("normals")
        vectors = found.array("normals") if as_array else found.pixels("normals", 3) / np.float32(127.5) - 1
        arrays |= normal_arrays(np.moveaxis(vectors, 0, -1) if vectors.shape[0] == 3 else vectors, ("forward", "up", "left"))
    return arrays


PANOINFINIGEN = DataSet(
    ParquetLayout(
        example="data/indoor/test-00000-of-00010.parquet",
        pattern=re.compile(r"(?:data/)?(?P<scenes>indoor|nature|urban)/(?P<shard>(?P<split>[a-z]+)-\d+)(?:-of-\d+)?\.parquet"),
        item=r"\g<scenes>/\g<shard>/{row}",
        image="image",
        columns={"depth": "depth", "normals": "normals"},
    ),
    decode,
)
