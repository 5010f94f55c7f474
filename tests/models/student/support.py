"""Tiny students whose every weight counts."""

import numpy as np
import torch

from geometry.cameras import rotation_from_angles
from models.student import StudentModel
from models.student.configuration import tiny_config

HEIGHT = 64


def student(kind="segformer", seed=0, **settings):
    """A tiny student in evaluation mode; layers that start at zero are filled, so that all paths carry something.

    Give it ``.double()`` where equality must not hang on rounding.
    """
    torch.manual_seed(seed)
    model = StudentModel(tiny_config(kind, **settings)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if not parameter.any():
                parameter.normal_(0, 0.1)
    return model


def images(count=1, seed=0, dtype=torch.float32):
    """Smooth random panoramas (B, 3, 64, 128)."""
    coarse = torch.rand(count, 3, 8, 16, generator=torch.Generator().manual_seed(seed), dtype=dtype)
    return torch.nn.functional.interpolate(coarse, scale_factor=HEIGHT // 8, mode="bilinear")


def yaw(angle, count=1):
    """Rotations (B, 3, 3) about the vertical axis that take longitude 0 to ``angle``."""
    return torch.from_numpy(rotation_from_angles(angle, 0.0)).expand(count, 3, 3)


def roll_angle(columns):
    """Turn that a roll by this many columns means."""
    return 2 * np.pi * columns / (2 * HEIGHT)
