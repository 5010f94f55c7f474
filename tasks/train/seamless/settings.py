"""What the training of a seamless network may say: labelled pinhole images, a network, and how it learns from them."""

from __future__ import annotations

from dataclasses import fields
from typing import Annotated, Literal

from pydantic import Field

from configs.places import PlaceField
from configs.settings import ADDED, APART, PlainSettings, Settings
from tasks.train.settings import LoopSettings

Columns = Annotated[int, Field(ge=32, multiple_of=32)]


class PinholeData(Settings):
    """Labelled images, in a layout of docs/datasets.md."""

    kind: Literal["amodal_synth_drive", "cityscapes", "kitti360_aps"]
    root: PlaceField
    split: str | None = None
    """Only the images of this split, such as ``train``."""


class Network(Settings):
    """The network to train. The defaults are those of the paper's size; ``small`` trains on a CPU."""

    size: Literal["small", "large"] = "large"
    """Of the encoder: 0.5 million weights, or as many as MiT-B5."""
    encoder: str = "pvt_v2"
    """Model type of transformers' AutoBackbone, with maps at strides 4 to 32."""
    encoder_config: PlainSettings = Field(default_factory=dict)
    """Laid over the encoder's config of that size."""
    channels: int = Field(256, ge=1)
    hidden: int = Field(1024, ge=1)
    """Width of the box heads."""
    mask_layers: int = Field(4, ge=0)
    proposals: int = Field(1000, ge=1)
    """Most proposals an image."""
    sampled: int = Field(512, ge=1)
    """Proposals an image that the box heads learn from."""
    anchor: float = Field(8.0, gt=0)
    """Side of an anchor in strides of its level."""
    seam: int = Field(64, ge=0, multiple_of=32)
    """Columns by which the saved network continues a panorama on both sides. Training images do not close."""


class TrainSeamless(Settings):
    """A network of whole objects, of labelled pinhole images; the defaults are the paper's."""

    kind: Literal["seamless"] = "seamless"
    data: PinholeData
    validation: Annotated[PinholeData | None, APART] = None
    """Measured at the end, and what the two score thresholds are chosen on."""
    network: Network = Network()
    steps: int = Field(40000, ge=1)
    batch_size: int = Field(4, ge=1)
    """Crops a step and process."""
    crop: tuple[Columns, Columns] = (384, 384)
    """Rows and columns, multiples of 32; smaller images are continued with pixels that nobody labelled."""
    learning_rate: float = Field(6e-5, gt=0)
    """Of AdamW, for the encoder; falls to 0 as (1 - step / steps)^0.9."""
    head_rate: float = Field(10.0, ge=0)
    """By how much to multiply it for all that is not the encoder."""
    weight_decay: float = Field(0.01, ge=0)
    clip: float = Field(10.0, gt=0)
    """Largest norm of a step's gradient."""
    precision: Literal["no", "bf16", "fp16"] = "no"
    seed: int = Field(0, ge=0)
    least_stuff: Annotated[int, Field(ge=0), APART] = 2048
    """Pixels below which stuff counts as void where panoptic maps are measured."""
    log_every: Annotated[int, Field(ge=1), APART] = 50
    checkpoint_every: Annotated[int, Field(ge=1), APART] = 1000
    keep: Annotated[int, Field(ge=1), APART] = 2
    """Checkpoints that are kept, the newest."""
    threads: Annotated[int, Field(ge=1), APART] = 4
    """Batches that are read at the same time."""
    processes: Annotated[int, Field(ge=1), ADDED] = 1
    """That train together on the machine that holds the stage."""

    def loop(self, device: str) -> LoopSettings:
        """What of this is the loop's."""
        shared = {one.name for one in fields(LoopSettings)} & type(self).model_fields.keys()
        return LoopSettings(**{name: getattr(self, name) for name in shared}, device=device)
