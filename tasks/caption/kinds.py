"""Captioners by kind: where the loader of each is, and the digest of what it depends on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from models.captioners.base import Captioner, Loader
from models.teachers import weights_digest
from tasks.caption.settings import DESCRIBED
from tasks.stage.plain import named_function

KINDS = {"openai": "tasks.caption.endpoint.client:load"}
"""Where the loader of each kind is; names, so that nothing is imported before it is needed."""


def load_captioner(kind: str, settings: Mapping[str, Any], device: str) -> Captioner:
    """A captioner.

    Raises
    ------
    ValueError
        There is no such kind.
    """
    return _loader(kind)(settings, device)


def captioner_digest(kind: str, settings: Mapping[str, Any]) -> str:
    """sha256 of what a captioner of one's own knows: as of a teacher of one's own, see :func:`models.teachers.weights_digest`."""
    _loader(kind)
    return weights_digest(kind, settings)


def _loader(kind: str) -> Loader:
    path = KINDS.get(kind, kind)
    try:
        loader: Loader = named_function(path)
    except (ImportError, AttributeError, ValueError) as error:
        known = ", ".join([DESCRIBED, *KINDS])
        raise ValueError(f"kind: no captioner is called {kind!r} ({error}); write {known} or package.module:function") from error
    return loader
