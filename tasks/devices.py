"""Which device a run computes on."""

from __future__ import annotations

import sys


def resolve_device(device: str) -> str:
    """The torch device of a config's ``execution.device``: ``auto`` takes the first GPU, or the CPU where there is none.

    Raises
    ------
    RuntimeError
        The device was asked for by name and is not there.
    """
    import torch

    if device == "auto":
        return "cuda:0" if torch.cuda.is_available() else "cpu"
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise RuntimeError(f"execution.device is {device!r} but no GPU is visible; use `auto` or `cpu`, or check the driver")
    return device


def device_in_use(device: str) -> str:
    """The device for the record: ``auto`` is resolved if this process computes with torch at all."""
    return resolve_device(device) if device == "auto" and "torch" in sys.modules else device
