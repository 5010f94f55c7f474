"""Networks in one file: what the ONNX and LiteRT adapters share, from patches to tensors and back to fields."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import one_hot

from geometry.cameras import Camera
from geometry.fields import Field
from models.teachers.base import Teacher
from models.teachers.from_depth import with_derived_normals
from models.teachers.postprocess import depth_field, join, normals_field, semantic_fields, semantic_names, share
from models.teachers.preprocess import ImageSpec, prepare
from models.teachers.settings import FileSettings
from models.teachers.sizes import check_answer, check_whole
from models.teachers.weights import model_file


@dataclass(frozen=True)
class Tensor:
    """What a file says of its input: axes sizes (None where open), dtype and quantisation ``real = (q - zero) * scale``."""

    shape: tuple[int | None, ...]
    dtype: np.dtype
    scale: float = 0.0
    zero: int = 0


@dataclass(frozen=True)
class FileTeacher:
    """Says the one field that the settings name."""

    run: Callable[[NDArray], NDArray]
    input: Tensor
    settings: FileSettings
    classes: tuple[str, ...]

    @property
    def fields(self) -> tuple[str, ...]:
        field = self.settings.output.field
        return semantic_names(self.classes) if field == "semantics" else (field,)

    @property
    def unit(self) -> str | None:
        """Unit of the depth, if that is what it says."""
        return self.settings.output.unit if self.settings.output.field == "depth" else None

    def __call__(self, patches: NDArray[np.uint8], cameras: Sequence[Camera], item: Mapping[str, object]) -> dict[str, Field]:
        size = input_size(self.settings, self.input.shape)
        step = self.input.shape[0] or self.settings.batch_size or len(patches)
        parts = []
        with torch.inference_mode():
            for start in range(0, len(patches), step):
                some = patches[start : start + step]
                # A file with a fixed batch gets its last one filled up.
                filled = np.concatenate([some, np.repeat(some[-1:], step - len(some), axis=0)]) if self.input.shape[0] else some
                parts.append(self._decode(self.run(self._encode(filled, size))[: len(some)], some.shape[1:3]))
        return join(parts)

    def _encode(self, patches: NDArray[np.uint8], size: tuple[int, int]) -> NDArray:
        """The input array of a size (h, w) in the file's layout and dtype."""
        height, width = size
        as_pixels = self.input.dtype == np.uint8
        mean, std = ((0.0,) * 3, (1.0,) * 3) if as_pixels else (self.settings.mean, self.settings.std)
        spec = ImageSpec(mean, std, 1.0 if as_pixels else 1 / 255, size={"height": height, "width": width})
        values = prepare(patches, spec, "cpu").numpy()
        if np.issubdtype(self.input.dtype, np.integer):
            real = values if as_pixels or not self.input.scale else values / self.input.scale + self.input.zero
            limits = np.iinfo(self.input.dtype)
            values = np.clip(np.round(real), limits.min, limits.max)
        if self.settings.layout == "nhwc":
            values = values.transpose(0, 2, 3, 1)
        return np.ascontiguousarray(values.astype(self.input.dtype))

    def _decode(self, values: NDArray, size: tuple[int, int]) -> dict[str, Field]:
        output = self.settings.output
        self._check_size(values)
        if output.field == "semantics" and np.issubdtype(values.dtype, np.integer):
            return semantic_fields(self._votes(values), self.classes, size, probability=share)
        channels = {"depth": 1, "normals": 3, "semantics": len(self.classes)}[output.field]
        tensor = torch.from_numpy(np.ascontiguousarray(self._channels_first(values, channels), dtype=np.float32))
        if output.field == "depth":
            assert output.unit is not None, "checked with the settings"
            return {"depth": depth_field(tensor * output.scale, size, output.unit, output.frame, self.settings.depth_max)}
        if output.field == "normals":
            return {"normals": normals_field(tensor, size, self.settings.normals_axes)}
        return semantic_fields(tensor, self.classes, size, probability=torch.softmax if output.scores == "logits" else share)

    def check(self) -> None:
        """Let it speak of one patch of noise: that it fits the settings, and looks at the whole of its input.

        Raises
        ------
        ValueError
            It does not; the message names the setting.
        """
        size = input_size(self.settings, self.input.shape)
        count = self.input.shape[0] or 1

        def answer(patch: NDArray[np.uint8]) -> NDArray:
            return self.run(self._encode(np.repeat(patch[None], count, axis=0), (patch.shape[0], patch.shape[1])))

        try:
            values = answer(np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8))
        except Exception as error:  # what a runtime raises is its own affair
            raise ValueError(
                f"file: {self.settings.file} cannot take an input of {size[0]} x {size[1]} ({str(error).strip()[:300]}); check "
                "`layout`, and `size`, which many networks want as a multiple of 14, 16 or 32"
            ) from error
        self._decode(values[:1], size)
        axes = self.input.shape[2:4] if self.settings.layout == "nchw" else self.input.shape[1:3]
        # Class numbers may stay the same whatever is changed a little.
        if None in axes and not np.issubdtype(values.dtype, np.integer):
            check_whole(answer, size, "size")

    def _check_size(self, values: NDArray) -> None:
        nhwc = (self.settings.output.layout or self.settings.layout) == "nhwc"
        sides = values.shape[1:3] if values.ndim == 3 or (values.ndim == 4 and nhwc) else values.shape[-2:]
        # An output of the wrong layout is found out by its channels, which tells more.
        expected = {"depth": 1, "normals": 3, "semantics": len(self.classes)}[self.settings.output.field]
        channels = 1 if values.ndim == 3 else values.shape[3 if nhwc else 1] if values.ndim == 4 else expected
        if values.ndim in (3, 4) and channels in (1, expected):
            check_answer(tuple(sides), input_size(self.settings, self.input.shape))

    def _channels_first(self, values: NDArray, channels: int) -> NDArray:
        if values.ndim == 3:
            values = values[:, None]
        elif (self.settings.output.layout or self.settings.layout) == "nhwc":
            values = values.transpose(0, 3, 1, 2)
        if values.ndim != 4 or values.shape[1] != channels:
            raise ValueError(
                f"output: {self.settings.output.field} needs {channels} channels, but output {self.settings.output.index} has, "
                f"channels first, the shape {values.shape}; check `output.index`, `output.layout` and `classes`"
            )
        return values

    def _votes(self, values: NDArray) -> torch.Tensor:
        """A map of class numbers as one vote per pixel, so that resizing it counts votes instead of mixing numbers."""
        sides = [side for side in values.shape[1:] if side != 1]
        numbers = torch.from_numpy(values.astype(np.int64)).reshape(len(values), *sides)
        if int(numbers.max()) >= len(self.classes) or int(numbers.min()) < 0:
            raise ValueError(f"classes: the model says class {int(numbers.max())}, but only {len(self.classes)} are named")
        return one_hot(numbers, len(self.classes)).permute(0, 3, 1, 2).float()


