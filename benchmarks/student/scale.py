"""How large the experiments are: for two cores, or at full size for a GPU. The folder of an experiment knows its scale."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

FILE = "scale.json"


@dataclass(frozen=True)
class Scale:
    """Scenes and their labels, networks, and how they train.

    ``scenes`` panoramas of ``image`` rows; labels, training and evaluation have ``height`` rows. ``pipeline`` is the config that
    labels them, with ``views`` changed in it, and ``rendered`` besides where the views' labels are rendered. ``backbone`` is a
    tiny one, or the student's default; ``pretrained`` the folder of its weights. ``settings`` and learning ``rates`` by network.
    """

    scenes: int
    image: int
    height: int
    pipeline: str
    views: Mapping[str, Any]
    rendered: Mapping[str, Any]
    backbone: str | None
    pretrained: str | None
    settings: Mapping[str, Mapping[str, Any]]
    rates: Mapping[str, float]
    steps: int
    batch: int
    average: float
    frozen_steps: int = 0
    device: str = "cpu"
    precision: Literal["no", "bf16"] = "no"
    threads: int = 1


CPU = Scale(
    scenes=140,
    image=256,  # a view of 90 degrees then has as many pixels as the demo teacher's input
    height=64,
    pipeline="configs/demo.yaml",
    views={"project.patch_size": 128, "block_size": 16},
    rendered={"project.patch_size": 64},  # half as fine as the demo teacher's views, and twice as fine as the labels
    backbone="convnext",
    pretrained=None,
    settings={
        "student": {},
        "dpt": {"width": 18, "neck_sizes": (18, 18, 18, 18), "fusion_width": 18, "attention_heads": 2},
        "cross-task": {"width": 36, "attention_heads": 4, "mlp_ratio": 2},
    },
    rates={"student": 4e-3, "dpt": 4e-3, "cross-task": 4e-3},  # the best tried by benchmarks.student.rates
    steps=300,
    batch=4,
    average=0.97,
)
GPU = Scale(
    scenes=1500,
    image=2048,
    height=504,  # 36 patches of 14 pixels
    pipeline="configs/indoor.yaml",
    views={"block_size": 50},
    rendered={},
    backbone=None,
    pretrained="weights/dinov2-large",
    settings={
        "student": {},
        "dpt": {"width": 288, "neck_sizes": (288, 288, 288, 288), "fusion_width": 288},
        "cross-task": {"width": 560, "attention_heads": 8},
    },
    rates={"student": 2e-5, "dpt": 2e-5, "cross-task": 2e-5},  # MTPano's; not tuned
    steps=20_000,
    batch=4,
    average=0.999,
    frozen_steps=1000,
    device="cuda",
    precision="bf16",
    threads=12,
)
"""The sizes of configs/mtpano.yaml and the teachers of configs/indoor.yaml."""
SCALES = {"cpu": CPU, "gpu": GPU}


def scale_of(folder: Path) -> Scale:
    """The scale of an experiment's folder; that for a CPU where the folder does not say."""
    file = folder / FILE
    return SCALES[json.loads(file.read_text())["scale"]] if file.exists() else CPU


def write_scale(folder: Path, name: str) -> None:
    """Let a folder have a scale.

    Raises
    ------
    ValueError
        It has another one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()) and scale_of(folder) != SCALES[name]:
        raise ValueError(f"{folder}: holds an experiment of another scale; name another --folder")
    (folder / FILE).write_text(json.dumps({"scale": name}) + "\n")
