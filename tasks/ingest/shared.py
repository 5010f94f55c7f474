"""Panoramas that several stages look at soon after each other, or at once, decoded once for all of them in a process."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from functools import partial
from threading import Lock
from typing import Any

import numpy as np

from storage.items import Item
from tasks.ingest.images.decode import Panorama, open_panorama
from tasks.ingest.panorama import Reading, load_panorama
from tasks.ingest.settings import Ingest

MOST_BYTES = 512 * 2**20
"""Of what a process keeps: the 16 panoramas of a block of 4096x2048. With larger ones, only teachers side by side share them."""


class Shared:
    """What was decoded last, up to ``most`` bytes: arrays that may not be written into.

    A thread that asks for what another one is decoding waits for it: two teachers that look at one block go side by side.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self.forget()

    def forget(self) -> None:
        """Keep nothing, and wait for nobody: what begins a process that was forked."""
        self._lock = Lock()
        self._found: OrderedDict[Any, Future[Panorama]] = OrderedDict()

    def get(self, key: Any, decode: Callable[[], Panorama]) -> Panorama:
        """The panorama of a key, decoded unless it is kept; raises what ``decode`` raises, and keeps nothing then."""
        with self._lock:
            mine = key not in self._found
            future = self._found.setdefault(key, Future())
            self._found.move_to_end(key)
        if mine:
            self._fill(key, future, decode)
        return future.result()

    def _fill(self, key: Any, future: Future[Panorama], decode: Callable[[], Panorama]) -> None:
        try:
            made = decode()
        except BaseException as error:
            with self._lock:
                self._found.pop(key, None)
            future.set_exception(error)
            return
        future.set_result(_lean(made))
        with self._lock:
            self._drop()

    def _drop(self) -> None:
        """Forget what was asked for longest ago, until the rest is small enough."""
        sizes = {key: _bytes(one.result()) for key, one in self._found.items() if one.done() and not one.exception()}
        held = sum(sizes.values())
        for key, size in sizes.items():
            if held <= self._most:
                return
            del self._found[key]
            held -= size


def _lean(panorama: Panorama) -> Panorama:
    """The same, not to be written into, and without a byte for each pixel where all of them were observed."""
    observed = panorama.observed
    if observed.all():
        observed = np.broadcast_to(np.True_, observed.shape)
    for array in (panorama.pixels, observed):
        array.setflags(write=False)
    return replace(panorama, observed=observed)


def _bytes(panorama: Panorama) -> int:
    return panorama.pixels.nbytes + (panorama.observed.nbytes if any(panorama.observed.strides) else 0)


_shared = Shared(MOST_BYTES)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: _shared.forget())


def shared_panorama(item: Item, settings: Reading) -> Panorama:
    """:func:`load_panorama` for whoever is not the only one who looks at it; its arrays may not be written into.

    The file is read and its digest compared each time, so whoever asks is told of one that is gone or was changed.
    """

    def decode(data: bytes, how: Ingest, vertical_degrees: float) -> Panorama:
        said = tuple(getattr(how, name) for name in Ingest.model_fields)
        return _shared.get((item.digest, said, vertical_degrees), partial(open_panorama, data, how, vertical_degrees))

    return load_panorama(item, settings, decode)
