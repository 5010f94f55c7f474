"""Which device a run computes on."""

from __future__ import annotations


class OutOfMemory(RuntimeError):
    """The device has too little memory for the settings: the machine's fault, which fails a block and gives up no item."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error is torch's own of memory, which cannot be named without importing torch."""
    return type(error).__name__ == "OutOfMemoryError"


def free_memory() -> None:
    """Give back what torch keeps of a GPU's memory for later."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.empty_cache()


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


def device_name(device: str) -> str:
    """A torch device with the name of its hardware where it has one, such as ``cuda:0 (NVIDIA H200)``."""
    import torch

    return f"{device} ({torch.cuda.get_device_name(device)})" if device.startswith("cuda") else device
