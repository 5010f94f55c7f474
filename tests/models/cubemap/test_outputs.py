"""Raw answers become distances, normals and sky: against closed forms and against PaGeR's own panoramas."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from geometry.layouts import cubemap, turned
from models.cubemap.configuration import RELEASED, Conventions, face_cameras
from models.cubemap.filled import filled
from models.cubemap.network import Said
from models.cubemap.outputs import compose, fields
from models.cubemap.skies import SkySettings, blended_sky, specks
from tests.models.cubemap.reference import TINY, fixture

OWN = Conventions()


def theirs() -> Said:
    """What the fixture's network said."""
    data = {name: torch.from_numpy(value) for name, value in fixture().items()}
    metric = {scene: data[f"scale_log_metric_field_{scene}"][:, :, 0] for scene in ("indoor", "outdoor")}
    return Said(data["depth"][:, :, 0], data["depth_conf"][:, :, 0], data["normals"], data["sky"][:, :, 0], metric, metric)


def stitched(faces: np.ndarray, rows: int, columns: int) -> tuple[np.ndarray, np.ndarray]:
    """Faces (6, n, n[, C]) as an ERP image the way of pytorch360convert's c2e, and where that is not near an edge of the cube.

    Its outermost columns and rows look along -180, 180, 90 and -90 degrees, and it reads a face half a pixel further right and
    down than where it looks.
    """
    longitude, latitude = np.meshgrid(np.linspace(-np.pi, np.pi, columns), np.linspace(np.pi / 2, -np.pi / 2, rows))
    x, y, z = np.cos(latitude) * np.sin(longitude), -np.sin(latitude), np.cos(latitude) * np.cos(longitude)
    nearness = np.stack([z, x, -z, -x, -y, y]).round(9)
    face = nearness.argmax(axis=0)
    right = np.choose(face, [x, -z, -x, z, x, x])
    down = np.choose(face, [y, y, y, y, z, -z])
    side = faces.shape[1]
    at = np.stack([down, right]) / nearness.max(axis=0)
    at = (at + 1) / 2 * side
    inside = ((at >= 1) & (at <= side - 1)).all(axis=0)
    low = np.clip(at.astype(int), 0, side - 2)
    part = at - low
    corners = [faces[face, low[0] + i, low[1] + j] for i in (0, 1) for j in (0, 1)]
    weights = [vertical * across for vertical in (1 - part[0], part[0]) for across in (1 - part[1], part[1])]
    extra = (None,) * (faces.ndim - 3)
    return sum(weight[(..., *extra)] * corner for weight, corner in zip(weights, corners)), inside


def test_distances_are_those_of_pagers_panorama() -> None:
    geometry = compose(theirs(), face_cameras(TINY), replace(RELEASED, ray_length="corner"), "indoor")
    panorama, inside = stitched(geometry.distance, 64, 128)
    np.testing.assert_allclose(panorama[inside], fixture()["erp_depth_nosky"][0][inside], rtol=2e-5)
    assert inside.mean() > 0.9
    assert geometry.metric
    assert geometry.notes["log_scale"] == pytest.approx(float(fixture()["scale_indoor"][0, 0]), abs=1e-5)


def test_filled_sky_is_that_of_pagers_panorama() -> None:
    conventions = replace(RELEASED, ray_length="corner")
    geometry = compose(theirs(), face_cameras(TINY), conventions, "indoor")
    distance, normals = filled(geometry, conventions)
    panorama, inside = stitched(distance, 64, 128)
    np.testing.assert_allclose(panorama[inside], fixture()["erp_depth"][0][inside], rtol=2e-5)
    length = np.linalg.norm(normals, axis=-1)
    np.testing.assert_allclose(length[geometry.sky == 1], 0)
    np.testing.assert_allclose(length[geometry.sky < 0.999], 1, rtol=1e-5)


def test_normals_are_those_of_pagers_panorama() -> None:
    panorama, inside = stitched(theirs().normals[0].permute(0, 2, 3, 1).numpy(), 64, 128)
    said = Said(normals=torch.from_numpy(panorama).permute(2, 0, 1)[None, None])
    ours = compose(said, cubemap(8)[:1], RELEASED).normals[0]
    right, down, forward = np.moveaxis(ours, -1, 0)
    upstream = fixture()["erp_normals"]  # forward, up, left
    np.testing.assert_allclose(np.stack([forward, -down, -right])[:, inside], upstream[:, inside], atol=1e-4)


def test_a_plane_has_the_distance_of_a_plane() -> None:
    """z = 2 everywhere is a cube of 4 units around the camera."""
    cameras = cubemap(16)
    distance = compose(Said(torch.full((1, 6, 16, 16), np.log(2.0)), torch.full((1, 6, 16, 16), 4.0)), cameras, OWN)
    for camera, values in zip(cameras, distance.distance):
        np.testing.assert_allclose(np.abs(camera.directions() * values[..., None]).max(-1), 2, rtol=1e-6)
    np.testing.assert_allclose(distance.confidence, 0.75)
    assert not distance.metric
    assert fields(distance)["depth"].unit == "shared"


