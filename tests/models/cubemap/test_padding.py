"""Beyond its border a face shows what lies there on the sphere."""

import numpy as np
import pytest
import torch

from geometry.cameras import Camera
from geometry.layouts import cubemap, icosahedron
from models.cubemap.configuration import face_cameras, small_config
from models.cubemap.dpt import Refinement
from models.cubemap.network import CubemapNetwork, initialise
from models.cubemap.padding import cube_borders, cube_pad


def smooth(directions: np.ndarray) -> np.ndarray:
    x, y, z = np.moveaxis(directions, -1, 0)
    return np.sin(2 * x + y) + x * z - 0.5 * y * y


def wider(camera: Camera, margin: int) -> Camera:
    """The same view with ``margin`` pixels more on every side."""
    size = camera.width + 2 * margin
    return Camera(size, size, 2 * np.arctan(size / 2 / camera.focal), camera.rotation)


@pytest.mark.parametrize("cameras", [cubemap(126), cubemap(126, np.radians(96)), icosahedron(126)], ids=["cube", "overlap", "20"])
@pytest.mark.parametrize("margin", [1, 3])
def test_a_smooth_function_of_direction_goes_on(cameras: tuple[Camera, ...], margin: int) -> None:
    maps = torch.from_numpy(np.stack([smooth(camera.directions()) for camera in cameras]))[:, None]
    truth = np.stack([smooth(wider(camera, margin).directions()) for camera in cameras])
    padded = cube_pad(cameras, maps, margin)[:, 0].numpy()
    assert padded.shape == truth.shape
    outside = np.pad(np.zeros((126, 126)), margin, constant_values=1) > 0
    error = np.abs(padded - truth)[:, outside]
    assert np.quantile(error, 0.99) <= 2e-4
    if len(cameras) == 20 or cameras[0].fov > np.pi / 2:
        assert error.max() <= 1e-3
    else:  # in the corners of a cube without overlap the neighbour ends too, and its outermost centre stands for what lies beyond
        assert error.max() <= 1e-2
    np.testing.assert_array_equal(padded[:, margin:-margin, margin:-margin], maps[:, 0])


def test_a_constant_stays_constant_through_a_refinement() -> None:
    """Zeros beyond the border would make it another near it."""
    torch.manual_seed(0)
    layers = Refinement((4, 4, 4, 4), 8, 2)
    borders = cube_borders(cubemap(64), None, None)
    maps = [torch.full((6, 4, side, side), 0.7) for side in (32, 16, 8, 4)]
    with torch.no_grad():
        pyramid = layers.pyramid(maps, borders)
        answer = layers.answer(layers.neck(pyramid[-1], borders), (64, 64), borders, None)
    assert (answer - answer[:1, :, :1, :1]).abs().max() <= 1e-6


def test_a_quarter_turn_of_the_world_turns_the_padding() -> None:
    cameras = cubemap(20)
    maps = torch.randn(6, 3, 20, 20, generator=torch.Generator().manual_seed(0))
    front, right, back, left, up, down = range(6)

    def turned(faces: torch.Tensor) -> torch.Tensor:
        """The world turned to the right by 90 degrees: what was ahead is right."""
        level = faces[[left, front, right, back]]
        return torch.cat([level, faces[[up]].rot90(1, (2, 3)), faces[[down]].rot90(-1, (2, 3))])

    one, other = cube_pad(cameras, turned(maps), 2), turned(cube_pad(cameras, maps, 2))
    apart = (one - other).abs()
    corner = torch.zeros(24, 24, dtype=torch.bool)
    for rows in (slice(0, 2), slice(22, 24)):
        for columns in (slice(0, 2), slice(22, 24)):
            corner[rows, columns] = True
    assert apart[..., ~corner].max() <= 1e-5  # in the corners two faces are equally near, and the first one has them


def test_gradients_reach_the_neighbours() -> None:
    maps = torch.zeros(6, 1, 8, 8, requires_grad=True)
    cube_pad(cubemap(8), maps, 1)[0, 0, :, -1].sum().backward()
    assert maps.grad[1].sum() > 7  # the right column of front's border is right's
    assert maps.grad[[0, 2, 3]].abs().sum() == 0


def test_views_that_do_not_close_are_refused() -> None:
    with pytest.raises(ValueError, match="do not see the whole sphere"):
        cube_pad(cubemap(8)[:4], torch.zeros(4, 1, 8, 8), 1)
    with pytest.raises(ValueError, match="must be square, of one size"):
        cube_pad((*cubemap(8)[:5], Camera.looking(8, 8, 1.0)), torch.zeros(6, 1, 8, 8), 1)


def test_without_cross_view_attention_no_token_knows_of_another_view() -> None:
    """Its arm of the experiment: cameras' tokens and padding aside, faces stand alone."""
    images = torch.randn(1, 6, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    other = images.clone()
    other[:, 3] = 0
    for cross in (True, False):
        network = CubemapNetwork(small_config(16, cross_view=cross))
        initialise(network, torch.Generator().manual_seed(1))
        cameras = torch.zeros(1, 6, network.config.width)
        with torch.no_grad():
            apart = [(network.model.backbone(one, cameras)[-1]) for one in (images, other)]
        assert ((apart[0] - apart[1])[:, 0].abs().max() > 0) == cross
    assert len(face_cameras(network.config)) == 6
