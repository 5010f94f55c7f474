"""RoIAlign against its definition, one sample at a time in float64."""

import math

import numpy as np
import pytest
import torch

from models.seamless.roi_align import roi_align


def bilinear(plane: np.ndarray, y: float, x: float, wrap: bool) -> np.ndarray:
    """Value (C,) of a plane (C, H, W) whose pixel centres are at +0.5."""
    height, width = plane.shape[1:]
    y, x = min(max(y - 0.5, 0.0), height - 1.0), x - 0.5
    if not wrap:
        x = min(max(x, 0.0), width - 1.0)
    row, column = math.floor(y), math.floor(x)
    value = np.zeros(len(plane))
    for i, j in ((0, 0), (0, 1), (1, 0), (1, 1)):
        weight = abs(1 - i - (y - row)) * abs(1 - j - (x - column))
        if weight:
            value += weight * plane[:, row + i, (column + j) % width]
    return value


def definition(
    features: np.ndarray, boxes: np.ndarray, image: list[int], size: tuple[int, int], scale: float, wrap: bool, samples: int
) -> np.ndarray:
    output = np.zeros((len(boxes), features.shape[1], *size))
    for k, (left, top, right, bottom) in enumerate(boxes * scale):
        step = ((bottom - top) / (size[0] * samples), (right - left) / (size[1] * samples))
        for i in range(size[0] * samples):
            for j in range(size[1] * samples):
                value = bilinear(features[image[k]], top + (i + 0.5) * step[0], left + (j + 0.5) * step[1], wrap)
                output[k, :, i // samples, j // samples] += value / samples**2
    return output


BOXES = np.array(
    [[3.0, 2.0, 21.5, 13.0], [60.0, 1.0, 77.0, 30.0], [0.0, 0.0, 64.0, 32.0], [63.5, 20.0, 64.5, 21.0], [31.0, 30.0, 39.0, 40.0]]
)


@pytest.mark.parametrize("wrap", [True, False])
@pytest.mark.parametrize(("size", "samples"), [((7, 7), 2), ((3, 5), 1), ((2, 2), 3)])
def test_it_is_its_definition(wrap: bool, size: tuple[int, int], samples: int) -> None:
    features = np.random.default_rng(0).normal(size=(2, 3, 8, 16))
    image = [0, 1, 0, 1, 0]
    found = roi_align(torch.tensor(features), torch.tensor(BOXES), torch.tensor(image), size, 0.25, wrap, samples)
    expected = definition(features, BOXES, image, size, 0.25, wrap, samples)
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-12)


def test_a_linear_ramp_gives_the_centres() -> None:
    """Far from the border a bilinear sample of a linear function is exact, whatever the sampling."""
    row, column = torch.meshgrid(torch.arange(20) + 0.5, torch.arange(30) + 0.5, indexing="ij")
    found = roi_align(
        torch.stack([row, column])[None].double(),
        torch.tensor([[4.0, 2.0, 16.0, 10.0]]).double(),
        torch.tensor([0]),
        (4, 6),
        1,
        False,
    )
    np.testing.assert_allclose(found[0, 0, :, 0].numpy(), [3, 5, 7, 9])
    np.testing.assert_allclose(found[0, 1, 0].numpy(), [5, 7, 9, 11, 13, 15])


def test_turning_features_and_boxes_changes_nothing() -> None:
    features = torch.randn(1, 4, 8, 16, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    boxes, image = torch.tensor(BOXES), torch.zeros(5, dtype=torch.int64)
    expected = roi_align(features, boxes, image, (7, 7), 0.25, True)
    turned = roi_align(features.roll(3, dims=-1), boxes + torch.tensor([12.0, 0, 12, 0]), image, (7, 7), 0.25, True)
    torch.testing.assert_close(turned, expected)


def test_gradients_reach_the_features() -> None:
    features = torch.randn(2, 2, 5, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64, requires_grad=True)
    boxes, image = torch.tensor([[1.0, 1, 4, 4], [5, 0, 7, 3], [0, 0, 6, 5]]).double(), torch.tensor([0, 1, 1])

    def align(given: torch.Tensor) -> torch.Tensor:
        return roi_align(given, boxes, image, (2, 3), 1, True)

    assert torch.autograd.gradcheck(align, (features,))


def test_no_boxes() -> None:
    features = torch.randn(1, 3, 4, 8)
    assert roi_align(features, torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64), (7, 7), 1, True).shape == (0, 3, 7, 7)
