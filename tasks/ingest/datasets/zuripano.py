"""ZuriPano: streets measured by a laser scanner, 2048x4096; Parquet files of the model hub."""

import re

import numpy as np

from tasks.ingest.datasets.dataset import DataSet
from tasks.ingest.datasets.layout import ParquetLayout
from tasks.ingest.datasets.truth import Arrays, Found, depth_arrays

FARTHEST = 200.0
"""Metres that 65535 stands for."""


def decode(found: Found, _uri: str) -> Arrays:
    """``depth`` (H, W) float32 in metres, stored in 16 bits over 200 m, where the mask is not 0."""
    mask = found.pixels("mask")
    return depth_arrays(found.pixels("depth") * np.float32(FARTHEST / 65535), mask > 0)


ZURIPANO = DataSet(
    ParquetLayout(
        example="data/test-00000-of-00001.parquet",
        pattern=re.compile(r"(?:data/)?(?P<split>[a-z]+)-\d+(?:-of-\d+)?\.parquet"),
        item="{row}",
        image="rgb",
        columns={"depth": "depth", "mask": "mask"},
        name="id",
    ),
    decode,
)
