"""Sizes of a cubemap network, and the conventions that its weights were trained with."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import atan, tan
from typing import Literal, get_args

import numpy as np

from geometry.cameras import Camera
from geometry.layouts import cubemap

Modality = Literal["depth", "normals", "sky", "scale_indoor", "scale_outdoor"]
MODALITIES: tuple[Modality, ...] = get_args(Modality)
Scene = Literal["indoor", "outdoor"]
SCENES: tuple[Scene, ...] = get_args(Scene)


@dataclass(frozen=True)
class Conventions:
    """What numbers going into and out of a network mean. Defaults are this project's own; :data:`RELEASED` are PaGeR's.

    Parameters
    ----------
    told_fov : float or None
        Field of view in degrees that the network is told of, and by which its maps go on in neighbouring views, whatever that
        of the cameras; None for the cameras' own.
    resizing_fov : float or None
        The same, where maps are enlarged.
    edge_centres : bool
        A face's outermost pixel centres, rather than its outermost pixel edges, lie on the edges of the cube.
    ray_length : "exact" or "corner"
        How z-depth becomes distance along the ray of a pixel: by the ray through its centre, or through its upper left corner
        as if the face spanned 90 degrees from edge to edge. They differ by up to 0.26 % in a corner of a face of 504 pixels.
    normal_axes : "right-down-forward", "forward-up-left" or "forward-up-right"
        World axes that the three channels of normals are along. The last is left-handed: its normals are mirrored.
    image_mean, image_std : three floats
        Of RGB in [0, 1].
    nearest, farthest : float
        z-depth is clamped to between them, before the factor to metres.
    """

    told_fov: float | None = None
    resizing_fov: float | None = None
    edge_centres: bool = False
    ray_length: Literal["exact", "corner"] = "exact"
    normal_axes: Literal["right-down-forward", "forward-up-left", "forward-up-right"] = "right-down-forward"
    image_mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    image_std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    nearest: float = 0.01
    farthest: float = 75.0


RELEASED = Conventions(told_fov=90.0, resizing_fov=90.0, edge_centres=True, normal_axes="forward-up-left")
"""Those of PaGeR's weights, as far as its code tells. What could not be settled without the weights is what is right in geometry:
``ray_length`` (its code computes ``corner``, and stitches faces half a pixel off, which nearly undoes it) and the handedness of
``normal_axes`` (``forward-up-right`` is the alternative). The demo normalises images by a mean and deviation of 0.5, the commands
as here."""
MULTI_VIEW = Conventions()
"""Those of Depth Anything 3: any views, told of as they are."""


@dataclass(frozen=True)
class CubemapConfig:
    """Sizes of a :class:`models.cubemap.network.CubemapNetwork`; the defaults are those of PaGeR's unified checkpoint.

    Parameters
    ----------
    width, blocks, heads, patch : int
        Of the vision transformer.
    position_grid : int
        Side of the learned grid of position embeddings, in patches.
    levels : four int
        Blocks, counted from 0, whose outputs the heads read.
    alternate_from : int
        From this block on the odd ones attend over all views at once; rotary positions, normed queries and keys, and the token
        that knows the camera begin there too.
    cross_view : bool
        False lets those blocks attend within a view like the others: the same parameters, and no view knows of another.
    ffn, ffn_width
        Feed-forward layers: kind and hidden channels.
    camera_blocks, camera_heads : int
        Of the transformer that encodes cameras.
    channels : four int
        Of the maps of each level in a dense head, finest first.
    features : int
        Channels in the refinement of a dense head.
    modalities
        Heads: ``depth``, ``normals``, ``sky``, ``scale_indoor``, ``scale_outdoor``. Sky and scales need ``depth``.
    face_size : int
        Pixels of a cube face, a multiple of ``patch``.
    cube_padding : bool
        Padded convolutions of the heads go on in the neighbouring views instead of in zeros.
    scale_downsample : int
        How much coarser than the face the scale heads answer.
    conventions : Conventions
    """

    width: int = 1536
    blocks: int = 40
    heads: int = 24
    patch: int = 14
    position_grid: int = 37
    levels: tuple[int, ...] = (19, 27, 33, 39)
    alternate_from: int = 13
    cross_view: bool = True
    ffn: Literal["swiglu", "gelu"] = "swiglu"
    ffn_width: int = 4096
    camera_blocks: int = 4
    camera_heads: int = 16
    channels: tuple[int, ...] = (256, 512, 1024, 1024)
    features: int = 256
    modalities: tuple[Modality, ...] = MODALITIES
    face_size: int = 504
    cube_padding: bool = True
    scale_downsample: int = 4
    conventions: Conventions = field(default=RELEASED)

    def __post_init__(self) -> None:
        for heads in (self.heads, self.camera_heads):
            if self.width % heads:
                raise ValueError(f"width: {self.width} channels do not divide among {heads} heads; take a multiple of {heads}")
        if self.width // self.heads % 4:
            raise ValueError(f"heads: {self.width // self.heads} channels a head; rotary positions need a multiple of 4")
        if self.face_size % self.patch:
            raise ValueError(f"face_size: {self.face_size} pixels are not a multiple of the patch, {self.patch}")
        if len(self.levels) != 4 or len(self.channels) != 4 or not all(0 <= level < self.blocks for level in self.levels):
            raise ValueError(
                f"levels, channels: a dense head reads 4 of the {self.blocks} blocks, got {self.levels} and {self.channels}"
            )
        unknown = sorted(set(self.modalities) - set(MODALITIES))
        if unknown or not self.modalities:
            raise ValueError(f"modalities: {unknown or 'none'} given; name some of {', '.join(MODALITIES)}")
        on_depth = [name for name in self.modalities if name not in ("depth", "normals")]
        if on_depth and "depth" not in self.modalities:
            raise ValueError(f"modalities: {', '.join(on_depth)} read depth's features; add depth")

    @property
    def scenes(self) -> tuple[Scene, ...]:
        """Kinds of scenes that there is a scale head of."""
        return tuple(scene for scene in SCENES if f"scale_{scene}" in self.modalities)


def face_cameras(config: CubemapConfig) -> tuple[Camera, ...]:
    """The six faces to cut a panorama into: front, right, back, left, up, down. 90.1138 degrees at 504 px for released weights.

    PaGeR cuts them without antialiasing: ``extract_patches(panorama, face_cameras(config), antialias=False)``. What was trained
    here knows faces that are smooth, or of panoramas with about as many pixels.
    """
    reach = tan(np.radians(config.conventions.told_fov or 90.0) / 2)
    if config.conventions.edge_centres:
        reach *= config.face_size / (config.face_size - 1)
    return cubemap(config.face_size, 2 * atan(reach))


def small_config(face_size: int = 104, modalities: tuple[Modality, ...] = MODALITIES, cross_view: bool = True) -> CubemapConfig:
    """A network of 2.8 million parameters, with all heads, that trains on a CPU."""
    return CubemapConfig(
        width=144, blocks=8, heads=4, patch=8, position_grid=face_size // 8, levels=(1, 3, 5, 7), alternate_from=2,
        cross_view=cross_view, ffn="gelu", ffn_width=416, camera_blocks=1, camera_heads=4, channels=(16, 24, 32, 48), features=24,
        modalities=modalities, face_size=face_size, conventions=Conventions(),
    )  # fmt: skip


def tiny_config(face_size: int = 32, modalities: tuple[Modality, ...] = MODALITIES) -> CubemapConfig:
    """A network of a hundred thousand parameters, with all heads, that shows how training works."""
    return CubemapConfig(
        width=16, blocks=4, heads=2, patch=8, position_grid=face_size // 8, levels=(0, 1, 2, 3), alternate_from=1, ffn="gelu",
        ffn_width=32, camera_blocks=1, camera_heads=2, channels=(4, 8, 8, 8), features=8, modalities=modalities,
        face_size=face_size, conventions=Conventions(),
    )  # fmt: skip
