"""A COLMAP project of panoramas: six pinholes on a rig a panorama, poses, points with what sees them, and depth maps.

    images/<panorama>_<face>.jpg
    depth/<panorama>_<face>.png          along the optical axis, thousandths of the unit, 16 bits; 0 is none
    sparse/0/{cameras,rigs,frames,images,points3D}.txt

World and cameras have x right, y down, z forward, as COLMAP has them; the rig's frame is the panorama's. Pixel centres have the
fraction 0.5, there as here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from geometry.cameras import Camera
from tasks.solids.faces import Face, faces, pictures, rig, seen
from tasks.solids.point_clouds import point_cloud
from tasks.solids.poses import Pose
from tasks.solids.scans import Scan

Written = Iterator[tuple[str, bytes, dict[str, int]]]
"""Path below the folder, contents, and what is to be counted of it."""
MODEL = "sparse/0"
RIG = 1


def colmap_project(scans: Iterable[Scan]) -> Written:
    """The files of a project, the model last; one panorama is held at a time, and the points of all."""
    cameras: tuple[Camera, ...] = ()
    frames, images, points = [], [], []
    known = 0
    for number, scan in enumerate(scans):
        cameras = cameras or rig(scan.image)
        wanted = faces(scan.item, cameras)
        for path, data in pictures(scan, wanted):
            yield path, data, {"pictures": int(path.endswith(".jpg"))}
        first = number * len(wanted) + 1  # COLMAP counts from 1
        frames.append(_frame(number + 1, scan.pose, first, len(wanted)))
        cloud = point_cloud(scan)
        face, place = seen(cameras, (cloud.points - scan.pose.position) @ scan.pose.rotation)
        images += [
            _image(first + n, n + 1, scan.pose, one, place[face == n], known + np.flatnonzero(face == n))
            for n, one in enumerate(wanted)
        ]
        points += _points(cloud.points, cloud.colours, first + face, _order(face, len(wanted)), known)
        known += len(cloud.points)
    for name, lines in {
        "cameras": [_camera(number, camera) for number, camera in enumerate(cameras, 1)],
        "rigs": [_rig(cameras)],
        "frames": frames,
        "images": images,
        "points3D": points,
    }.items():
        yield (
            f"{MODEL}/{name}.txt",
            "".join(f"{line}\n" for line in lines).encode(),
            {"points": len(lines)} if name == "points3D" else {},
        )


def _camera(number: int, camera: Camera) -> str:
    focal = _numbers([camera.focal, camera.focal, camera.width / 2, camera.height / 2])
    return f"{number} PINHOLE {camera.width} {camera.height} {focal}"


def _rig(cameras: tuple[Camera, ...]) -> str:
    """The front face is the reference, and its frame the panorama's."""
    others = [f"CAMERA {number} 1 {_rigid(camera.matrix.T, np.zeros(3))}" for number, camera in enumerate(cameras[1:], 2)]
    return " ".join([f"{RIG} {len(cameras)} CAMERA 1", *others])


def _frame(number: int, pose: Pose, first: int, count: int) -> str:
    data = " ".join(f"CAMERA {face + 1} {first + face}" for face in range(count))
    return f"{number} {RIG} {_rigid(pose.rotation.T, -pose.rotation.T @ pose.position)} {count} {data}"


def _image(number: int, camera: int, pose: Pose, face: Face, place: NDArray, points: NDArray) -> str:
    """Two lines: where the camera stood, and what it sees of which points."""
    turn = (pose.rotation @ face.camera.matrix).T  # world -> face
    head = f"{number} {_rigid(turn, -turn @ pose.position)} {camera} {face.image.removeprefix('images/')}"
    return head + "\n" + " ".join(f"{x:.6f} {y:.6f} {point + 1}" for (x, y), point in zip(place.tolist(), points.tolist()))


def _points(points: NDArray, colours: NDArray, images: NDArray, order: NDArray, known: int) -> list[str]:
    """A line a point: its number, place, colour, error, and which image sees it as which of its points."""
    rows = zip(points.tolist(), colours.tolist(), images.tolist(), order.tolist())
    return [
        f"{known + n} {x:.9g} {y:.9g} {z:.9g} {r} {g} {b} 0 {image} {place}"
        for n, ((x, y, z), (r, g, b), image, place) in enumerate(rows, 1)
    ]


def _order(face: NDArray[np.intp], count: int) -> NDArray[np.intp]:
    """The how manieth of its face's points each is (N,)."""
    order = np.empty_like(face)
    for number in range(count):
        mine = face == number
        order[mine] = np.arange(mine.sum())
    return order


def _rigid(rotation: NDArray[np.floating], shift: NDArray[np.floating]) -> str:
    """Quaternion, w first, and translation."""
    turn = Rotation.from_matrix(rotation).as_quat(canonical=True, scalar_first=True)
    return _numbers([*turn, *(shift + 0.0)])  # no -0


def _numbers(values: list[float]) -> str:
    return " ".join(f"{float(value):.17g}" for value in values)
