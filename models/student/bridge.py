"""A bridge: one stream asks the features of all tasks, without disturbing those of the other stream."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from models.student.configuration import StudentConfig
from models.student.layers import ChannelLayerNorm
from models.student.sphere import SphereConv2d
from models.student.tasks import Task


class Bridge(nn.Module):
    """X = S + Attention(S, K), B = X + MLP(X), K = all tasks' tokens [Conv3x3/2(d(T_t))].

    S are the tokens of the stream, T_t the feature of task t. Gradient truncation: d detaches T_t where t belongs to the other
    stream and ``truncate`` is set, so that this stream's losses teach it to read those features and never change them. It
    stands before the strided convolution, which would otherwise stay untrained.
    """

    def __init__(self, stream: str, tasks: Sequence[Task], config: StudentConfig) -> None:
        super().__init__()
        width = config.width
        self.heads = config.attention_heads
        self.foreign = {task.name for task in tasks if task.stream != stream} if config.truncates(stream) else set()
        self.reduce = nn.ModuleDict({task.name: SphereConv2d(width, width, 3, stride=2) for task in tasks})
        self.norm_query, self.norm_key, self.norm_mlp = (ChannelLayerNorm(width) for _ in range(3))
        self.query, self.key_value, self.project = (nn.Conv2d(width, size * width, 1) for size in (1, 2, 1))
        self.mlp = nn.Sequential(
            nn.Conv2d(width, config.mlp_ratio * width, 1), nn.GELU(), nn.Conv2d(config.mlp_ratio * width, width, 1)
        )

    def forward(self, stream: Tensor, features: Mapping[str, Tensor]) -> Tensor:
        """Maps (B, width, h, w) of the stream's, and of every task's feature of that shape."""
        reduced = [reduce(self._truncated(name, features[name])) for name, reduce in self.reduce.items()]
        tokens = torch.cat([maps.flatten(2) for maps in reduced], dim=2).unsqueeze(-1)  # (B, width, tokens, 1)
        keys, values = self.key_value(self.norm_key(tokens)).chunk(2, dim=1)
        query = self.query(self.norm_query(stream))
        found = scaled_dot_product_attention(self._split(query), self._split(keys), self._split(values))
        crossed = stream + self.project(found.transpose(2, 3).reshape(stream.shape))
        return crossed + self.mlp(self.norm_mlp(crossed))

    def _truncated(self, task: str, feature: Tensor) -> Tensor:
        return feature.detach() if task in self.foreign else feature

    def _split(self, maps: Tensor) -> Tensor:
        """(B, heads, tokens, width / heads)."""
        return maps.flatten(2).unflatten(1, (self.heads, -1)).transpose(2, 3)