def test_the_two_lengths_of_a_ray_differ_by_a_quarter_of_a_percent_in_a_corner() -> None:
    cameras = face_cameras(replace(TINY, face_size=504))[:1]
    said = Said(torch.zeros(1, 1, 504, 504), torch.full((1, 1, 504, 504), 2.0))
    exact, corner = (compose(said, cameras, replace(RELEASED, ray_length=name)).distance[0] for name in ("exact", "corner"))
    assert 0.0013 < np.abs(corner / exact - 1).max() < 0.0027
    assert exact[0, 0] == pytest.approx(3**0.5, rel=1e-6)


def test_depth_is_clamped_before_the_factor() -> None:
    log_depth = torch.full((1, 6, 4, 4), 9.0)
    log_depth[0, :, 0, 0] = -9
    said = Said(log_depth, torch.full_like(log_depth, 2), log_metric={"outdoor": torch.full((1, 6, 1, 1), np.log(3.0) + 7.875)})
    cameras = cubemap(4)
    # 9 - 18 / 16 = 7.875 is the mean of a cell, so log s = log 3.
    values = compose(said, cameras, OWN, "outdoor").distance * np.stack([one.rays()[..., 2] for one in cameras])
    np.testing.assert_allclose(values[:, 1:], 3 * 75, rtol=1e-5)
    np.testing.assert_allclose(values[:, 0, 0], 3 * 0.01, rtol=1e-5)


@pytest.mark.parametrize(
    ("axes", "channels"),
    [("right-down-forward", (1, 2, 3)), ("forward-up-left", (3, -2, -1)), ("forward-up-right", (3, -2, 1))],
)
def test_normals_come_into_the_world_whatever_the_axes_and_the_turn(axes: str, channels: tuple[int, ...]) -> None:
    """A normal of right 1, down 2, forward 3, as each convention says it; a rig turned by 90 degrees has ahead to the right."""
    raw = torch.tensor(channels, dtype=torch.float32).reshape(1, 1, 3, 1, 1).expand(1, 6, 3, 4, 4)
    for cameras, truth in ((cubemap(4), (1, 2, 3)), (turned(cubemap(4), np.pi / 2), (3, 2, -1))):
        geometry = compose(Said(normals=raw), cameras, replace(OWN, normal_axes=axes))
        np.testing.assert_allclose(geometry.normals[2, 1, 1], np.array(truth) / 14**0.5, atol=1e-6)
        assert fields(geometry)["normals"].frame == "world"


def test_sky_is_opened_and_softened() -> None:
    probability = torch.zeros(6, 16, 16)
    probability[0] = 0.9
    probability[1, 4:12, 4:12] = 0.3
    probability[2, 4:6, 4:6] = 0.9  # a speck
    sky = blended_sky(probability, SkySettings(opening=5))
    assert (sky[0] == 1).all()
    torch.testing.assert_close(sky[1, 4:12, 4:12], torch.full((8, 8), 0.5))
    assert (sky[2] == 0).all()
    assert specks(probability, SkySettings()).nonzero().tolist() == [[2, i, j] for i in (4, 5) for j in (4, 5)]
    assert (blended_sky(probability, SkySettings(opening=1))[2, 4:6, 4:6] == 1).all()
    probability[:2] = 0
    assert (blended_sky(probability, SkySettings(opening=1)) == 0).all(), "4 of 1536 pixels are no sky"


def test_killed_specks_have_the_least_distance_around() -> None:
    logits = torch.full((1, 6, 16, 16), -9.0)
    logits[0, 0], logits[0, 2, 4, 4] = 9, 9
    log_depth = torch.zeros(1, 6, 16, 16)
    log_depth[0, 2, 4, 4] = 3
    geometry = compose(Said(log_depth, torch.full_like(log_depth, 2), sky=logits), cubemap(16), OWN)
    distance, _ = filled(geometry, OWN)
    around = geometry.distance[2, 2:7, 2:7]
    assert distance[2, 4, 4] == pytest.approx(around.min())
    np.testing.assert_allclose(distance[0], 75, rtol=1e-6)
    assert fields(geometry)["sky"].values.max() == 1
    assert geometry.notes["sky_share"] == pytest.approx(257 / 1536)


def test_what_cannot_be_composed_is_refused() -> None:
    said = theirs()
    with pytest.raises(ValueError, match=r"no scale head for 'indoor' was asked, only for: none"):
        compose(Said(said.log_depth, said.confidence, log_metric={}), face_cameras(TINY), RELEASED, "indoor")
    two = said.log_depth.expand(2, -1, -1, -1)
    with pytest.raises(ValueError, match="one panorama, got 2"):
        compose(Said(two, two), face_cameras(TINY), RELEASED)
    with pytest.raises(ValueError, match="odd number of pixels"):
        SkySettings(opening=4)
    with pytest.raises(ValueError, match="take less softness"):
        SkySettings(softness=0.4)
