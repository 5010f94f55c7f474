"""How kernels are started: on a GPU, or by Triton's interpreter on the CPU."""

from __future__ import annotations

from threading import Lock
from typing import Any

import torch
import triton

ON_GPU = 128
"""Pixels of a program on a GPU: one for each thread of four warps, so that all of a pixel stays in its registers."""
INTERPRETED = 1 << 17
"""At most, in the interpreter, whose time goes into starting operations rather than into pixels."""


_starting = Lock()


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
