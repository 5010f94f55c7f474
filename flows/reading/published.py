"""A published version for Python users."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NoReturn

import numpy as np
import zarr
from numpy.typing import NDArray

from flows.reading.absent import NotThere, nearest_of
from flows.reading.labels import Labels
from flows.reading.notebook import table_html
from storage.published import open_published, published_versions
from tasks.ingest.images.decode import Panorama
from tasks.label.project import View

ROWS = ("item", "split", "uri", "digest", "valid", "reason", "figures")
"""Arrays of a publication with one entry for each panorama; all others are labels."""


class Published(Mapping[str, Labels]):
    """A published version: a mapping from the names of its panoramas that have labels to these.

    Parameters
    ----------
    url : str
        ``<root>/published/<name>``, or ``<root>/published/<name>.icechunk``.
    version : str, optional
        The latest if none is given.

    Raises
    ------
    FileNotFoundError
        Nothing, or not this version, was published there.
    """

    def __init__(self, url: str, version: str | None = None) -> None:
        self.url = url.rstrip("/")
        self.group = open_published(self.url, version)
        self.about: Mapping[str, Any] = dict(self.group.attrs)

    @property
    def version(self) -> str:
        """The version that is read."""
        return str(self.about["version"])

    @property
    def versions(self) -> list[dict[str, Any]]:
        """The records of all versions, the newest first: version, created, panoramas, bytes, run, complete, latest."""
        return published_versions(self.url)[::-1]

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {str(item): row for row, item in enumerate(self._column("item"))}

    @cached_property
    def _valid(self) -> NDArray[np.bool_]:
        return np.asarray(self._column("valid"), bool)

    def _column(self, name: str) -> NDArray:
        array = self.group[name]
        assert isinstance(array, zarr.Array)
        return np.asarray(array[:])

    @property
    def given_up(self) -> dict[str, str]:
        """Panoramas without labels -> why."""
        reasons = self._column("reason")
        return {item: str(reasons[row]) for item, row in self._rows.items() if not self._valid[row]}

    def __iter__(self) -> Iterator[str]:
        return iter(item for item, row in self._rows.items() if self._valid[row])

    def __len__(self) -> int:
        return int(self._valid.sum())

    def __getitem__(self, item: str) -> Labels:
        """The labels of a panorama. NotThere (a KeyError) if there is none of this name, or it was given up."""
        if item not in self._rows:
            raise NotThere(f"item {item!r} is not in {self.url} {self.version}; {nearest_of(item, list(self))}")
        row = self._rows[item]
        if not self._valid[row]:
            raise NotThere(f"item {item!r} has no labels in {self.url} {self.version}: {self.given_up[item]}")
        return Labels(PublishedRow(item, self.url.rpartition("/")[2], self.version, self.about, self.group, row))

    def __repr__(self) -> str:
        return f"Published({self.url!r}, version={self.version!r}, {len(self)} panoramas)"

    def _repr_html_(self) -> str:
        heads = ("version", "created", "panoramas", "complete", "latest")
        return table_html(repr(self), heads, [[one.get(name) for name in heads] for one in self.versions])


@dataclass(frozen=True, eq=False)
class PublishedRow:
    """See :class:`flows.reading.labels.Kept`."""

    item: str
    stage: str
    version: str
    about: Mapping[str, Any]
    group: zarr.Group
    row: int

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The arrays of labels."""
        return tuple(sorted(name for name in self.group.array_keys() if name not in ROWS))

    @property
    def figures(self) -> Mapping[str, Any]:
        """What fusion measured."""
        found: dict[str, Any] = json.loads(str(self.read(("figures",))["figures"]))
        return found

    def read(self, names: tuple[str, ...]) -> dict[str, NDArray]:
        """Arrays as they are stored."""
        arrays = {name: self.group[name] for name in names}
        return {name: np.asarray(array[self.row]) for name, array in arrays.items() if isinstance(array, zarr.Array)}

    def cameras(self) -> tuple[View, ...]:
        """A publication has none."""
        self._refuse("views")

    def panorama(self) -> Panorama:
        """A publication has none: how its file is decoded is known to the pipeline."""
        self._refuse("pixels")

    def _refuse(self, what: str) -> NoReturn:
        uri = self.read(("uri",))["uri"]
        raise NotThere(
            f"a publication holds labels, no {what}: open the store by its pipeline's file, panolabel.open('PIPELINE.yaml'); "
            f"{self.item} is of {uri}"
        )

    def lineage(self) -> dict[str, Any]:
        """Image and digest, and fingerprints, config and run of the version."""
        image = {name: str(array) for name, array in self.read(("uri", "digest")).items()}
        return {"item": self.item, **image, **self.about}
