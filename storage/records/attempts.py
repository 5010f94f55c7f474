"""How often a block was begun and not finished: a file beside its data, taken away once the receipt is there."""

from __future__ import annotations

import json

from storage.urls import exists, join, read_bytes, remove, write_bytes

FILE = "attempts.json"


def begin(url: str, run: str) -> int:
    """Note that a run begins a block; returns how many earlier attempts left no receipt."""
    before = unfinished(url)
    write_bytes(join(url, FILE), json.dumps([*before, run]).encode())
    return len(before)


def end(url: str) -> None:
    """The block is finished, or failed with an error of its own: nothing died."""
    remove(join(url, FILE))


def unfinished(url: str) -> list[str]:
    """The runs that began a block and died before they finished it."""
    if not exists(join(url, FILE)):
        return []
    try:
        return list(json.loads(read_bytes(join(url, FILE))))
    except ValueError:
        return []
