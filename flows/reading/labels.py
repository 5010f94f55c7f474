"""One panorama's labels for Python users: read from the store array by array, when they are asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from flows.reading.absent import NotThere, nearest_of
from flows.reading.notebook import labels_html
from tasks.ingest.images.decode import Panorama
from tasks.label.project import View
from tasks.label.values import INSTANCES, Instance, instances_of, needed, value

if TYPE_CHECKING:
    import xarray


class Kept(Protocol):
    """Where one panorama's labels are kept: in a block of a store, or in a row of a publication."""

    @property
    def item(self) -> str:
        """Name of the panorama."""

    @property
    def stage(self) -> str:
        """What made the labels: the key of a stage, or a publication's name."""

    @property
    def version(self) -> str:
        """Fingerprint of the stage, or version of the publication."""

    @property
    def about(self) -> Mapping[str, Any]:
        """What holds for all panoramas: vocabulary, units, frames."""

    @property
    def figures(self) -> Mapping[str, Any]:
        """What the stage measured of this one."""

    @property
    def names(self) -> tuple[str, ...]:
        """The arrays that are stored."""

    def read(self, names: tuple[str, ...]) -> dict[str, NDArray]:
        """Arrays of the panorama as they are stored."""

    def cameras(self) -> tuple[View, ...]:
        """The views by which it was labelled."""

    def panorama(self) -> Panorama:
        """Its pixels, read from the source."""

    def lineage(self) -> dict[str, Any]:
        """What its labels were made of, as JSON values."""


class Labels(Mapping[str, NDArray]):
    """The labels of one panorama, a mapping from the names of its arrays to their values (docs/python.md has a table).

    Nothing is read before it is asked for, and nothing is kept: every access reads from the store. Arrays are (H, W[, C]) in
    equirectangular projection; the frame is right-handed with x right, y down and z forward, the centre of the image looking
    along +z.
    """

    def __init__(self, kept: Kept) -> None:
        self._kept = kept

    def __getitem__(self, name: str) -> NDArray:
        """An array as values: NaN where it is not valid. NotThere (a KeyError) if there is no such array."""
        names = self._kept.names
        if name not in names:
            raise NotThere(f"{self.item} has no array {name!r} at {self.stage} {self.version}; {nearest_of(name, names)}")
        return value(name, self._kept.read(needed(name, names)))

    def __iter__(self) -> Iterator[str]:
        return iter(self._kept.names)

    def __len__(self) -> int:
        return len(self._kept.names)

    @property
    def item(self) -> str:
        """Name of the panorama."""
        return self._kept.item

    @property
    def stage(self) -> str:
        """What made the labels: the key of a stage, or the name of a publication."""
        return self._kept.stage

    @property
    def version(self) -> str:
        """Fingerprint of the stage, or version of the publication."""
        return self._kept.version

    @property
    def about(self) -> Mapping[str, Any]:
        """What holds for all panoramas: ``classes``, ``depth_unit``, ``normals_frame`` and more, as the receipt has it."""
        return self._kept.about

    @property
    def figures(self) -> Mapping[str, Any]:
        """What the stage measured of this panorama, such as the share of valid pixels."""
        return self._kept.figures

    @property
    def depth(self) -> NDArray[np.float32]:
        """Radial distance (H, W) float32 in metres, NaN where there is none: invalid, sky, or not photographed.

        Of a teacher that is not metric the unit is the panorama's median distance: ``about["depth_unit"]`` says ``scale``.
        """
        return self["depth"]

    @property
    def normals(self) -> NDArray[np.float32]:
        """Unit normals (H, W, 3) float32 in the world frame, facing the camera; NaN where there is none."""
        return self["normals"]

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, by their index."""
        return tuple(self.about.get("classes", ()))

    @property
    def semantics(self) -> NDArray[np.unsignedinteger]:
        """Index (H, W) into :attr:`classes`, uint8 or uint16; it means nothing where :attr:`semantics_valid` is false."""
        return self["semantics"]

    @property
    def semantics_valid(self) -> NDArray[np.bool_]:
        """Where (H, W) there is a class."""
        return self["semantics_valid"]

    @property
    def sky(self) -> NDArray[np.bool_]:
        """Where (H, W) there is sky."""
        return self["sky"]

    @property
    def views(self) -> NDArray[np.uint8]:
        """How many views see each pixel (H, W); 0 where nothing was photographed."""
        return self["views"]

    @property
    def instances(self) -> tuple[Instance, ...]:
        """The objects, the largest first, each with its whole mask; ``labels["instances"]`` is the map (H, W) of their ids."""
        if "instances" not in self._kept.names:
            raise NotThere(f"{self.item} has no instances at {self.stage} {self.version}: no teacher gives them")
        return instances_of(self._kept.read(INSTANCES), self.classes)

    @property
    def cameras(self) -> tuple[View, ...]:
        """The views by which it was labelled: size in pixels, horizontal field of view in radians, rotation camera -> world.

        NotThere (a KeyError) if no views are stored of it.
        """
        return self._kept.cameras()

    @property
    def panorama(self) -> NDArray[np.uint8]:
        """The panorama's own pixels (H, W, 3) uint8, RGB, upright, at the size of its file; black where not photographed.

        BadItem if the file is gone, or is not the one that was labelled.
        """
        return self._kept.panorama().pixels

    @property
    def observed(self) -> NDArray[np.bool_]:
        """Which pixels (H, W) of :attr:`panorama` were photographed."""
        return self._kept.panorama().observed

    def lineage(self) -> dict[str, Any]:
        """Who made the labels: the image with its digest, and of every stage weights, settings, code and run.

        The JSON values of ``panolabel trace --json``; of a publication, what it says of itself and of the image.
        """
        return self._kept.lineage()

    def to_xarray(self) -> xarray.Dataset:
        """All of it as an ``xarray.Dataset``, read now: see :func:`flows.reading.as_xarray.dataset_of`.

        ModuleNotFoundError, which says what to install, without xarray.
        """
        from flows.reading.as_xarray import dataset_of  # an optional library

        return dataset_of(self)

    def __repr__(self) -> str:
        return f"Labels({self.item!r}, stage={self.stage!r}, version={self.version!r}, arrays=[{', '.join(self)}])"

    def _repr_html_(self) -> str:
        return labels_html(self)
