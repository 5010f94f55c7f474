"""Compact networks after the peers' ideas, on the student's backbone, with its output and its continuation over the borders.

So what differs from the student is what lies between backbone and answers. As the student's, their last layers start at zero
and add to a coarse answer: without that, short trainings at these rates often end with one answer everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from transformers import PreTrainedModel

from models.student import StudentConfig, StudentModel
from models.student.backbone import Backbone
from models.student.decoder import Neck
from models.student.heads import TaskHead
from models.student.layers import ChannelLayerNorm, ZeroConv2d
from models.student.modeling import StudentOutput
from models.student.sphere import SphereConv2d, erp_rays, resize_sphere


class Peer(StudentModel):
    """Backbone, and what :meth:`decode` makes of its levels; units and checks are the student's."""

    def __init__(self, config: StudentConfig) -> None:
        PreTrainedModel.__init__(self, config)
        self.backbone = Backbone(config)
        self.register_buffer("mean", torch.tensor(config.image_mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(config.image_std).view(1, 3, 1, 1))
        self.build(config)
        self.post_init()

    def build(self, config: StudentConfig) -> None:
        """Make the layers behind the backbone."""
        raise NotImplementedError

    def decode(self, levels: Sequence[Tensor], height: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Answers (B, C, H, W) of every task, and the preliminary ones (B, C, h, w) of a network that has any."""
        raise NotImplementedError

    def forward(self, pixel_values: Tensor, frame: Tensor | None = None) -> StudentOutput:
        self._check(pixel_values)
        levels = self.backbone((pixel_values - self.mean) / self.std)
        said, early = self.decode(levels, pixel_values.shape[-2])
        return StudentOutput(**self._told(said), preliminary=self._told(early) or None)

    def _told(self, answers: dict[str, Tensor]) -> dict[str, Tensor]:
        return {
            task: self._in_units(task, answer, erp_rays(*answer.shape[-2:], answer.device)) for task, answer in answers.items()
        }


class DptDecoder(Neck):
    """The four levels at 4, 2, 1 and 1/2 of the token grid, fused from the coarsest on (DPT, arXiv 2103.13413), then a head."""

    def __init__(self, channels: Sequence[int], outputs: int, config: StudentConfig) -> None:
        super().__init__(config.width, config.neck_sizes, config.fusion_width)
        self.lift = nn.ModuleList(nn.Conv2d(size, config.width, 1) for size in channels)
        fusion, last = config.fusion_width, max(config.fusion_width // 4, 8)
        middle = max(fusion // 2, 16)  # as the student's decoder
        self.reduce = SphereConv2d(fusion, middle, 3)
        self.head = nn.Sequential(SphereConv2d(middle, last, 3), nn.GELU(), ZeroConv2d(last, outputs))
        self.first = nn.Conv2d(sum(channels), outputs, 1)

    def answer(self, levels: Sequence[Tensor], height: int) -> Tensor:
        """(B, outputs, height, 2 height)."""
        maps = [enter(scale(lift(level))) for enter, scale, lift, level in zip(self.enter, self.scales, self.lift, levels)]
        fused = maps.pop()
        for step in reversed(range(len(self.outer))):
            if step < len(self.inner):
                fused = fused + self.inner[step](maps[step])
            fused = self.project[step](resize_sphere(self.outer[step](fused), 2 * fused.shape[-2]))
        first = resize_sphere(self.first(torch.cat(list(levels), dim=1)), height)
        answer: Tensor = first + self.head(resize_sphere(self.reduce(fused), height))
        return answer


class PlainDpt(Peer):
    """One DPT decoder a task on the shared backbone: nothing passes between tasks."""

    def build(self, config: StudentConfig) -> None:
        tasks = [task for task in config.tasks if not task.auxiliary]
        channels = self.backbone.channels
        self.decoders = nn.ModuleDict({task.name: DptDecoder(channels, config.channels(task), config) for task in tasks})

    def decode(self, levels: Sequence[Tensor], height: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        return {name: decoder.answer(levels, height) for name, decoder in self.decoders.items()}, {}


class CrossTaskBlock(nn.Module):
    """X = T + Attention(T, K), T + MLP(X): the tokens of every task ask those of all tasks, which a strided convolution thins."""

    def __init__(self, width: int, heads: int, ratio: int, tasks: Sequence[str], stride: int) -> None:
        super().__init__()
        self.heads = heads
        self.reduce = nn.ModuleDict({task: SphereConv2d(width, width, 3, stride=stride) for task in tasks})
        self.norm_query, self.norm_key, self.norm_mlp = (ChannelLayerNorm(width) for _ in range(3))
        self.query, self.key_value, self.project = (nn.Conv2d(width, size * width, 1) for size in (1, 2, 1))
        self.mlp = nn.Sequential(nn.Conv2d(width, ratio * width, 1), nn.GELU(), nn.Conv2d(ratio * width, width, 1))

    def forward(self, features: dict[str, Tensor]) -> dict[str, Tensor]:
        """Maps (B, width, h, w) of every task, changed by what all say."""
        thin = torch.cat([reduce(features[task]).flatten(2) for task, reduce in self.reduce.items()], 2).unsqueeze(-1)
        keys, values = (self._split(part) for part in self.key_value(self.norm_key(thin)).chunk(2, dim=1))
        changed = {}
        for task, maps in features.items():
            found = scaled_dot_product_attention(self._split(self.query(self.norm_query(maps))), keys, values)
            crossed = maps + self.project(found.transpose(2, 3).reshape(maps.shape))
            changed[task] = crossed + self.mlp(self.norm_mlp(crossed))
        return changed

    def _split(self, maps: Tensor) -> Tensor:
        return maps.flatten(2).unflatten(1, (self.heads, -1)).transpose(2, 3)


class CrossTask(Peer):
    """After InvPT (arXiv 2203.07997): preliminary answers, attention over all tasks' tokens, and again at twice the resolution.

    Skips bring the backbone's first level to the finer stage. TaskPrompter asks across tasks within the backbone instead, which a
    small hierarchical one does not allow.
    """

    def build(self, config: StudentConfig) -> None:
        tasks = {task.name: config.channels(task) for task in config.tasks if not task.auxiliary}
        width, channels = config.width, self.backbone.channels
        self.join = nn.Conv2d(sum(channels), width, 1)
        self.first = nn.ModuleDict({name: TaskHead(width, outputs) for name, outputs in tasks.items()})
        self.blocks = nn.ModuleList(
            CrossTaskBlock(width, config.attention_heads, config.mlp_ratio, list(tasks), stride) for stride in (2, 4)
        )
        self.skip = nn.Conv2d(channels[0], width, 1)
        self.finer = nn.ModuleDict({name: SphereConv2d(width, width, 3) for name in tasks})
        self.final = nn.ModuleDict(
            {name: nn.Sequential(SphereConv2d(width, width, 3), nn.GELU(), ZeroConv2d(width, n)) for name, n in tasks.items()}
        )

    def decode(self, levels: Sequence[Tensor], height: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        joined = self.join(torch.cat(list(levels), dim=1))
        first = {name: head(joined) for name, head in self.first.items()}
        features = self.blocks[0]({name: joined + feature for name, (feature, _) in first.items()})
        fine = 2 * joined.shape[-2]
        skip = resize_sphere(self.skip(levels[0]), fine)
        features = {name: self.finer[name](resize_sphere(maps, fine)) + skip for name, maps in features.items()}
        answers = {name: self.final[name](maps) for name, maps in self.blocks[1](features).items()}
        early = {name: answer for name, (_, answer) in first.items()}
        return {
            name: resize_sphere(answer, height) + resize_sphere(early[name], height) for name, answer in answers.items()
        }, early
