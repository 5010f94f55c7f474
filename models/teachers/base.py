"""What a teacher is: a frozen perspective model that says something of every pixel of a patch."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from geometry.cameras import Camera
from geometry.fields import CannotLabel, Field

__all__ = ["CannotLabel", "Loader", "Teacher"]


class Teacher(Protocol):
    """A frozen perspective model.

    Attributes
    ----------
    classes : tuple of str
        Semantic vocabulary, index = class id; empty if it says nothing of semantics.
    fields : tuple of str
        Names of the fields that a call returns; see :mod:`geometry.fields`.
    """

    @property
    def classes(self) -> tuple[str, ...]: ...

    @property
    def fields(self) -> tuple[str, ...]: ...

    def __call__(self, patches: NDArray[np.uint8], cameras: Sequence[Camera], item: Mapping[str, object]) -> dict[str, Field]:
        """Dense fields of N patches, each tagged with the model's own unit and frame.

        Parameters
        ----------
        patches : (N, h, w, 3) uint8, RGB
        cameras : N cameras, of the patches' size
        item : capture metadata of the panorama; networks ignore it

        Returns
        -------
        dict
            One :class:`~geometry.fields.Field` of (N, h, w) per name in ``fields``.

        Raises
        ------
        CannotLabel
            Nothing can be said of this panorama.
        """
        ...


class Loader(Protocol):
    """What a teacher's ``kind`` names: a function that builds the teacher."""

    def __call__(self, settings: Mapping[str, Any], device: str) -> Teacher: ...
