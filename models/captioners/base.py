"""What a captioner is: a model that is shown views of a clip, and says in a few lengths what they show."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Finish = Literal["stop", "length", "refused"]
"""Why an answer ends: it is whole, there was no room for more, or the model, or who runs it, would not give it."""
Lengths = Mapping[str, tuple[int, int]]
"""By the name of each text that is wanted, how many words it has at least and at most."""


@dataclass(frozen=True, eq=False)
class LabelledView:
    """What a perspective camera sees of a frame: (h, w, 3) uint8 RGB, right way up. ``label`` says when and where it looks."""

    label: str
    pixels: NDArray[np.uint8]


@dataclass(frozen=True)
class Repair:
    """An answer that was of no use, and what is wrong with it."""

    said: str
    fault: str


@dataclass(frozen=True, eq=False)
class CaptionRequest:
    """What a captioner is asked.

    ``views`` are in the order of time. ``prompt`` is all that it is told, ``schema`` the JSON schema of the object that it shall
    answer with. ``repair``: it is asked once more, and told what was wrong.
    """

    views: tuple[LabelledView, ...]
    prompt: str
    lengths: Lengths
    schema: Mapping[str, Any]
    seed: int
    repair: Repair | None = None


@dataclass(frozen=True)
class Usage:
    """Tokens that were read and written, as whoever runs the model counts them."""

    tokens_in: int = 0
    tokens_out: int = 0


@dataclass(frozen=True)
class CaptionAnswer:
    """What a captioner said, as it said it: JSON of the request's schema, if all is well. ``tries`` counts what it took."""

    said: str
    finish: Finish = "stop"
    usage: Usage = Usage()
    tries: int = 1


class Captioner(Protocol):
    """A model. ``model`` names it in receipts."""

    @property
    def model(self) -> str: ...

    def __call__(self, request: CaptionRequest) -> CaptionAnswer:
        """Say what the views show. May be called by several threads at once.

        Raises
        ------
        OSError
            It cannot be reached, or cannot be used at all: no clip's fault, so the block fails.
        """
        ...


class Loader(Protocol):
    """What the ``kind`` of a captioner names: a function that builds it."""

    def __call__(self, settings: Mapping[str, Any], device: str) -> Captioner: ...
