"""Cameras as numbers and as tokens."""

from __future__ import annotations

from collections.abc import Sequence
from math import atan, radians, tan

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation
from torch import Tensor, nn

from geometry.cameras import Camera
from models.cubemap.attention import Block, GeluFFN

CODE = 9


def pose_code(cameras: Sequence[Camera], told_fov: float | None = None) -> NDArray[np.float32]:
    """(S, 9) float32: position, quaternion (x, y, z, w) and fields of view of each camera, as Depth Anything 3 encodes them.

    Parameters
    ----------
    cameras : S cameras around one point
    told_fov : float, optional
        Field of view in degrees to tell, both ways, instead of the cameras' own.

    Returns
    -------
    array
        Positions are 0. Quaternions are of the rotation from a camera to the first one, w >= 0; where w = 0 the largest of the
        others is positive. Fields of view are the vertical and the horizontal one, in radians.
    """
    rotations = np.stack([cameras[0].matrix.T @ camera.matrix for camera in cameras])
    quaternions = Rotation.from_matrix(rotations).as_quat().round(12)
    largest = np.take_along_axis(quaternions, np.abs(quaternions[:, :3]).argmax(axis=1)[:, None], axis=1)[:, 0]
    sign = np.where(quaternions[:, 3] != 0, quaternions[:, 3], largest)
    quaternions *= np.where(sign < 0, -1.0, 1.0)[:, None]
    if told_fov is None:
        fields = [(2 * atan(tan(one.fov / 2) * one.height / one.width), one.fov) for one in cameras]
    else:
        fields = [(radians(told_fov), radians(told_fov))] * len(cameras)
    return np.concatenate([np.zeros((len(cameras), 3)), quaternions, fields], axis=1).astype(np.float32)


class CameraEncoder(nn.Module):
    """One token for each camera; they see each other."""

    def __init__(self, width: int, blocks: int, heads: int) -> None:
        super().__init__()
        self.pose_branch = GeluFFN(CODE, width // 2, width)
        self.token_norm = nn.LayerNorm(width)
        eps = self.token_norm.eps
        self.trunk = nn.Sequential(*(Block(width, heads, GeluFFN(width, 4 * width), False, eps) for _ in range(blocks)))
        self.trunk_norm = nn.LayerNorm(width)

    def forward(self, codes: Tensor) -> Tensor:
        """:func:`pose_code` (B, S, 9) -> (B, S, width)."""
        tokens: Tensor = self.trunk_norm(self.trunk(self.token_norm(self.pose_branch(codes))))
        return tokens


def same_field(cameras: Sequence[Camera], fov_degrees: float | None) -> tuple[Camera, ...]:
    """The cameras with another field of view; as they are for None."""
    if fov_degrees is None:
        return tuple(cameras)
    return tuple(Camera(one.width, one.height, radians(fov_degrees), one.rotation) for one in cameras)


def code_tensor(cameras: Sequence[Camera], told_fov: float | None, like: Tensor) -> Tensor:
    """:func:`pose_code` (1, S, 9) on the device, and in the number format, of ``like``."""
    return torch.from_numpy(pose_code(cameras, told_fov))[None].to(like)
