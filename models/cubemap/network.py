"""The network as a whole: views around one point -> depth, normals, sky, and the factor to metres, in one pass.

Own implementation of PaGeR (arXiv 2605.26368) on Depth Anything 3 (arXiv 2511.10647), from a description of both. Modules have
the names of the released weights, so that these load.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from geometry.cameras import Camera
from models.cubemap.backbone import Backbone
from models.cubemap.configuration import SCENES, CubemapConfig, Scene
from models.cubemap.dpt import Dense, DenseHead, Tokens
from models.cubemap.padding import PLAIN, Borders, cube_borders
from models.cubemap.pose import CameraEncoder, code_tensor
from models.cubemap.scale import ScaleHead
from models.cubemap.sky import SkyHead

AFTER_RELU = (".conv1", ".conv2", "output_conv2.2", "fuse.2")
"""Ends of the names of the convolutions that a ReLU comes before."""
FIRST_ANSWER = 0.03
"""How much smaller than others the last layers of a fresh network are."""


@dataclass(frozen=True, eq=False)
class Said:
    """What the network says of B panoramas of S views of h x w pixels; None, or nothing, where it has no such head.

    log_depth : (B, S, h, w)
        log z along the optical axis, up to one factor a panorama.
    confidence : (B, S, h, w)
        From 1 upwards.
    normals : (B, S, 3, h, w)
        As they came: neither unit nor in this project's axes.
    sky : (B, S, h, w), logits
    log_metric, metric_confidence : scene -> (B, S, h / k, w / k)
        log z in metres as the scale head of indoor or outdoor scenes says it, and its confidence.
    """

    log_depth: Tensor | None = None
    confidence: Tensor | None = None
    normals: Tensor | None = None
    sky: Tensor | None = None
    log_metric: Mapping[Scene, Tensor] | None = None
    metric_confidence: Mapping[Scene, Tensor] | None = None


class Heads(nn.Module):
    """All heads, by their released names."""

    def __init__(self, config: CubemapConfig) -> None:
        super().__init__()
        self.config = config
        inputs, channels, features = 2 * config.width, config.channels, config.features
        made: dict[str, nn.Module] = {}
        for name in config.modalities:
            if name in ("depth", "normals"):
                made[name] = DenseHead(name, inputs, channels, features, outputs=2 if name == "depth" else 3)
            elif name == "sky":
                made[name] = SkyHead(inputs, features // 2)
            else:
                made[name] = ScaleHead(inputs, channels, features)
        self.heads = nn.ModuleDict(made)

    def forward(self, tokens: Tokens, views: int, borders: Borders, scenes: Sequence[Scene]) -> Said:
        """Answers to B * S views, ``views`` being S."""

        def by_panorama(maps: Tensor) -> Tensor:
            return maps.unflatten(0, (-1, views))

        size = (tokens.rows * self.config.patch, tokens.columns * self.config.patch)
        normals = by_panorama(self.heads["normals"](tokens, size, borders).answer) if "normals" in self.heads else None
        if "depth" not in self.heads:
            return Said(normals=normals)
        depth: Dense = self.heads["depth"](tokens, size, borders)
        log_depth, confidence = by_panorama(depth.answer).unbind(2)
        sky = by_panorama(self.heads["sky"](tokens, depth.neck, size, borders))[:, :, 0] if "sky" in self.heads else None
        coarse = (size[0] // self.config.scale_downsample, size[1] // self.config.scale_downsample)
        metric = {scene: by_panorama(self.heads[f"scale_{scene}"](tokens, depth, coarse, borders)) for scene in scenes}
        return Said(
            log_depth,
            1 + confidence.exp(),
            normals,
            sky,
            {scene: maps[:, :, 0] for scene, maps in metric.items()},
            {scene: 1 + maps[:, :, 1].exp() for scene, maps in metric.items()},
        )


class Inner(nn.Module):
    """What :class:`CubemapNetwork` holds under the released name ``model``."""

    def __init__(self, config: CubemapConfig) -> None:
        super().__init__()
        self.backbone = Backbone(config)
        self.cam_enc = CameraEncoder(config.width, config.camera_blocks, config.camera_heads)
        self.head = Heads(config)


class CubemapNetwork(nn.Module):
    """Panoramic geometry in one pass. See :class:`models.cubemap.configuration.CubemapConfig`."""

    def __init__(self, config: CubemapConfig) -> None:
        super().__init__()
        self.config = config
        self.model = Inner(config)

    def forward(self, images: Tensor, cameras: Sequence[Camera], scenes: Sequence[Scene] = SCENES) -> Said:
        """Predict.

        Parameters
        ----------
        images : (B, S, 3, h, w) float
            Normalised by the config's mean and deviation; see :func:`normalised`.
        cameras : S cameras of h x w pixels, in the order of the images
            The first one tells what is ahead; normals are relative to the world in which it looks as it does. With cube padding
            the views must see the whole sphere; six faces as :func:`models.cubemap.configuration.face_cameras` cuts them are
            what released weights know.
        scenes
            Scale heads to ask, of those that there are.

        Raises
        ------
        ValueError
            Images do not match the cameras or the patch.
        """
        self._check(images, cameras)
        told = self.config.conventions
        codes = code_tensor(cameras, told.told_fov, images).expand(len(images), -1, -1)
        features = self.model.backbone(images, self.model.cam_enc(codes))
        rows, columns = (side // self.config.patch for side in images.shape[-2:])
        tokens = Tokens([one.flatten(0, 1) for one in features], rows, columns, columns / rows)
        borders = cube_borders(cameras, told.told_fov, told.resizing_fov) if self.config.cube_padding else PLAIN
        asked = [scene for scene in self.config.scenes if scene in scenes]
        said: Said = self.model.head(tokens, len(cameras), borders, asked)
        return said

    def _check(self, images: Tensor, cameras: Sequence[Camera]) -> None:
        if images.ndim != 5 or images.shape[2] != 3:
            raise ValueError(f"images: expected (panoramas, views, 3, height, width), got {tuple(images.shape)}")
        views, height, width = images.shape[1], *images.shape[-2:]
        sizes = sorted({(camera.height, camera.width) for camera in cameras})
        if views != len(cameras) or sizes != [(height, width)]:
            raise ValueError(f"images: {views} views of {height}x{width} do not match {len(cameras)} cameras of {sizes}")
        patch = self.config.patch
        if height % patch or width % patch:
            near = [max(patch, round(side / patch) * patch) for side in (height, width)]
            raise ValueError(
                f"images: {height}x{width} is not a multiple of the patch, {patch}; cut views of {near[0]}x{near[1]}"
            )


def normalised(faces: Tensor, config: CubemapConfig) -> Tensor:
    """(..., h, w, 3) uint8 RGB -> (..., 3, h, w) float32 as the network takes it, on the same device."""
    mean, std = (torch.tensor(one, device=faces.device) for one in (config.conventions.image_mean, config.conventions.image_std))
    return ((faces.float() / 255 - mean) / std).movedim(-1, -3)


@torch.no_grad()
def initialise(network: CubemapNetwork, generator: torch.Generator) -> None:
    """Fresh weights to train from: a deviation of 1 / sqrt(inputs), and He's, sqrt(2) of it, where a ReLU comes before.

    With He's everywhere maps grew to twenty times the unit on their way through a head, and the coarsest drowned the others.
    Residual units of the heads start as identities, the adapters of the scale heads at zero, and last layers small, so that no
    answer is far off before anything is learned.
    """
    for name, module in network.named_modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
            gain = 2.0 if name.endswith(AFTER_RELU) else 1.0
            fan = module.weight[0].numel() if not isinstance(module, nn.ConvTranspose2d) else module.in_channels
            module.weight.normal_(0, (gain / fan) ** 0.5, generator=generator)
            if module.bias is not None:
                module.bias.zero_()
    inner = network.model.backbone.pretrained
    for parameter in (inner.cls_token, inner.pos_embed):
        parameter.normal_(0, 0.02, generator=generator)
    for name, parameter in network.model.head.named_parameters():
        if ".si_pyramid_proj." in name or name.endswith("conv2.weight"):
            parameter.zero_()
        elif name.endswith(("output_conv2.2.weight", "fuse.2.weight")):
            parameter.mul_(FIRST_ANSWER)
