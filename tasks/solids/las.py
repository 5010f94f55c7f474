"""LAS 1.4, point format 7: points with colours and classes, as programs for surveys read them; LAZ is the same, packed.

Their frame has z up: x is right, y forward. Classes are 64 and more, which the format leaves to its users: class ``n`` of the
vocabulary is ``64 + n``, and the file's classification lookup has the names, as far as its 15 letters go. What has no class is 1,
unclassified. The point source is the number of the panorama.
"""

from __future__ import annotations

import io
from collections.abc import Iterable

import laspy
import numpy as np
from laspy.vlrs.known import ClassificationLookupVlr

from tasks.solids.point_clouds import PointCloud, joint_cloud
from tasks.solids.poses import Z_UP
from tasks.solids.scans import Scan
from tasks.stage.job import BadItem

UNCLASSIFIED, FIRST, LAST = 1, 64, 255
STEP = 1e-3
"""Of coordinates, which are whole numbers: a millimetre."""
LETTERS = 15


def points_as_las(scans: Iterable[Scan], packed: bool = False) -> tuple[bytes, dict[str, int]]:
    """A file of all points, and how many they are.

    Raises
    ------
    BadItem
        The vocabulary has more classes than the format has numbers.
    """
    cloud = joint_cloud(scans)
    if len(cloud.vocabulary) > LAST - FIRST + 1:
        many = f"has a vocabulary of {len(cloud.vocabulary)} classes, and LAS has numbers for {LAST - FIRST + 1}"
        raise BadItem(f"{many}; write ply or glb")
    header = laspy.LasHeader(point_format=7, version="1.4")
    header.scales, header.offsets = np.full(3, STEP), np.floor((cloud.points @ Z_UP.T).min(axis=0))
    header.creation_date = None  # the same labels give the same bytes
    header.generating_software = "panolabel"
    header.global_encoding.wkt = True  # as the format asks, though there is no place on the Earth
    lookup = ClassificationLookupVlr()
    for number, name in enumerate(cloud.vocabulary):
        lookup[FIRST + number] = name.encode("ascii", "replace").decode()[:LETTERS]
    header.vlrs.append(lookup)
    file = io.BytesIO()
    with laspy.open(file, mode="w", header=header, do_compress=packed, closefd=False) as writer:
        writer.write_points(_records(cloud, header))
    return file.getvalue(), {"points": len(cloud.points)}


def _records(cloud: PointCloud, header: laspy.LasHeader) -> laspy.ScaleAwarePointRecord:
    records = laspy.ScaleAwarePointRecord.zeros(len(cloud.points), header=header)
    for name, values in zip("xyz", Z_UP @ cloud.points.T.astype(np.float64)):
        records[name] = values
    for name, colour in zip(("red", "green", "blue"), cloud.colours.T):
        records[name] = colour.astype(np.uint16) * 257  # of 16 bits
    records["classification"] = np.where(cloud.classes < 0, UNCLASSIFIED, FIRST + cloud.classes)
    records["point_source_id"] = cloud.source
    records["return_number"] = records["number_of_returns"] = np.ones(len(cloud.points), np.uint8)
    return records
