"""Every kernel that a fusion of some panoramas starts, compiled for an H200 and not run: needs Triton, and no GPU.

``python -m tests.geometry.device.compiling`` prints, a line of JSON each, a kernel's name, its registers and stack by ``ptxas``,
and operations in it that are less exact than float32 or that depend on the order of threads.
"""

import json
import re
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.runtime import driver

import geometry.device.alignment
import geometry.device.fuse
from geometry.device.launching import ON_GPU

DOUBTFUL = r"lg2\.approx|sqrt\.approx|div\.(?:approx|full)|\b(?:atom|red)\."


class H200:
    """What Triton asks its driver for before it makes a kernel."""

    def get_current_device(self) -> int:
        return 0

    def get_current_stream(self, _device: int) -> int:
        return 0

    def get_current_target(self) -> GPUTarget:
        return GPUTarget("cuda", 90, 32)


def compiled(kernel: Any, arguments: tuple[Any, ...], constants: dict[str, Any]) -> Any:
    """A kernel as it would be started with these arguments on an H200; it is made, and not started."""
    driver.set_active(H200())
    return kernel.run(*arguments, grid=(1,), warmup=True, **constants, BLOCK=ON_GPU, num_warps=4, enable_fp_fusion=False)


def compile_instead(kernel: Any, _total: int, *arguments: Any, BLOCK: int, **constants: Any) -> None:
    """Takes the place of :func:`geometry.device.launching.launched`."""
    made = compiled(kernel, arguments, constants)
    for name, argument in zip(kernel.arg_names, arguments):
        if name in ("out", "distance", "inverse") and isinstance(argument, torch.Tensor):
            argument.fill_(1)  # something that fits can be made to
    print(json.dumps({"kernel": kernel.__name__, **usage(made.asm["cubin"]), "doubtful": doubtful(made.asm["ptx"])}))


def doubtful(ptx: str) -> dict[str, int]:
    found = re.findall(DOUBTFUL, ptx)
    return {name: found.count(name) for name in sorted(set(found))}


def usage(cubin: bytes) -> dict[str, int]:
    """Registers of a thread, and bytes of its stack, which are what registers were spilled to."""
    tool = Path(triton.__file__).parent / "backends/nvidia/bin/cuobjdump"
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        told = subprocess.run([tool, "--dump-resource-usage", file.name], capture_output=True, text=True, check=True).stdout
    return {name.lower(): int(re.search(rf"{name}:(\d+)", told)[1]) for name in ("REG", "STACK")}  # type: ignore[index]


if __name__ == "__main__":
    from tests.geometry.device.panoramas import fused_on_device, panoramas

    geometry.device.fuse.launched = geometry.device.alignment.launched = compile_instead
    for panorama in panoramas():
        if panorama.name in ("scale", "apart"):  # all kernels; each form of the large one takes some 20 s
            fused_on_device(panorama)
