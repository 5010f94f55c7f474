"""The losses are what they say, and a small network learns a room."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from models.cubemap.configuration import face_cameras, small_config
from models.cubemap.losses import Truth, anchor_loss, cubemap_losses
from models.cubemap.network import CubemapNetwork, Said, initialise
from models.cubemap.outputs import compose, world_normals


def test_losses_in_float64() -> None:
    rng = np.random.default_rng(0)
    shape = (2, 6, 8, 8)
    log_z, said_z, conf = rng.normal(size=shape), rng.normal(size=shape), 1 + rng.exponential(size=shape)
    valid = rng.random(shape) > 0.3
    metric = {scene: rng.normal(size=(2, 6, 4, 4)) for scene in ("indoor", "outdoor")}
    logits, sky = rng.normal(size=shape), rng.random(shape)
    normals, true = (one / np.linalg.norm(one, axis=2, keepdims=True) for one in rng.normal(size=(2, 2, 6, 3, 8, 8)))
    tensors = [torch.from_numpy(one) for one in (said_z, conf, logits)]
    said = Said(tensors[0], tensors[1], None, tensors[2], {scene: torch.from_numpy(one) for scene, one in metric.items()})
    hidden = np.where(valid, log_z, np.nan)
    truth = Truth(
        torch.from_numpy(hidden),
        torch.from_numpy(valid),
        torch.tensor([True, False]),
        torch.from_numpy(true),
        torch.from_numpy(sky),
    )
    terms = cubemap_losses(said, torch.from_numpy(normals), truth)

    deviation = []
    for each in range(2):
        differences = np.sort((said_z - log_z)[each][valid[each]])
        deviation.append(np.abs((said_z - log_z)[each] - differences[(len(differences) - 1) // 2]))
    assert float(terms["depth"]) == pytest.approx((conf * np.stack(deviation) - 0.2 * np.log(conf))[valid].mean(), rel=1e-5)
    cells = np.moveaxis(hidden.reshape(2, 6, 4, 2, 4, 2), 3, 4).reshape(2, 6, 4, 4, 4)
    enough = np.isfinite(cells).sum(-1) >= 2
    pooled = np.nanmean(np.where(enough[..., None], cells, 0), axis=-1)
    scale = [np.abs(metric[scene][each] - pooled[each])[enough[each]].mean() for each, scene in ((0, "outdoor"), (1, "indoor"))]
    assert float(terms["scale"]) == pytest.approx(sum(scale), rel=1e-5)
    assert float(terms["normals"]) == pytest.approx((1 - (normals * true).sum(2))[valid].mean(), rel=1e-6)
    p = 1 / (1 + np.exp(-logits))
    assert float(terms["sky"]) == pytest.approx(-(sky * np.log(p) + (1 - sky) * np.log(1 - p)).mean(), rel=1e-5)


def test_a_factor_of_a_panorama_costs_nothing_and_nothing_valid_costs_nothing() -> None:
    log_z = torch.randn(1, 6, 4, 4, generator=torch.Generator().manual_seed(0))
    said = log_z.clone().requires_grad_()
    truth = Truth(log_z + 3, torch.ones_like(log_z, dtype=torch.bool), torch.tensor([True]))
    assert float(cubemap_losses(Said(said, torch.ones_like(log_z)), None, truth)["depth"].detach()) < 1e-6
    term = cubemap_losses(Said(said, torch.ones_like(log_z)), None, replace(truth, weight=torch.zeros_like(truth.weight)))[
        "depth"
    ]
    term.backward()
    assert float(term.detach()) == 0
    assert (said.grad == 0).all()


def test_the_factor_of_a_panorama_is_kept_where_prediction_does_not_clamp() -> None:
    log_z = torch.linspace(-1, 1, 96).reshape(1, 6, 4, 4)
    counts = torch.ones_like(log_z, dtype=torch.bool)
    shifts = torch.tensor([-0.9, 0.0, 0.9, 3.0], requires_grad=True)
    losses = torch.stack([anchor_loss(log_z + shift, counts) for shift in shifts])
    assert losses.tolist() == pytest.approx([0, 0, 0, 2], abs=1e-6)
    losses.sum().backward()
    assert shifts.grad.tolist() == pytest.approx([0, 0, 0, 1])
    assert float(anchor_loss(log_z + 3, ~counts)) == 0


def room(size: int) -> tuple[torch.Tensor, Truth]:
    """A box of 4 x 3 x 6 m around the camera, its walls painted by where they face: images and truth of one panorama."""
    config = small_config(size)
    half, images, logs, normals = np.array([2.0, 1.5, 3.0]), [], [], []
    for camera in face_cameras(config):
        directions = camera.directions()
        reach = half / np.abs(directions)
        wall = reach.argmin(axis=-1)
        distance = reach.min(axis=-1)
        normal = -np.sign(directions) * (wall[..., None] == np.arange(3))
        logs.append(np.log(distance * camera.rays()[..., 2]))
        normals.append(np.moveaxis(normal, -1, 0))
        images.append(np.moveaxis(normal + 0.3 * np.sin(3 * directions * distance[..., None]), -1, 0))
    log_z = torch.from_numpy(np.stack(logs)[None]).float()
    sky = torch.from_numpy(np.stack([camera.directions()[..., 1] < -0.9 for camera in face_cameras(config)])[None]).float()
    true = torch.from_numpy(np.stack(normals)[None]).float()
    truth = Truth(log_z, torch.ones_like(log_z, dtype=torch.bool), torch.tensor([False]), true, sky)
    return torch.from_numpy(np.stack(images)[None]).float(), truth


@pytest.mark.slow
def test_a_small_network_learns_a_room() -> None:
    config = replace(small_config(24), width=64, ffn_width=128, blocks=4, levels=(0, 1, 2, 3))
    network, cameras = CubemapNetwork(config), face_cameras(config)
    initialise(network, torch.Generator().manual_seed(0))
    images, truth = room(24)
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3)
    for step in range(50):
        said = network(images, cameras)
        terms = cubemap_losses(said, world_normals(said.normals, cameras, config.conventions), truth)
        if step == 0:
            before = {name: float(term.detach()) for name, term in terms.items()}
        optimizer.zero_grad()
        torch.stack(list(terms.values())).sum().backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
    idle = {name for name, one in network.named_parameters() if one.grad is None}
    assert idle == {"model.backbone.pretrained.camera_token"}
    for name, term in terms.items():
        assert float(term.detach()) < 0.3 * before[name], name
    with torch.no_grad():
        geometry = compose(network(images, cameras), cameras, config.conventions, "indoor")
    truth_distance = np.exp(truth.log_depth[0].numpy()) / np.stack([one.rays()[..., 2] for one in cameras])
    assert (np.abs(geometry.distance - truth_distance) / truth_distance).mean() < 0.15, "metric AbsRel"
    angle = np.degrees(np.arccos((geometry.normals * truth.normals[0].movedim(1, -1).numpy()).sum(-1).clip(-1, 1)))
    assert angle.mean() < 15


def test_the_small_network_has_the_size_of_the_demo_teacher() -> None:
    with torch.device("meta"):
        network = CubemapNetwork(small_config())
    assert sum(one.numel() for one in network.parameters()) == pytest.approx(2.8e6, rel=0.03)


def test_metres_do_not_disturb_shape() -> None:
    network = CubemapNetwork(small_config(16))
    initialise(network, torch.Generator().manual_seed(0))
    said = network(torch.randn(1, 6, 3, 16, 16, generator=torch.Generator().manual_seed(1)), face_cameras(network.config))
    sum(maps.sum() for maps in said.log_metric.values()).backward()
    reached = {name.split(".heads.")[-1].split(".")[0] for name, one in network.named_parameters() if one.grad is not None}
    assert reached == {"scale_indoor", "scale_outdoor"}


def test_maps_of_a_fresh_network_stay_near_the_unit() -> None:
    """Those of four levels are added up on their way through a head, so the last may be a few times the first, not twenty."""
    network = CubemapNetwork(small_config(48))
    initialise(network, torch.Generator().manual_seed(0))
    seen: dict[str, float] = {}
    for name, module in network.named_modules():
        if name.endswith("output_conv2.0"):
            module.register_forward_hook(lambda _module, given, _said, name=name: seen.update({name: float(given[0].std())}))
    with torch.no_grad():
        network(torch.randn(1, 6, 3, 48, 48, generator=torch.Generator().manual_seed(1)), face_cameras(network.config))
    assert len(seen) == 4, "depth, normals and both scales"
    assert all(0.5 < deviation < 4 for deviation in seen.values()), seen
