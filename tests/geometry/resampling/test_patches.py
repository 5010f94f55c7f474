"""ERP -> patches against closed forms, an exact float64 sampler, py360convert and supersampling."""

import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from geometry import layouts
from geometry.cameras import Camera
from geometry.directions import directions_to_erp, erp_directions
from geometry.resampling import patches as resample
from geometry.resampling.padding import pad_sphere
from geometry.resampling.patches import Prefilter, choose_prefilter, erp_coordinates, extract_nearest, extract_patches

# Ahead, across the seam, onto both poles, and one that is rolled.
VIEWS = layouts.explicit(
    48, [(0.1, 0.2, 1.5, 0), (np.pi, 0, 1.5, 0), (0.4, np.pi / 2, 1.2, 0), (2, -1.5, 1.9, 0.7), (-1, 0.6, 1, -2)]
)
GREY = np.random.default_rng(0).integers(0, 256, (96, 192, 3), dtype=np.uint8)


def smooth(directions: np.ndarray) -> np.ndarray:
    """Three smooth functions on the sphere, without seam or pole: (..., 3) in 0-255."""
    x, y, z = np.moveaxis(directions, -1, 0)
    return np.stack([127 + 100 * x * y, 127 + 90 * np.sin(2 * z + y), 127 + 100 * z], axis=-1)


def exact(panorama: np.ndarray, camera: Camera) -> np.ndarray:
    """Bilinear sampling in float64 by SciPy."""
    column, row = directions_to_erp(camera.directions(), *panorama.shape[:2])
    padded = pad_sphere(panorama.astype(np.float64), 2)
    channels = [map_coordinates(padded[..., c], [row + 1.5, column + 1.5], order=1) for c in range(panorama.shape[2])]
    return np.stack(channels, axis=-1)


def supersampled(panorama: np.ndarray, camera: Camera, factor: int = 8) -> np.ndarray:
    """Mean over ``factor`` x ``factor`` bilinear subrays of every patch pixel."""
    fine = exact(panorama, Camera(camera.width * factor, camera.height * factor, camera.fov, camera.rotation))
    return fine.reshape(camera.height, factor, camera.width, factor, -1).mean(axis=(1, 3))


def psnr(values: np.ndarray, truth: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / np.mean((values.astype(np.float64) - truth) ** 2)))


@pytest.mark.parametrize("backend", ["opencv", "torch"])
@pytest.mark.parametrize("antialias", [True, False])
def test_patches_show_the_function_that_the_panorama_shows(backend: str, antialias: bool) -> None:
    panorama = smooth(erp_directions(512, 1024)).astype(np.float32)
    patches = extract_patches(panorama, VIEWS, backend, antialias)
    assert patches.dtype == np.float32
    expected = np.stack([smooth(camera.directions()) for camera in VIEWS])
    # Averaging over a pixel this coarse bends the steepest function a little; OpenCV's coordinates are 1/64 pixel off at most.
    assert np.abs(patches - expected).max() < (0.6 if antialias else 0.05)


@pytest.mark.parametrize(("backend", "mean", "largest"), [("opencv", 2.0, 14), ("torch", 0.26, 0.51), ("py360convert", 2.0, 14)])
def test_backends_agree_with_an_exact_sampler_on_noise(backend: str, mean: float, largest: float) -> None:
    patches = extract_patches(GREY, VIEWS, backend, antialias=False)
    difference = np.abs(patches - np.stack([exact(GREY, camera) for camera in VIEWS]))
    assert patches.dtype == np.uint8
    # On white noise neighbours differ by up to 255, so a coordinate rounded to 1/32 pixel costs up to 2 x 255 / 64 and a half.
    assert difference.mean() < mean
    assert difference.max() < largest


def test_py360convert_finds_the_same_pixels() -> None:
    ours, theirs = (extract_patches(GREY, VIEWS, backend, antialias=False).astype(int) for backend in ("opencv", "py360convert"))
    assert (ours != theirs).mean() < 0.005  # its float32 coordinates round differently now and then


def test_float32_coordinates_are_good_to_a_hundredth_of_a_pixel_at_16k() -> None:
    height, width = 8192, 16384
    for camera in layouts.random(200, 12, np.random.default_rng(3)) + VIEWS:
        column, row = erp_coordinates(camera, height, width)
        expected_column, expected_row = directions_to_erp(camera.directions(), height, width)
        turned = (column - expected_column + width / 2) % width - width / 2
        # A column is narrower off the equator; displacement on the sphere is what counts.
        on_sphere = turned * np.sin(np.pi * expected_row / height)
        assert np.hypot(on_sphere, row - expected_row).max() < 0.01


