"""What a turn of the camera about the vertical axis does to the outputs: by design exact, up to the strides."""

import pytest
import torch

from tests.models.student.support import images, roll_angle, student, yaw

EXACT = ["segformer", "convnext", "pvt_v2"]
PERIOD = 32  # coarsest stride of these backbones; also a multiple of two tokens
TOLERANCE = {"atol": 1e-7, "rtol": 1e-7}
PIXELS = images(dtype=torch.float64)


def predict(model, pixels, frame=None):
    with torch.inference_mode():
        return model(pixels, frame)


@pytest.mark.parametrize("kind", EXACT)
def test_with_its_frame_a_rolled_panorama_gives_the_same_vectors_rolled(kind):
    model, pixels = student(kind).double(), PIXELS
    here = predict(model, pixels)
    for columns in (PERIOD, 3 * PERIOD):
        rolled = predict(model, pixels.roll(columns, -1), yaw(-roll_angle(columns)))
        for name in ("depth", "semantics", "normals"):
            torch.testing.assert_close(rolled[name], here[name].roll(columns, -1), **TOLERANCE)
        for name, answer in here.preliminary.items():
            torch.testing.assert_close(rolled.preliminary[name], answer.roll(columns // 8, -1), **TOLERANCE)


def test_without_a_frame_the_invariant_stream_alone_is_indifferent_to_direction():
    model, pixels = student(bridges=False).double(), PIXELS
    here, rolled = predict(model, pixels), predict(model, pixels.roll(PERIOD, -1))
    for name in ("depth", "semantics"):
        torch.testing.assert_close(rolled[name], here[name].roll(PERIOD, -1), **TOLERANCE)
    assert (rolled.normals - here.normals.roll(PERIOD, -1)).abs().max() > 1e-2


@pytest.mark.parametrize("modulation", ["none", "constant"])
def test_in_local_frames_normals_turn_with_the_roll_by_themselves(modulation):
    model, pixels = student(vector_frame="local", modulation=modulation).double(), PIXELS
    here, rolled = predict(model, pixels), predict(model, pixels.roll(PERIOD, -1))
    turned = torch.einsum("ij,bjhw->bihw", yaw(roll_angle(PERIOD))[0], here.normals)
    torch.testing.assert_close(rolled.normals, turned.roll(PERIOD, -1), **TOLERANCE)
    torch.testing.assert_close(rolled.depth, here.depth.roll(PERIOD, -1), **TOLERANCE)
    assert (rolled.normals - here.normals.roll(PERIOD, -1)).abs().max() > 1e-2


def test_the_frame_turns_local_vectors_into_the_world():
    model, pixels = student(vector_frame="local", modulation="none").double(), PIXELS
    rotation = yaw(0.7)
    turned = torch.einsum("bij,bjhw->bihw", rotation, predict(model, pixels).normals)
    torch.testing.assert_close(predict(model, pixels, rotation).normals, turned, **TOLERANCE)


def test_zero_padding_or_an_odd_roll_break_it():
    """So the tests above can fail."""
    pixels = PIXELS
    for model, columns in ((student(backbone_padding="zero").double(), PERIOD), (student().double(), PERIOD // 2)):
        here = predict(model, pixels)
        rolled = predict(model, pixels.roll(columns, -1), yaw(-roll_angle(columns)))
        assert (rolled.depth - here.depth.roll(columns, -1)).abs().max() > 1e-3


@pytest.mark.parametrize("kind", ["dinov2", "dinov3_vit", "swin"])
def test_behind_any_backbone_all_is_exact_up_to_two_tokens(kind, monkeypatch):
    model, pixels = student(kind).double(), PIXELS
    levels = model.backbone(pixels)
    seen = {"tokens": 0}
    monkeypatch.setattr(model.backbone, "forward", lambda _: [level.roll(seen["tokens"], -1) for level in levels])
    here = predict(model, pixels)
    for seen["tokens"] in (2, 6):
        columns = seen["tokens"] * model.config.token_stride
        rolled = predict(model, pixels, yaw(-roll_angle(columns)))
        for name in ("depth", "semantics", "normals"):
            torch.testing.assert_close(rolled[name], here[name].roll(columns, -1), **TOLERANCE)
