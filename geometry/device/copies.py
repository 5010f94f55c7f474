"""Labels from a device to the CPU: one copy of all of them, into pinned memory."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray


def to_host(labels: Mapping[str, torch.Tensor]) -> dict[str, NDArray]:
    """What :func:`geometry.device.fuse.fuse_on_device` gave, as arrays; masks are bool.

    On a GPU the copy goes on in the current stream, which is waited for: in one of its own, nothing else is held up meanwhile.
    The arrays are views of memory that torch uses again for later copies once the last of them is gone.
    """
    first = next(iter(labels.values()))
    on_gpu = first.device.type == "cuda"
    memory = torch.empty(0, dtype=torch.uint8, device=first.device).set_(first.untyped_storage())
    host = torch.empty(memory.shape, dtype=torch.uint8, pin_memory=on_gpu)
    host.copy_(memory, non_blocking=True)
    if on_gpu:
        torch.cuda.current_stream(first.device).synchronize()
    return {name: _array(name, one, host) for name, one in labels.items()}


def _array(name: str, one: torch.Tensor, host: torch.Tensor) -> NDArray:
    start = one.storage_offset() * one.itemsize
    array: NDArray = host[start : start + one.nbytes].view(one.dtype).reshape(one.shape).numpy()
    return array.view(np.bool_) if name == "sky" or name.endswith("_valid") else array
