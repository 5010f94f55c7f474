"""Answers that were paid for, kept by what was asked: a block that is made again has the same captions, and pays for none."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import cache
from typing import Any
from uuid import uuid4

from models.captioners.base import CaptionAnswer, Usage
from storage.fingerprint import canonical_json, digest
from storage.urls import children, join, read_bytes, remove, write_bytes, write_if_absent
from tasks.stage.job import BadItem

FOLDER, SPENT = "captions", "spent"
"""Below the root: answers by the sha256 of what was asked; and by stage what each cost, in names of empty files: a request that
somebody wanted tried again has two."""
MILLION = 1_000_000


def request_digest(asked: dict[str, Any]) -> str:
    """sha256 of all that an answer depends on."""
    return digest(canonical_json(asked))


class Answers:
    """Those of a store."""

    def __init__(self, root: str) -> None:
        self._folder = join(root, FOLDER)

    def get(self, request: str) -> CaptionAnswer | None:
        """The answer to a request; None if there is none."""
        try:
            values = json.loads(read_bytes(self._url(request)))
            return CaptionAnswer(values["said"], values["finish"], Usage(**values["usage"]), values["tries"])
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError):  # damaged: in its place nothing would ever be kept
            self.forget(request)
            return None

    def put(self, request: str, answer: CaptionAnswer) -> CaptionAnswer:
        """Keep an answer; of several to one request the first is kept, which is returned."""
        write_if_absent(self._url(request), (json.dumps(asdict(answer), indent=1) + "\n").encode())
        found = self.get(request)
        assert found is not None
        return found

    def forget(self, request: str) -> None:
        """Ask anew next time."""
        remove(self._url(request))

    def _url(self, request: str) -> str:
        return join(self._folder, f"{request}.json")


class Budget:
    """What the requests of a stage cost so far, and whether one more may be made.

    It knows those of this process at once, and those of others as they were when a block began.
    """

    def __init__(self, root: str, fingerprint: str, most: float | None) -> None:
        self._folder, self._most = join(root, FOLDER, SPENT, fingerprint), most
        self._lock, self._under_way, self._spent = threading.Lock(), 0, dict[str, float]()

    def look(self) -> None:
        """See what others have spent."""
        names = children(self._folder) if self._most is not None else []
        costs = {name: int(name.partition("-")[0]) / MILLION for name in names}
        with self._lock:
            self._spent = costs | self._spent

    @contextmanager
    def hold(self, expected: float) -> Iterator[None]:
        """While a request is under way. BadItem if, as dear as is expected or as the dearest, it would be too much."""
        with self._lock:
            spent, dearest = sum(self._spent.values()), max([expected, *self._spent.values()])
            if self._most is not None and spent + (self._under_way + 1) * dearest > self._most:
                raise BadItem(
                    f"budget spent: {spent:.4f} of max_cost {self._most:g}, and one more takes about {dearest:.4f}; raise it, "
                    "then run with --retry"
                )
            self._under_way += 1
        try:
            yield
        finally:
            with self._lock:
                self._under_way -= 1

    def pay(self, cost: float) -> None:
        """Note what a request cost."""
        name = f"{round(cost * MILLION)}-{uuid4().hex}"
        if cost:
            write_bytes(join(self._folder, name), b"")
        with self._lock:
            self._spent[name] = cost


@cache
def _shared(root: str, fingerprint: str, most: float | None) -> Budget:
    return Budget(root, fingerprint, most)


def budget_of(root: str, fingerprint: str, most: float | None) -> Budget:
    """The one budget of this process for a stage, which has just looked at what others spent."""
    found = _shared(root, fingerprint, most)
    found.look()
    return found
