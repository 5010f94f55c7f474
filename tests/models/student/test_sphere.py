"""Maps on the sphere against NumPy's padding, hand-made interpolation, and numerical derivatives."""

import numpy as np
import pytest
import torch

from geometry.directions import angles_to_directions, directions_to_erp, erp_angles, erp_directions
from geometry.resampling.padding import pad_sphere as numpy_pad
from models.student.sphere import (
    SphereConv2d,
    erp_rays,
    local_to_world,
    pad_convolutions,
    pad_sphere,
    resize_sphere,
    turn,
    unit_vectors,
)


def maps(height=6, width=12, channels=2, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(1, channels, height, width)))


def as_numpy(tensor):
    return tensor[0].permute(1, 2, 0).numpy()


@pytest.mark.parametrize("margin", [1, 3, 6])
def test_padding_is_that_of_geometry(margin):
    x = maps()
    np.testing.assert_array_equal(as_numpy(pad_sphere(x, margin, margin)), numpy_pad(as_numpy(x), margin))


@pytest.mark.parametrize("size", [(1, 2), (2, 4), (3, 6), (4, 2), (5, 10)])
@pytest.mark.parametrize(("rows", "columns"), [(0, 0), (1, 3), (4, 4), (5, 11), (13, 0), (0, 29), (16, 40)])
def test_every_padded_pixel_is_the_one_at_its_direction(size, rows, columns):
    height, width = size
    x = maps(*size)
    latitude = (0.5 - (np.arange(-rows, height + rows) + 0.5) / height) * np.pi  # goes on beyond 90 degrees, and round again
    longitude = ((np.arange(-columns, width + columns) + 0.5) / width - 0.5) * 2 * np.pi
    column, row = directions_to_erp(angles_to_directions(longitude[None, :], latitude[:, None]), height, width)
    expected = x[..., np.floor(row).astype(int), np.floor(column).astype(int) % width]
    assert torch.equal(pad_sphere(x, rows, columns), expected)


def test_gradients_add_up_however_often_padding_goes_round():
    x = maps(2, 4).requires_grad_()
    pad_sphere(x, 5, 11).sum().backward()
    assert x.grad is not None
    assert x.grad.sum() == x.grad.numel() // 8 * (2 + 10) * (4 + 22)


def test_an_odd_width_is_refused():
    with pytest.raises(ValueError, match="width must be even"):
        pad_sphere(maps(4, 7), 1, 0)


@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), ((3, 9), 1), (3, 2)])
def test_convolution_is_the_plain_one_of_the_continued_map(kernel, stride):
    conv = SphereConv2d(2, 3, kernel, stride=stride).double()
    x = maps()
    rows, columns = conv.kernel_size[0] // 2, conv.kernel_size[1] // 2
    padded = numpy_pad(as_numpy(x), 4)[4 - rows : 10 + rows, 4 - columns : 16 + columns]
    weight = conv.weight.detach().numpy()
    windows = np.lib.stride_tricks.sliding_window_view(padded, conv.kernel_size, axis=(0, 1))[::stride, ::stride]
    expected = np.einsum("hwcij,ocij->hwo", windows, weight) + conv.bias.detach().numpy()
    np.testing.assert_allclose(as_numpy(conv(x).detach()), expected, atol=1e-12)


def test_converted_convolutions_keep_their_names_and_equal_sphere_convolutions():
    plain = torch.nn.Sequential(torch.nn.Conv2d(2, 3, 3, padding=1)).double()
    ours = SphereConv2d(2, 3, 3).double()
    ours.load_state_dict(plain[0].state_dict())
    names = set(plain.state_dict())
    inside = plain(maps())[..., 1:-1, 1:-1]
    pad_convolutions(plain)
    assert set(plain.state_dict()) == names
    torch.testing.assert_close(plain(maps()), ours(maps()))
    torch.testing.assert_close(plain(maps())[..., 1:-1, 1:-1], inside)


@pytest.mark.parametrize("height", [3, 4, 6, 9, 12, 21])
def test_resizing_is_bilinear_on_the_sphere(height):
    x = maps()
    padded = numpy_pad(as_numpy(x), 3)

    def nearest_two(size, source):
        position = (np.arange(size) + 0.5) * source / size - 0.5 + 3
        lower = np.floor(position).astype(int)
        return lower, position - lower

    rows, down = nearest_two(height, 6)
    columns, across = nearest_two(2 * height, 12)
    mix = padded[rows] * (1 - down)[:, None, None] + padded[rows + 1] * down[:, None, None]
    expected = mix[:, columns] * (1 - across)[:, None] + mix[:, columns + 1] * across[:, None]
    np.testing.assert_allclose(as_numpy(resize_sphere(x, height)), expected, atol=1e-12)  # halving: bilinear is the mean


def test_shrinking_by_a_whole_factor_takes_means():
    x = maps(8, 16)
    expected = as_numpy(x).reshape(2, 4, 4, 4, 2).mean((1, 3))
    np.testing.assert_allclose(as_numpy(resize_sphere(x, 2)), expected, atol=1e-12)


def test_local_axes_point_east_down_and_outwards():
    longitude, latitude = np.meshgrid(*erp_angles(8, 16))
    here, step = angles_to_directions(longitude, latitude), 1e-6
    east = (angles_to_directions(longitude + step, latitude) - here) / step / np.cos(latitude)[..., None]
    down = (angles_to_directions(longitude, latitude - step) - here) / step
    rays = torch.from_numpy(erp_directions(8, 16)).permute(2, 0, 1)[None]
    for axis, expected in enumerate((east, down, here)):
        vectors = torch.zeros_like(rays)
        vectors[:, axis] = 1
        np.testing.assert_allclose(as_numpy(local_to_world(vectors, rays)), expected, atol=1e-5)


def test_rays_and_turning():
    rays = erp_rays(4, 8, torch.device("cpu"))
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    expected = erp_directions(4, 8) @ rotation.T
    np.testing.assert_allclose(as_numpy(turn(rays, torch.from_numpy(rotation).float()[None])), expected, atol=1e-6)


def test_rays_first_needed_by_a_prediction_serve_training_too():
    with torch.inference_mode():
        erp_rays(5, 10, torch.device("cpu"))
    scale = torch.ones(1, requires_grad=True)
    (erp_rays(5, 10, torch.device("cpu")) * scale).sum().backward()
    assert scale.grad is not None


def test_unit_vectors_have_the_derivative_of_the_direction_and_a_bounded_one_where_short():
    vectors = maps(4, 8, 3).requires_grad_()
    weights = maps(4, 8, 3, seed=1)
    ours = torch.autograd.grad((unit_vectors(vectors) * weights).sum(), vectors)[0]
    plain = torch.autograd.grad((torch.nn.functional.normalize(vectors, dim=1) * weights).sum(), vectors)[0]
    torch.testing.assert_close(ours, plain)
    torch.testing.assert_close(unit_vectors(vectors).norm(dim=1), torch.ones(1, 4, 8, dtype=torch.float64))
    short = (1e-6 * maps(4, 8, 3)).requires_grad_()
    gradient = torch.autograd.grad((unit_vectors(short) * weights).sum(), short)[0]
    assert (gradient.norm(dim=1) <= 10.001 * weights.norm(dim=1)).all()
    nowhere = torch.zeros(1, 3, 2, 4, requires_grad=True)
    assert torch.autograd.grad(unit_vectors(nowhere).sum(), nowhere)[0].isfinite().all()
