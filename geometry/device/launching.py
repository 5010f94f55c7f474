"""How kernels are started: on a GPU, or by Triton's interpreter on the CPU."""

from __future__ import annotations

from functools import cache
from threading import Lock
from typing import Any

import torch
import triton

from geometry.device.kernels.trying import double_kernel

ON_GPU = 128
"""Pixels of a program on a GPU: one for each thread of four warps, so that all of a pixel stays in its registers."""
INTERPRETED = 1 << 17
"""At most, in the interpreter, whose time goes into starting operations rather than into pixels."""


_starting = Lock()


@cache
def refusal(device: str) -> str:
    """Why no kernel can be started on a device; empty if one can. Triton makes a part of each with the machine's C compiler."""
    values = torch.ones(1, device=device)
    try:
        launched(double_kernel, 1, values, 1, BLOCK=block_of(1, values.device))
    except Exception as error:  # of the driver, of the compiler that Triton calls, of the folder that it keeps kernels in
        return f"{type(error).__name__}: {error}"
    return "" if float(values) == 2 else "a kernel that doubles 1 gave something else than 2"


def block_of(total: int, device: torch.device) -> int:
    """Elements that one program takes."""
    return ON_GPU if device.type == "cuda" else min(INTERPRETED, triton.next_power_of_2(max(total, 1)))


def launched(kernel: Any, total: int, *arguments: Any, BLOCK: int, **constants: Any) -> None:
    """Run a kernel over ``total`` elements.

    Products and sums are not fused into one operation: numpy rounds both, and bytes that follow from small differences would
    change. One thread starts kernels at a time: the interpreter knows no other way, and a kernel is then made once.
    """
    with _starting:
        kernel[(triton.cdiv(total, BLOCK),)](*arguments, **constants, BLOCK=BLOCK, num_warps=4, enable_fp_fusion=False)