def input_size(settings: FileSettings, shape: tuple[int | None, ...]) -> tuple[int, int]:
    """Height and width of the input, from the file or, where it leaves them open, the settings.

    Raises
    ------
    ValueError
        Neither says it, or they contradict each other.
    """
    fixed = shape[2:4] if settings.layout == "nchw" else shape[1:3]
    asked = (settings.size, settings.size) if isinstance(settings.size, int) else settings.size
    size = tuple(side or (asked[axis] if asked else None) for axis, side in enumerate(fixed))
    if len(size) != 2 or None in size:
        raise ValueError(f"size: {settings.file} leaves its input size open (shape {shape}); set `size` to height and width")
    if asked and size != tuple(asked):
        raise ValueError(f"size: {settings.file} takes {size} in layout {settings.layout}, not {asked}; drop the key")
    return size  # type: ignore[return-value]


def build(settings: FileSettings, run: Callable[[NDArray], NDArray], taken: Tensor) -> Teacher:
    """The teacher of a file whose chosen output ``run`` computes from an input as ``taken`` describes it."""
    input_size(settings, taken.shape)
    teacher = FileTeacher(run, taken, settings, _classes(settings))
    teacher.check()
    return with_derived_normals(teacher) if settings.derive_normals else teacher


def _classes(settings: FileSettings) -> tuple[str, ...]:
    if settings.output.field != "semantics" or settings.classes is None:
        return ()
    if isinstance(settings.classes, tuple):
        return settings.classes
    # Label files often end in a note after an empty line.
    names = model_file(settings.classes, "classes").read_text(encoding="utf-8-sig").strip().split("\n\n")[0]
    return tuple(name.strip() for name in names.splitlines())


def choose_output(outputs: Sequence, settings: FileSettings) -> int:
    """Index of the output that the settings name.

    Raises
    ------
    ValueError
        The file has fewer outputs.
    """
    if settings.output.index >= len(outputs):
        raise ValueError(f"output.index: {settings.file} has {len(outputs)} outputs, so the last index is {len(outputs) - 1}")
    return settings.output.index
