"""The parts together: a student learns a room by heart, in float32 and in bfloat16; the bounds are those of a constant answer."""

import numpy as np
import pytest
import torch

from geometry.directions import erp_directions
from models.student import StudentModel
from models.student.configuration import tiny_config
from models.student.labels import Label
from models.student.losses import LossSettings, student_losses

H, W = 32, 64


def box_room(half=(2.0, 1.2, 3.0)):
    """Pixels and labels of a box seen from its centre, in closed form."""
    rays = erp_directions(H, W)
    distances = np.array(half) / np.maximum(np.abs(rays), 1e-9)
    axis, depth = distances.argmin(-1), distances.min(-1)
    normals = -np.sign(np.take_along_axis(rays, axis[..., None], -1)) * np.eye(3)[axis]
    points = rays * depth[..., None]
    image = 0.5 + 0.25 * np.sin(points * 4) * (1 + axis[..., None]) / 3
    whole = {"depth": depth[..., None], "normals": normals, "semantics": axis[..., None], "points": points}
    valid = torch.ones(1, 1, H, W, dtype=torch.bool)
    labels = {
        name: Label(torch.from_numpy(array.astype(np.float32)).permute(2, 0, 1)[None], valid) for name, array in whole.items()
    }
    labels["semantics"] = Label(labels["semantics"].value.long(), valid)
    return torch.from_numpy(image.astype(np.float32)).permute(2, 0, 1)[None], labels


def train(model, pixels, labels, steps, dtype=torch.float32):
    """Total loss of each step."""
    optimizer = torch.optim.AdamW(model.train().parameters(), lr=3e-3, fused=True)
    totals = []
    for _ in range(steps):
        with torch.autocast("cpu", dtype=dtype, enabled=dtype != torch.float32):
            output = model(pixels)
        terms = student_losses(output, labels, LossSettings(depth_unit=2.0))
        assert all(term.isfinite() and term.dtype == torch.float32 for term in terms.values()), terms
        total = sum(terms.values())
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        totals.append(float(total.detach()))
    return totals


@pytest.mark.slow
def test_a_few_steps_in_bfloat16_help_too():
    torch.manual_seed(0)
    totals = train(StudentModel(tiny_config("convnext")), *box_room(), steps=10, dtype=torch.bfloat16)
    assert totals[-1] < totals[0]


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_a_room_is_learnt_by_heart(seed):
    """Whatever the first weights: a decoder that has to find the mean answer first often ends with that."""
    torch.manual_seed(seed)
    pixels, labels = box_room()
    model = StudentModel(tiny_config("convnext"))
    totals = train(model, pixels, labels, steps=45)
    assert totals[-1] < 0.5 * totals[0]
    with torch.inference_mode():
        output = model.eval()(pixels)
    depth = labels["depth"].value
    assert float(((output.depth - depth).abs() / depth).mean()) < 0.15  # a constant depth is off by 0.27
    angle = torch.rad2deg(torch.acos((output.normals * labels["normals"].value).sum(1).clamp(-1, 1)))
    assert float(angle.mean()) < 20
    assert float((output.semantics.argmax(1) == labels["semantics"].value[:, 0]).float().mean()) > 0.8


def test_what_constant_depth_would_give():
    """Keeps the bound above honest."""
    depth = box_room()[1]["depth"].value
    best = min(float(((d - depth).abs() / depth).mean()) for d in torch.linspace(1, 4, 61))
    assert best > 0.2
