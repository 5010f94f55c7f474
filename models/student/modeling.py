"""The student as a whole: backbone, two streams, heads, bridges, decoders."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel, initialization
from transformers.utils import ModelOutput

from models.student.backbone import Backbone
from models.student.bridge import Bridge
from models.student.configuration import StudentConfig
from models.student.decoder import Decoder, TaskFeature
from models.student.heads import TaskHead
from models.student.layers import ZeroConv2d
from models.student.sphere import erp_rays, local_to_world, resize_sphere, turn, unit_vectors
from models.student.stream import Stream


@dataclass
class StudentOutput(ModelOutput):
    """What the student says of a batch of panoramas; None for a task that it was not made for.

    depth : (B, 1, H, W), radial distance in the labels' unit, positive
    normals : (B, 3, H, W), unit, world frame
    semantics : (B, classes, H, W), logits
    preliminary : task -> (B, channels, h, w) at the tokens, the auxiliary tasks among them
        In the same units; points like distances, image_gradient per degree, edge_distance as log(1 + degrees).
    """

    depth: Tensor | None = None
    normals: Tensor | None = None
    semantics: Tensor | None = None
    preliminary: dict[str, Tensor] | None = None


class StudentModel(PreTrainedModel):
    """Panoramic Dual BridgeNet, after its description (arXiv 2602.05330); docs/student.md says what differs.

    Depth, semantics, image gradient and distance to edges read the invariant stream, normals and points the variant one.
    """

    config_class = StudentConfig
    config: StudentConfig
    main_input_name = "pixel_values"
    supports_gradient_checkpointing = True  # of the backbone's layers, where most activations lie
    input_modalities = ["image"]  # noqa: RUF012
    mean: Tensor
    std: Tensor

    def __init__(self, config: StudentConfig) -> None:
        super().__init__(config)
        self.backbone = Backbone(config)
        streams, tasks = config.used_streams, config.tasks
        self.streams = nn.ModuleDict(
            {name: Stream(self.backbone.channels, config, name == "variant" and config.modulation != "none") for name in streams}
        )
        self.heads = nn.ModuleDict({task.name: TaskHead(config.width, config.channels(task)) for task in tasks})
        self.bridges = nn.ModuleDict({name: Bridge(name, tasks, config) for name in self._bridged()})
        mains = [task for task in tasks if not task.auxiliary]
        self.features = nn.ModuleDict({task.name: TaskFeature(config) for task in mains})
        self.decoders = nn.ModuleDict({task.name: Decoder(config.channels(task), config) for task in mains})
        self.register_buffer("mean", torch.tensor(config.image_mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(config.image_std).view(1, 3, 1, 1))
        self.post_init()

    def _bridged(self) -> tuple[str, ...]:
        """Streams whose bridge some decoder reads."""
        mains = {task.stream for task in self.config.tasks if not task.auxiliary}
        return tuple(name for name in self.config.used_streams if self.config.bridges and name in mains)

    def forward(self, pixel_values: Tensor, frame: Tensor | None = None) -> StudentOutput:
        """Predict.

        Parameters
        ----------
        pixel_values : (B, 3, H, W) float, RGB in [0, 1]
            Full ERP images, H a multiple of two tokens and of the backbone's coarsest stride.
        frame : (B, 3, 3) float, optional
            Rotation from each image's own frame to the world frame in which rays enter and vectors leave; the image's own if
            none is given. A panorama rolled by k columns, given with the turn about the vertical axis that undoes the roll,
            yields the same vectors, rolled.
        """
        self._check(pixel_values)
        levels = self.backbone((pixel_values - self.mean) / self.std)
        rays = self._rays(levels[0].shape[-2:], frame, pixel_values)
        streams = {name: stream(levels, rays) for name, stream in self.streams.items()}
        if self.config.streams == "shared":
            mean = torch.stack(list(streams.values())).mean(0)
            streams = dict.fromkeys(streams, mean)
        heads = {task.name: self.heads[task.name](streams[task.stream]) for task in self.config.tasks}
        features = {name: feature for name, (feature, _) in heads.items()}
        crossed = {name: bridge(streams[name], features) for name, bridge in self.bridges.items()}
        preliminary = {name: self._in_units(name, answer, rays) for name, (_, answer) in heads.items()}
        height, width = pixel_values.shape[-2:]
        fine_rays = self._rays((height, width), frame, pixel_values)
        answers = {}
        for task in self.config.tasks:
            if not task.auxiliary:
                seen = self.features[task.name](streams[task.stream], crossed.get(task.stream), features[task.name])
                first = resize_sphere(heads[task.name][1], height)
                answers[task.name] = self._in_units(task.name, first + self.decoders[task.name](seen, height), fine_rays)
        return StudentOutput(**answers, preliminary=preliminary)

    def _check(self, pixels: Tensor) -> None:
        height, width = pixels.shape[-2:]
        step = self.backbone.multiple
        if width != 2 * height:
            raise ValueError(f"pixel_values: a panorama is twice as wide as high, got {width}x{height}")
        if height % step:
            nearest = max(step, round(height / step) * step)
            raise ValueError(
                f"pixel_values: {height} rows are not a multiple of this student's {step}; resize to {2 * nearest}x{nearest}"
            )

    def _rays(self, size: tuple[int, int] | torch.Size, frame: Tensor | None, like: Tensor) -> Tensor:
        rays = erp_rays(size[0], size[1], like.device, like.dtype)
        if frame is None:
            return rays.expand(len(like), -1, -1, -1)
        return turn(rays, frame.to(rays))

    def _in_units(self, task: str, answer: Tensor, rays: Tensor) -> Tensor:
        """A layer's answer as a distance, a unit vector or a point; others as they are.

        Normals are told as what to add to the direction back to the camera, which every visible surface faces to some degree.
        Without that, some short trainings ended with that direction everywhere.
        """
        if task == "depth":
            return self.config.depth_scale * functional.softplus(answer)
        if task in ("normals", "points"):
            world = local_to_world(answer, rays) if self.config.vector_frame == "local" else answer
            return unit_vectors(world - rays) if task == "normals" else self.config.depth_scale * world
        return answer

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        """He's initialisation, but zeros in :class:`ZeroConv2d`; the library's 0.02 would let small layers fade."""
        super()._init_weights(module)
        if isinstance(module, ZeroConv2d):
            initialization.zeros_(module.weight)
        elif isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
            fan = module.weight[0].numel() if isinstance(module, nn.Conv2d) else module.weight.shape[0]
            initialization.normal_(module.weight, std=(1 / fan) ** 0.5)
