"""How many threads work on arrays, and memory that one uses again: fresh pages cost about as much as filtering an image."""

import os
import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

WORKERS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)
LARGEST = 64 * 2**20  # bytes kept per name and thread; what is larger is made afresh

_kept = threading.local()


def scratch(name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """An array of any content, the same memory at each call of a thread with this ``name``: use it up before the next call."""
    size = int(np.prod(shape)) * dtype.itemsize
    if size > LARGEST:
        return np.empty(shape, dtype)
    buffer = getattr(_kept, name, None)
    if buffer is None or buffer.size < size:
        buffer = np.empty(size, np.uint8)
        setattr(_kept, name, buffer)
    return buffer[:size].view(dtype).reshape(shape)
