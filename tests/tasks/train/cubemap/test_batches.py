"""Panoramas become faces in which every label is that of its direction."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from geometry.directions import erp_directions
from models.cubemap.configuration import face_cameras, tiny_config
from models.student.labels import Label
from tasks.train.cubemap.batches import faces_of
from tasks.train.labels.data import Batch

CONFIG = tiny_config()
HALF = np.array([2.0, 1.5, 3.0])
"""Of a box of 4 x 3 x 6 m."""


def wall_of(directions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distance to the box, and the normal of its wall."""
    reach = HALF / np.maximum(np.abs(directions), 1e-9)
    return reach.min(-1), -np.sign(directions) * (reach.argmin(-1)[..., None] == np.arange(3))


def box(height: int = 256, sky_share: float = 0.0) -> Batch:
    """A box with a hole in its labels to the right of the middle column, and sky in the uppermost rows."""
    directions = erp_directions(height, 2 * height)
    distance, normals = wall_of(directions)
    sky = directions[..., 1] < -1 + 2 * sky_share
    land = ~sky
    land[:, height : height + 8] = False
    image = np.round(127.5 + 127.5 * directions).astype(np.uint8)

    def tensor(array: np.ndarray) -> torch.Tensor:
        whole = array[..., None] if array.ndim == 2 else array
        return torch.from_numpy(whole.transpose(2, 0, 1)[None].copy())

    labels = {
        "depth": Label(tensor(distance.astype(np.float32)), tensor(land), tensor(np.full(land.shape, 0.5, np.float32))),
        "normals": Label(tensor(normals.astype(np.float32)), tensor(land)),
        "sky": Label(tensor(sky.astype(np.float32)), tensor(sky | land)),
    }
    return Batch(0, 0, ("box",), tensor(image), labels)


def test_faces_hold_what_lies_in_their_directions() -> None:
    found = faces_of(box(), CONFIG)
    for face, camera in enumerate(face_cameras(CONFIG)):
        directions = camera.directions()
        distance, normals = wall_of(directions)
        known = found.truth.weight[0, face].numpy() > 0
        off = np.abs(found.truth.log_depth[0, face].numpy() - np.log(distance * camera.rays()[..., 2]))
        assert off[known].max() < 0.03
        agreeing = (found.truth.normals[0, face].movedim(0, -1).numpy() * normals).sum(-1)  # type: ignore[index]
        assert np.median(agreeing[known]) == pytest.approx(1)
        assert np.abs(found.faces[0, face].numpy() - (127.5 + 127.5 * directions)).mean() < 1


def test_what_is_not_known_counts_nothing_and_confidence_weighs_the_rest() -> None:
    truth = faces_of(box(), CONFIG).truth
    ahead = truth.weight[0, 0]
    assert ahead.unique().tolist() == [0, 0.5]
    assert (ahead[:, 16] == 0).all(), "the hole"
    assert (ahead[:, :15] == 0.5).all()
    assert truth.normals_weight is not None
    assert truth.normals_weight[0, 0].unique().tolist() == [0, 1]
    assert torch.isfinite(truth.log_depth).all()


@pytest.mark.parametrize(("share", "outdoor"), [(0.0, False), (0.03, False), (0.07, True)])
def test_sky_tells_which_scale_head_learns(share: float, outdoor: bool) -> None:
    assert faces_of(box(sky_share=share), CONFIG).truth.outdoor.tolist() == [outdoor]
    assert faces_of(box(sky_share=share), CONFIG, "indoor").truth.outdoor.tolist() == [False]


def test_labels_that_teach_nonsense_are_refused_with_the_panorama() -> None:
    batch = box()
    batch.labels["depth"].value[0, 0, 100, 3] = float("nan")
    with pytest.raises(ValueError, match=r"panoramas box: depth labels of item 0 of the batch: 1 of .* are NaN or infinite"):
        faces_of(batch, CONFIG)


def test_a_network_of_normals_alone_has_faces_too() -> None:
    batch = box()
    alone = replace(batch, labels={"normals": batch.labels["normals"]})
    truth = faces_of(alone, tiny_config(modalities=("normals",))).truth
    assert not truth.weight.any()
    assert truth.normals_weight is not None
    assert truth.normals_weight.any()
