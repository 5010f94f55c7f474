"""A nerfstudio data set of panoramas: six pinholes a panorama with depth maps, and points to begin with.

    images/<panorama>_<face>.jpg
    depth/<panorama>_<face>.png          along the optical axis, thousandths of the unit, 16 bits; 0 is none
    points.ply, transforms.json

Its world has z up: x right, y forward. Its cameras have OpenGL's axes, x right, y up, and look along -z.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import numpy as np

from geometry.cameras import Camera
from tasks.solids.colmap import Written
from tasks.solids.faces import DEPTH_STEPS, Face, faces, pictures, rig
from tasks.solids.ply import columns_of, ply
from tasks.solids.point_clouds import point_cloud
from tasks.solids.poses import Z_UP, Pose
from tasks.solids.scans import Scan

OPENGL = np.diag([1.0, -1, -1])
POINTS = "points.ply"


def nerfstudio_data(scans: Iterable[Scan]) -> Written:
    """The files of a data set, ``transforms.json`` last; one panorama is held at a time, and the points of all."""
    cameras: tuple[Camera, ...] = ()
    frames, points, colours = [], [], []
    for scan in scans:
        cameras = cameras or rig(scan.image)
        wanted = faces(scan.item, cameras)
        for path, data in pictures(scan, wanted):
            yield path, data, {"pictures": int(path.endswith(".jpg"))}
        frames += [_frame(face, scan.pose) for face in wanted]
        cloud = point_cloud(scan)
        points.append((cloud.points @ Z_UP.T).astype(np.float32))
        colours.append(cloud.colours)
    count = sum(len(one) for one in points)
    rows = columns_of(np.concatenate(points), "xyz") | columns_of(np.concatenate(colours), ("red", "green", "blue"))
    yield POINTS, ply(rows), {"points": count}
    about = {**_camera(cameras[0]), "depth_unit_scale_factor": 1 / DEPTH_STEPS, "ply_file_path": POINTS, "frames": frames}
    yield "transforms.json", (json.dumps(about, indent=1) + "\n").encode(), {}


def _camera(camera: Camera) -> dict[str, Any]:
    """All faces are of one size."""
    focal = {"fl_x": camera.focal, "fl_y": camera.focal, "cx": camera.width / 2, "cy": camera.height / 2}
    return {"camera_model": "OPENCV", "w": camera.width, "h": camera.height, **focal, "k1": 0, "k2": 0, "p1": 0, "p2": 0}


def _frame(face: Face, pose: Pose) -> dict[str, Any]:
    matrix = np.eye(4)
    matrix[:3, :3] = Z_UP @ pose.rotation @ face.camera.matrix @ OPENGL
    matrix[:3, 3] = Z_UP @ pose.position
    return {"file_path": face.image, "depth_file_path": face.depth, "transform_matrix": (matrix + 0.0).tolist()}
