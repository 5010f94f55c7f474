"""The network says what PaGeR's own modules said with the same weights."""

import numpy as np
import pytest
import torch

from geometry.resampling.patches import extract_patches
from models.cubemap.configuration import SCENES, face_cameras
from models.cubemap.network import Said, normalised
from models.cubemap.pose import code_tensor
from models.cubemap.scale import log_scale
from tests.models.cubemap.reference import TINY, fixture, network

TOLERANCE = 2e-4


@pytest.fixture(scope="module")
def said() -> Said:
    with torch.no_grad():
        return network()(torch.from_numpy(fixture()["faces"]), face_cameras(TINY))


def apart(ours: torch.Tensor, name: str) -> float:
    theirs = fixture()[name]
    return float(np.abs(ours.numpy().reshape(theirs.shape) - theirs).max())


def test_the_tiny_network_has_the_released_parts() -> None:
    state = network().state_dict()
    assert (len(state), sum(value.numel() for value in state.values())) == (475, 1_118_026)


def test_tokens_of_cameras_and_patches() -> None:
    images = torch.from_numpy(fixture()["faces"])
    with torch.no_grad():
        cameras = network().model.cam_enc(code_tensor(face_cameras(TINY), 90.0, images))
        levels = network().model.backbone(images, cameras)
    assert apart(cameras, "cam_tokens") <= TOLERANCE
    for number, level in enumerate(levels):
        assert apart(level, f"tokens_{number}") <= TOLERANCE


def test_depth_confidence_normals_and_sky(said: Said) -> None:
    for name, ours in {"depth": said.log_depth, "depth_conf": said.confidence, "normals": said.normals, "sky": said.sky}.items():
        assert apart(ours, name) <= TOLERANCE, name


@pytest.mark.parametrize("scene", SCENES)
def test_metres(said: Said, scene: str) -> None:
    assert apart(said.log_metric[scene], f"scale_log_metric_field_{scene}") <= TOLERANCE
    theirs = fixture()[f"scale_log_metric_conf_{scene}"]
    # 1 + exp of up to 4.7: the last digits of the logarithm count a hundredfold.
    np.testing.assert_allclose(said.metric_confidence[scene].numpy().reshape(theirs.shape), theirs, rtol=TOLERANCE)
    assert apart(log_scale(said.log_metric[scene], said.log_depth)[0], f"scale_{scene}") <= TOLERANCE


def test_only_the_heads_that_are_asked_answer() -> None:
    with torch.no_grad():
        some = network()(torch.from_numpy(fixture()["faces"]), face_cameras(TINY), ["outdoor"])
    assert list(some.log_metric) == ["outdoor"]


def test_faces_are_cut_as_released_weights_know_them() -> None:
    panorama = fixture()["erp_input"].astype(np.float32)
    faces = torch.from_numpy(extract_patches(panorama, face_cameras(TINY), antialias=False, backend="torch"))
    assert apart(normalised(faces * 255, TINY), "faces") <= 1e-5 / 0.224  # 1e-5 before the division by the least deviation


def test_panoramas_are_independent_of_each_other() -> None:
    images = torch.from_numpy(fixture()["faces"])
    with torch.no_grad():
        both = network()(torch.cat([images.flip(-1), images]), face_cameras(TINY), [])
    assert float((both.log_depth[1].numpy() - fixture()["depth"][0, :, 0]).max()) <= TOLERANCE


def test_images_that_do_not_fit_are_refused() -> None:
    cameras = face_cameras(TINY)
    with pytest.raises(ValueError, match=r"6 views of 42x42 do not match 6 cameras of \[\(56, 56\)\]"):
        network()(torch.zeros(1, 6, 3, 42, 42), cameras)
    with pytest.raises(ValueError, match=r"expected \(panoramas, views, 3, height, width\)"):
        network()(torch.zeros(6, 3, 56, 56), cameras)
