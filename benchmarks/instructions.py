"""The size of the fusing kernel, compiled for an H200 and not run: needs Triton, and no GPU."""

from __future__ import annotations

import re
import subprocess
import tempfile
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
import triton

import geometry.device.fuse
from geometry.device.fields import as_said
from geometry.fields import Field
from geometry.fusion.fuse import FusionSettings
from geometry.layouts import icosahedron
from tests.geometry.device.compiling import compiled, usage

SIZE, HEIGHT = 32, 64
INSTRUCTION = re.compile(r"^\s+/\*[0-9a-f]{4,}\*/\s+(?:@!?U?P\w+ )?[A-Z]", re.M)


def counted() -> tuple[int, int]:
    """Instructions of the kernel that fuses depth, normals and classes of 20 views, and registers of a thread."""
    found: list[Any] = []
    cameras = icosahedron(SIZE)
    fields = {field.name: as_said(field) for field in _said(len(cameras))}

    def compile_it(kernel: Any, _total: int, *arguments: Any, BLOCK: int, **constants: Any) -> None:
        found.append(compiled(kernel, arguments, constants))

    by_name, settings = dict.fromkeys(fields, cameras), FusionSettings(off_axis_power=2, classes=150)
    with (
        patch.object(geometry.device.fuse, "launched", compile_it),
        patch.object(geometry.device.fuse, "aligned", lambda depth, *_: depth.values),
    ):
        geometry.device.fuse.fuse_on_device(fields, by_name, HEIGHT, 2 * HEIGHT, settings)
    cubin = found[0].asm["cubin"]
    return len(INSTRUCTION.findall(_disassembled(cubin))), usage(cubin)["reg"]


def _said(views: int) -> list[Any]:
    """Fields of tensors, of which only the types matter."""
    shape = (views, SIZE, SIZE)
    valid: Any = torch.ones(shape, dtype=torch.bool)
    depth, normals, shares = (torch.ones(*shape, *more) for more in ((), (3,), (3,)))
    classes: Any = torch.zeros(*shape, 3, dtype=torch.uint16)
    told: list[Any] = [("depth", depth, "metre", "axis"), ("normals", normals, "unit", "camera")]
    fields: list[Any] = [Field(name, values, valid, unit, frame) for name, values, unit, frame in told]
    return [*fields, Field("semantics", classes, valid, "class", "-", shares)]  # type: ignore[arg-type]


def _disassembled(cubin: bytes) -> str:
    tool = Path(triton.__file__).parent / "backends/nvidia/bin/nvdisasm"
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        return subprocess.run([tool, "-c", file.name], capture_output=True, text=True, check=True).stdout
