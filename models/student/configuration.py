"""Settings of the student: its backbone, its sizes, and one switch for each idea."""

from collections.abc import Sequence
from typing import Any, Literal

from huggingface_hub.dataclasses import strict
from transformers import AutoConfig, PreTrainedConfig
from transformers.configuration_utils import SubConfigSpec

from models.student.tasks import MAIN_TASKS, STREAMS, TASKS, Task

DINOV2_LARGE = {
    "image_size": 518, "hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16, "out_indices": [6, 12, 18, 24],
}  # fmt: skip


@strict
class StudentConfig(PreTrainedConfig):
    """Settings of a :class:`models.student.StudentModel`; docs/student.md has the table of the switches.

    Parameters
    ----------
    backbone_config : PreTrainedConfig or dict
        Of any class with an ``AutoBackbone``, or SegFormer; its ``out_indices`` name four levels. DINOv2 ViT-L/14 by default.
    backbone_padding : "sphere" or "zero"
        How the backbone's padded convolutions continue at the borders.
    token_stride : int, optional
        Pixels per token. A ViT's patch size, and 16 for other backbones, if not given.
    main_tasks : sequence of str
        Of ``depth``, ``normals``, ``semantics``. The classes are those of ``id2label``.
    auxiliaries : bool
        Train with image gradient, distance to edges and point map too.
    streams : "split" or "shared"
        With ``shared`` every task reads the mean of both streams: the same parameters, one stream of twice the width.
    mixer : "erp", "plain" or "none"
        ``plain`` has the parameters of ``erp`` and ignores latitude.
    modulation : "rays", "constant" or "none"
        ``constant`` has the parameters of ``rays`` and sees the same direction everywhere.
    bridges : bool
    truncation : "none", "invariant", "variant" or "both"
        In which streams' bridges the features of the other stream's tasks are detached.
    vector_frame : "world" or "local"
        Whether the last layer says vectors in the world frame, or in each pixel's own (east, down, outwards), turned afterwards.
    width, bottlenecks, bottleneck_ratio, attention_heads, mlp_ratio, neck_sizes, fusion_width : int and sequences of int
        Channels of a stream; bottlenecks per level and how much narrower they are; bridges; channels of the decoders.
    depth_scale : float
        Typical distance in the labels' unit; the depth layer's output of one means this much.
    image_mean, image_std : three floats
        Of RGB in [0, 1].
    """

    model_type = "panolabel_student"
    sub_configs_defaults = {  # noqa: RUF012
        "backbone_config": SubConfigSpec(config_class=AutoConfig, model_type="dinov2", init_kwargs=DINOV2_LARGE)
    }

    backbone_config: dict | PreTrainedConfig | None = None
    backbone_padding: Literal["sphere", "zero"] = "sphere"
    token_stride: int | None = None
    main_tasks: list[str] | tuple[str, ...] = MAIN_TASKS
    auxiliaries: bool = True
    streams: Literal["split", "shared"] = "split"
    mixer: Literal["erp", "plain", "none"] = "erp"
    modulation: Literal["rays", "constant", "none"] = "rays"
    bridges: bool = True
    truncation: Literal["none", "invariant", "variant", "both"] = "both"
    vector_frame: Literal["world", "local"] = "world"
    width: int = 256
    bottlenecks: int = 2
    bottleneck_ratio: int = 4
    attention_heads: int = 4
    mlp_ratio: int = 4
    neck_sizes: list[int] | tuple[int, ...] = (256, 256, 256, 256)
    fusion_width: int = 128
    depth_scale: float = 3.0
    image_mean: list[float] | tuple[float, ...] = (0.485, 0.456, 0.406)
    image_std: list[float] | tuple[float, ...] = (0.229, 0.224, 0.225)

    def __post_init__(self, **kwargs: Any) -> None:
        super().__post_init__(**kwargs)
        if self.token_stride is None:
            self.token_stride = int(getattr(self.backbone_config, "patch_size", 0)) if self.is_vit else 16

    @property
    def is_vit(self) -> bool:
        """Whether all levels of the backbone lie on one grid of patches."""
        return hasattr(self.backbone_config, "patch_size") and not hasattr(self.backbone_config, "depths")

    def validate_architecture(self) -> None:
        """Called when the config is made."""
        unknown = sorted(set(self.main_tasks) - set(MAIN_TASKS))
        if unknown or not self.main_tasks:
            raise ValueError(f"main_tasks: {unknown or 'none'} given; name some of {', '.join(MAIN_TASKS)}")
        if self.width % self.attention_heads:
            raise ValueError(f"width: {self.width} channels do not divide among {self.attention_heads} attention_heads")
        if len(self.neck_sizes) != 4:
            raise ValueError(f"neck_sizes: a decoder has four scales, got {len(self.neck_sizes)} sizes")
        if self.depth_scale <= 0:
            raise ValueError(f"depth_scale: must be positive, got {self.depth_scale}")

    @property
    def tasks(self) -> tuple[Task, ...]:
        """The main tasks in use, and the auxiliary ones if they are on."""
        return tuple(task for task in TASKS if (self.auxiliaries if task.auxiliary else task.name in self.main_tasks))

    @property
    def used_streams(self) -> tuple[str, ...]:
        """The streams that have a task; both where they are shared."""
        wanted = {task.stream for task in self.tasks}
        return tuple(stream for stream in STREAMS if stream in wanted or self.streams == "shared")

    def channels(self, task: Task) -> int:
        """Output channels of a task."""
        return int(self.num_labels or 0) if task.channels is None else task.channels

    def truncates(self, stream: str) -> bool:
        """Whether the bridge of ``stream`` detaches the other stream's features."""
        return self.truncation in (stream, "both")