def test_seam_and_poles_leave_no_trace() -> None:
    """Turning the panorama by half its width and the camera with it gives the same patch, up to the rounding of coordinates."""
    half = np.roll(GREY, 96, axis=1)
    for pitch in (0.0, 0.7, np.pi / 2):
        for antialias in (True, False):
            seen = extract_patches(GREY, (Camera.looking(64, 64, 1.5, np.pi, pitch),), antialias=antialias).astype(int)
            turned = extract_patches(half, (Camera.looking(64, 64, 1.5, 0.0, pitch),), antialias=antialias).astype(int)
            assert np.abs(seen - turned).mean() < 0.5
            assert (np.abs(seen - turned) > 12).mean() < 0.002


@pytest.mark.parametrize(("size", "least_gain"), [(96, 3), (64, 5), (40, 5)])
def test_antialiasing_comes_nearer_to_supersampling(size: int, least_gain: float) -> None:
    """Blurred noise has detail near the pixel limit everywhere, as photographs of foliage do."""
    noise = np.random.default_rng(0).normal(size=(384, 768, 3)).astype(np.float32)
    panorama = np.clip(127 + 90 * resample.binomial_sphere(noise, 5, 0), 0, 255).astype(np.uint8)
    cameras = layouts.icosahedron(size)[::7]
    assert choose_prefilter(cameras[0], 384, 768) != Prefilter()
    truth = np.stack([supersampled(panorama, camera) for camera in cameras])
    gain = psnr(extract_patches(panorama, cameras), truth) - psnr(extract_patches(panorama, cameras, antialias=False), truth)
    assert gain > least_gain


def test_fine_patches_are_not_blurred() -> None:
    cameras = layouts.icosahedron(64)[:2]
    np.testing.assert_array_equal(extract_patches(GREY, cameras), extract_patches(GREY, cameras, antialias=False))


def test_each_camera_gets_its_own_filter_and_place() -> None:
    panorama = np.random.default_rng(0).integers(0, 256, (256, 512, 3), dtype=np.uint8)
    mixed = layouts.explicit(40, [(0, 0, fov, 0) for fov in (0.3, 2.0, 2.0, 0.3, 0.8, 2.6)])
    assert len({choose_prefilter(camera, 256, 512) for camera in mixed}) > 2
    alone = np.concatenate([extract_patches(panorama, (camera,)) for camera in mixed])
    np.testing.assert_array_equal(extract_patches(panorama, mixed), alone)


def test_long_stacks_are_split(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = extract_patches(GREY, VIEWS)
    monkeypatch.setattr(resample, "CV2_LIMIT", 200)  # four patches of 48 rows
    np.testing.assert_array_equal(extract_patches(GREY, VIEWS), whole)


@pytest.mark.parametrize("channels", [1, 2, 4, 7])
@pytest.mark.parametrize("antialias", [True, False])
def test_any_number_of_channels(channels: int, antialias: bool) -> None:
    panorama = np.random.default_rng(0).random((192, 384, channels)).astype(np.float32)
    patches = extract_patches(panorama, VIEWS, antialias=antialias)
    for c in range(channels):
        alone = extract_patches(panorama[..., c : c + 1], VIEWS, antialias=antialias)
        np.testing.assert_allclose(patches[..., c : c + 1], alone, atol=1e-6)


def test_nearest_gives_the_pixel_that_holds_the_direction() -> None:
    labels = np.arange(96 * 192, dtype=np.uint16).reshape(96, 192)
    patches = extract_nearest(labels, VIEWS)
    assert patches.dtype == np.uint16
    for patch, camera in zip(patches, VIEWS):
        column, row = directions_to_erp(camera.directions(), 96, 192)
        edge = np.minimum(np.abs(column - np.rint(column)), np.abs(row - np.rint(row))) < 1e-3
        expected = labels[np.minimum(row.astype(int), 95), column.astype(int) % 192]
        assert (patch == expected)[~edge].all()
    assert extract_nearest(np.zeros((96, 192, 3), bool), VIEWS).shape == (5, 48, 48, 3)


def test_what_cannot_be_sampled_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="known: opencv, torch, py360convert"):
        extract_patches(GREY, VIEWS, "openvc")
    with pytest.raises(ValueError, match="antialias=False"):
        extract_patches(GREY, VIEWS, "py360convert")
    with pytest.raises(ValueError, match="share one size"):
        extract_patches(GREY, (*VIEWS, Camera.looking(8, 8, 1.0)))
    with pytest.raises(ValueError, match=r"\(H, W, C\)"):
        extract_patches(GREY[..., 0], VIEWS)
    with pytest.raises(TypeError, match="float64"):
        extract_patches(GREY.astype(np.float64), VIEWS)
    monkeypatch.setattr(resample, "CV2_LIMIT", 100)
    with pytest.raises(ValueError, match="backend='torch'"):
        extract_patches(GREY, VIEWS, antialias=False)
