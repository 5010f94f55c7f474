"""Masks cut and put back across the seam."""

import numpy as np
import torch

from models.seamless.masks import cut_masks, paste_masks, share_inside

HEIGHT, WIDTH = 24, 48


def disc(row: float, column: float, radius: float) -> torch.Tensor:
    y, x = torch.meshgrid(torch.arange(HEIGHT) + 0.5, torch.arange(WIDTH) + 0.5, indexing="ij")
    across = torch.remainder(x - column + WIDTH / 2, WIDTH) - WIDTH / 2
    return (y - row) ** 2 + across**2 < radius**2


def test_what_is_cut_is_put_back() -> None:
    masks = torch.stack([disc(12, 24, 7), disc(10, 47, 8), disc(3, 1, 6)])
    boxes = torch.tensor([[16.5, 4.5, 31.5, 19.5], [38.5, 1.5, 55.5, 18.5], [42.0, 0.0, 56.0, 10.0]])
    shares = cut_masks(masks, torch.arange(3), boxes, 28, wrap=True)
    again = paste_masks(shares, boxes, (HEIGHT, WIDTH))
    for before, after in zip(masks, again):
        union, shared = (before | after).sum(), (before & after).sum()
        assert shared / union > 0.93
    # Of the whole box filled, exactly the pixels whose centres lie well inside are set.
    full = paste_masks(torch.ones(1, 28, 28), torch.tensor([[46.0, 2, 51, 9]]), (HEIGHT, WIDTH))[0]
    expected = np.zeros((HEIGHT, WIDTH), bool)
    expected[2:9, [46, 47, 0, 1, 2]] = True
    np.testing.assert_array_equal(full.numpy(), expected)


def test_a_box_a_turn_wide_is_pasted_once() -> None:
    half = torch.zeros(1, 28, 28)
    half[:, :, :14] = 1
    pasted = paste_masks(half, torch.tensor([[36.0, 0, 84, 24]]), (HEIGHT, WIDTH))[0]
    expected = np.zeros((HEIGHT, WIDTH), bool)
    expected[:, np.arange(36, 60) % WIDTH] = True
    assert (pasted.numpy() != expected).mean() < 0.03


def test_share_of_a_region_in_boxes() -> None:
    region = torch.zeros(HEIGHT, WIDTH, dtype=torch.bool)
    region[:, 44:] = True
    found = share_inside(region, torch.tensor([[44.0, 0, 48, 24], [40, 0, 48, 24], [46, 0, 50, 24], [10, 0, 20, 24]]), wrap=True)
    np.testing.assert_allclose(found.numpy(), [1, 0.5, 0.5, 0], atol=0.1)


def test_no_masks() -> None:
    assert paste_masks(torch.zeros(0, 28, 28), torch.zeros(0, 4), (4, 8)).shape == (0, 4, 8)
    assert cut_masks(torch.zeros(0, 4, 8), torch.zeros(0, dtype=torch.int64), torch.zeros(0, 4), 28, True).shape == (0, 28, 28)


def test_boxes_out_of_the_image_set_what_is_inside_and_no_more() -> None:
    boxes = torch.tensor(
        [[4.0, -30, 20, -5], [4, HEIGHT + 2, 20, HEIGHT + 9], [4, -6, 20, 6], [4, 20, 20, HEIGHT + 8], [9, 3, 9, 8]]
    )
    pasted = paste_masks(torch.ones(len(boxes), 28, 28), boxes, (HEIGHT, WIDTH)).numpy()
    assert not pasted[[0, 1, 4]].any(), "above, below, and without width"
    expected = np.zeros((2, HEIGHT, WIDTH), bool)
    expected[0, :6, 4:20] = True
    expected[1, 20:, 4:20] = True
    np.testing.assert_array_equal(pasted[2:4], expected)