def tiny_config(kind: str = "dinov2", classes: Sequence[str] = ("wall", "floor", "thing"), **settings: Any) -> StudentConfig:
    """A student for a CPU: the same classes, a few thousand weights each.

    Parameters
    ----------
    kind : str
        Backbone: dinov2, dinov3_vit, swin, segformer, convnext, pvt_v2.
    classes : sequence of str
    settings
        Anything of :class:`StudentConfig`.
    """
    sizes: dict[str, Any] = {
        "width": 16, "attention_heads": 2, "mlp_ratio": 2, "neck_sizes": (16, 16, 16, 16), "fusion_width": 16,
        "token_stride": None if kind in ("dinov2", "dinov3_vit") else 8,
    }  # fmt: skip
    if kind not in TINY_BACKBONES:
        raise ValueError(f"backbone {kind!r} has no tiny form; use one of {', '.join(TINY_BACKBONES)}")
    backbone = {"model_type": kind, **TINY_BACKBONES[kind]}
    return StudentConfig(backbone_config=backbone, id2label=dict(enumerate(classes)), **{**sizes, **settings})


_VIT = {"hidden_size": 16, "num_hidden_layers": 4, "num_attention_heads": 2, "patch_size": 8, "out_indices": [1, 2, 3, 4]}
_STAGES = ["stage1", "stage2", "stage3", "stage4"]
TINY_BACKBONES: dict[str, dict[str, Any]] = {
    "dinov2": {**_VIT, "image_size": 64, "mlp_ratio": 2},
    "dinov3_vit": {**_VIT, "image_size": 64, "intermediate_size": 32, "num_register_tokens": 2},
    "swin": {
        "embed_dim": 8, "depths": [1, 1, 2, 1], "num_heads": [1, 2, 2, 2], "window_size": 4, "image_size": 64,
        "out_features": _STAGES,
    },
    "segformer": {
        "depths": [1, 1, 1, 1], "hidden_sizes": [8, 16, 16, 16], "num_attention_heads": [1, 2, 2, 2], "mlp_ratios": [2, 2, 2, 2],
    },
    "convnext": {"depths": [1, 1, 1, 1], "hidden_sizes": [8, 16, 16, 16], "out_features": _STAGES},
    "pvt_v2": {
        "depths": [1, 1, 1, 1], "hidden_sizes": [8, 16, 16, 16], "num_attention_heads": [1, 2, 2, 2], "mlp_ratios": [2, 2, 2, 2],
        "out_features": _STAGES,
    },
}  # fmt: skip
