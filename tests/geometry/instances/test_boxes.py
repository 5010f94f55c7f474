"""Boxes across the seam: brute force over all boxes, and pixels that come back where they were."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from geometry.instances.boxes import cut, mask_boxes, overlap

HEIGHT, WIDTH = 3, 11


def covers(box: np.ndarray, mask: np.ndarray) -> bool:
    inside = np.zeros_like(mask)
    inside[box[0] : box[0] + box[2], np.arange(box[1], box[1] + box[3]) % mask.shape[1]] = True
    return not (mask & ~inside).any()


@given(st.lists(st.booleans(), min_size=WIDTH, max_size=WIDTH), st.integers(0, HEIGHT - 1))
@settings(max_examples=150, deadline=None)
def test_the_box_is_the_narrowest(columns: list[bool], row: int) -> None:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[row] = columns
    box = mask_boxes(mask[None])[0]
    if not mask.any():
        assert box.tolist() == [0, 0, 0, 0]
        return
    fitting = [
        (width, left + width > WIDTH)
        for left in range(WIDTH)
        for width in range(1, WIDTH + 1)
        if covers(np.array([row, left, 1, width]), mask)
    ]
    assert (box[3], box[1] + box[3] > WIDTH) == min(fitting)
    assert covers(box, mask)
    assert box[[0, 2]].tolist() == [row, 1]
    assert 0 <= box[1] < WIDTH
    filled = np.flatnonzero(columns)
    assert mask_boxes(mask[None], wrap=False)[0].tolist() == [row, filled[0], 1, filled[-1] - filled[0] + 1]


boxes = st.tuples(st.integers(0, HEIGHT - 1), st.integers(0, WIDTH - 1), st.integers(1, HEIGHT), st.integers(1, WIDTH)).map(
    lambda box: np.array([box[0], box[1], min(box[2], HEIGHT - box[0]), box[3]])
)


@given(boxes, boxes)
@settings(max_examples=200, deadline=None)
def test_pixels_of_a_box_arrive_in_the_window_at_their_place(box: np.ndarray, window: np.ndarray) -> None:
    names = np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH)
    source, target = cut(names, box), cut(names, window)
    found = np.full(target.shape, -1)
    for rows, columns, to_rows, to_columns in overlap(box, window, WIDTH):
        found[to_rows, to_columns] = source[rows, columns]
    shared = np.isin(target, source)
    np.testing.assert_array_equal(found[shared], target[shared])
    assert (found[~shared] == -1).all()
