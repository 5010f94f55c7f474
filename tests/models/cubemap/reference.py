"""What PaGeR's own modules said at a tiny width, and the weights that they had.

``data/pager_fixture.npz`` holds inputs and outputs of prs-eth/PaGeR at 99188f2 (Apache-2.0), run once where it can be installed,
and ``data/pager_keys.txt`` names and shapes of its unified checkpoint. Weights follow from their names, so no file holds them.
"""

import hashlib
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from models.cubemap.configuration import CubemapConfig
from models.cubemap.network import CubemapNetwork

DATA = Path(__file__).parent / "data"
TINY = CubemapConfig(
    width=64, blocks=8, heads=2, levels=(1, 3, 5, 7), alternate_from=3, ffn_width=176, camera_heads=2, channels=(8, 16, 32, 32),
    features=16, face_size=56,
)  # fmt: skip


@lru_cache(maxsize=1)
def fixture() -> dict[str, np.ndarray]:
    return dict(np.load(DATA / "pager_fixture.npz"))


def released_shapes() -> dict[str, tuple[int, ...]]:
    lines = (line.split() for line in (DATA / "pager_keys.txt").read_text().splitlines())
    return {name: tuple(int(side) for side in shape.split("x")) for name, shape in lines}


def tensor_of(name: str, shape: tuple[int, ...]) -> torch.Tensor:
    """The weight of that name in the fixture's network."""
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")
    values = np.random.default_rng(seed).standard_normal(shape)
    if name.endswith("gamma"):
        values = 0.2 * values
    elif name.endswith("weight") and ("norm" in name.split(".")[-2] or ".vit_norms." in name):
        values = 1 + 0.1 * values
    elif len(shape) >= 2 and not name.endswith(("cls_token", "camera_token", "pos_embed")):
        values = values / np.sqrt(np.prod(shape[1:]))
    else:
        values = 0.1 * values
    return torch.tensor(values, dtype=torch.float32)


def state_of(shapes: dict[str, tuple[int, ...]]) -> dict[str, torch.Tensor]:
    return {name: tensor_of(name, shape) for name, shape in shapes.items()}


@lru_cache(maxsize=1)
def network() -> CubemapNetwork:
    made = CubemapNetwork(TINY).eval()
    made.load_state_dict(state_of({name: tuple(value.shape) for name, value in made.state_dict().items()}))
    return made
