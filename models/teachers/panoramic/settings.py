"""What the ``settings`` of teachers that see a whole panorama may say, and where their weights lie."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from models.cubemap.skies import SkySettings
from models.teachers.settings import TransformersSettings
from models.teachers.weights import (
    CUBEMAP,
    DOWNLOADED,
    HUB_ID,
    LOCAL,
    digest_files,
    digest_folder,
    digest_settings,
    model_folder,
    snapshot,
)

CHECKPOINT = ("model.safetensors", "config.json", "config.yaml")
"""The files that a cubemap network is made of; one of the configs will do, or none."""
NAME = "cubemap"
"""Of the network that ships with panolabel."""
Threes = tuple[float, float, float]


class _Closed(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Sky(_Closed):
    """How probabilities become sky; see :class:`models.cubemap.skies.SkySettings`."""

    threshold: float = Field(0.3, gt=0, lt=1)
    """Probability that is half sky."""
    softness: float = Field(0.15, gt=0, lt=0.5)
    """So much below the threshold is no sky, as much above it all."""
    opening: int = Field(5, ge=1)
    """Sky is opened by a square of so many pixels a side, an odd number; 1 for none."""

    @model_validator(mode="after")
    def _as_the_network_has_it(self) -> Sky:
        SkySettings(**self.model_dump())
        return self


class Stated(_Closed):
    """Conventions that could not be settled without the released weights; by default those that the checkpoint's kind has."""

    ray_length: Literal["exact", "corner"] | None = None
    """How z-depth becomes distance: by the ray of a pixel's centre (the default), or through its corner, as PaGeR computes it."""
    normal_axes: Literal["right-down-forward", "forward-up-left", "forward-up-right"] | None = None
    """World axes of the three channels of normals; of PaGeR's weights ``forward-up-left``."""
    image_mean: Threes | None = None
    """Subtracted from RGB in [0, 1]; by default ImageNet's."""
    image_std: Threes | None = None
    """Divided by, after the mean."""


class ClipModel(_Closed):
    """A CLIP model that tells indoor from outdoor panoramas."""

    model: str
    """Hub id, such as ``openai/clip-vit-base-patch32``, or local folder, with its tokenizer."""
    revision: str | None = None
    """Commit of the hub repository; required for hub ids."""


class CubemapSettings(_Closed):
    """A cubemap network: PaGeR's checkpoints, Depth Anything 3's, or one of this project's."""

    model: str
    """Local folder with ``model.safetensors``, and ``config.yaml`` or ``config.json`` if it has one; hub id; or ``cubemap`` for
    the small network that ships with panolabel."""
    revision: str | None = None
    """Commit of the hub repository; required for hub ids."""
    scene: Literal["auto", "indoor", "outdoor"] = "auto"
    """Which scale head gives the metres. ``auto``: as the ``router`` says; without one, outdoors where more than 5 % is sky."""
    router: ClipModel | None = None
    """What tells indoor from outdoor panoramas."""
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    """Of weights and activations; bfloat16 halves the memory."""
    sky: Sky = Sky()
    conventions: Stated = Stated()


def checkpoint_folder(settings: CubemapSettings) -> Path:
    """The local folder of a cubemap network; that of the hub is downloaded if need be.

    Raises
    ------
    FileNotFoundError
        There are no weights; says where it looked and how to get them.
    ValueError
        A hub id without a pinned commit.
    """
    local = CUBEMAP if settings.model == NAME else Path(settings.model).expanduser()
    if local.is_dir():
        if not (local / CHECKPOINT[0]).is_file():
            raise FileNotFoundError(f"model: the folder {local} lacks {CHECKPOINT[0]}; copy all files of the checkpoint there")
        return local
    if not HUB_ID.fullmatch(settings.model):
        raise FileNotFoundError(
            f"model: there is no folder {local.resolve()}; give the folder of a checkpoint, a hub id such as 'prs-eth/PaGeR' "
            f"with its revision, or '{NAME}'"
        )
    wanted = [*DOWNLOADED, "*.yaml", "*.safetensors"]
    return snapshot(settings.model, settings.revision, wanted, lambda folder: (folder / CHECKPOINT[0]).is_file())


def router_folder(settings: CubemapSettings) -> Path:
    """The local folder of the router's model; raises as :func:`models.teachers.weights.model_folder`."""
    assert settings.router is not None, "asked for only where there is one"
    return model_folder(TransformersSettings(model=settings.router.model, revision=settings.router.revision))


def cubemap_digest(settings: CubemapSettings) -> str:
    """sha256 of the weights and configs of the network, and of its router where that decides."""
    folder = checkpoint_folder(settings)
    digest = digest_files((name, folder / name) for name in CHECKPOINT if (folder / name).is_file())
    if settings.router is None or settings.scene != "auto":
        return digest
    return digest_settings({"network": digest, "router": digest_folder(router_folder(settings), LOCAL)})
