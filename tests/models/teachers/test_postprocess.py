"""Normals from a network's vectors: every bit as torch's own reductions make it, which take ten times as long on a CPU."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from models.teachers.postprocess import normals_field, resize


def plain_normals(values: torch.Tensor, size: tuple[int, int], axes: str) -> tuple[np.ndarray, np.ndarray]:
    """As ``normals_field`` was written first: vectors (N, h, w, 3), and where there are any."""
    vectors = normalize(resize(normalize(values.float(), dim=1), size), dim=1)
    camera = torch.empty_like(vectors)
    for channel in range(3):
        sign = -1 if axes[2 * channel] == "-" else 1
        camera[:, "xyz".index(axes[2 * channel + 1])] = sign * vectors[:, channel]
    valid = torch.isfinite(camera).all(dim=1) & (camera.norm(dim=1) > 0.5)
    camera = torch.where(valid[:, None], camera, 0)
    return camera.permute(0, 2, 3, 1).numpy(), valid.numpy()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize("axes", ["+x+y+z", "-y+x-z", "+z-x+y"])
@pytest.mark.parametrize("size", [(61, 47), (100, 90), (20, 17)])
def test_every_bit_is_that_of_torch(size: tuple[int, int], axes: str, dtype: torch.dtype) -> None:
    values = torch.randn(3, 3, 61, 47, generator=torch.Generator().manual_seed(0))
    values[0, :, 0, :5] = torch.tensor([torch.nan, torch.inf, 0, 1e-20, 1e30])
    values[1, :, :9] = 0
    values[2, 1, 30, 20] = -torch.inf
    found = normals_field(values.to(dtype), size, axes)
    expected, valid = plain_normals(values.to(dtype), size, axes)
    np.testing.assert_array_equal(found.values.view(np.uint32), np.ascontiguousarray(expected).view(np.uint32))
    np.testing.assert_array_equal(found.valid, valid)
    assert found.values.flags.c_contiguous
    assert 0 < valid.mean() < 1
