"""What a public data set is to us: where its files are, and how they become arrays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tasks.ingest.datasets.layout import Layout
from tasks.ingest.datasets.truth import Arrays, Found


@dataclass(frozen=True)
class DataSet:
    """A public data set.

    ``decode`` turns the files of truth of the panorama at a URL into arrays: ``depth``, ``normals``, ``semantics``, each with its
    ``*_valid``, and ``instances``; radial metres, world frame, indices into ``classes``, 0 for no instance. ``pole_crop`` is the
    share of the height at the top and at the bottom where there is no truth, whatever the files say.
    """

    layout: Layout
    decode: Callable[[Found, str], Arrays]
    classes: tuple[str, ...] = ()
    pole_crop: float = 0.0
