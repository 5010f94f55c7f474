"""What a teacher is: a frozen model that says something of every pixel of what it sees of a panorama."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from geometry.fields import CannotLabel, Field
from geometry.spheres import View

__all__ = ["CannotLabel", "Loader", "Sees", "Teacher", "WantedViews"]

Sees = Literal["patches", "views", "panorama"]
"""What a teacher sees in one call: ``patches``, some views, however many; all ``views`` of one panorama; or the ``panorama`` as
one view of the whole sphere."""


@dataclass(frozen=True)
class WantedViews:
    """What a teacher must be asked through, where not any views will do.

    Attributes
    ----------
    cameras : the views of a panorama, in their order; None for any that it can see
    words : what a pipeline's file says of the stage ``project`` that cuts them
    turns : whether it can be asked again through turned views
    """

    cameras: tuple[View, ...] | None = None
    words: str = ""
    turns: bool = True


class Teacher(Protocol):
    """A frozen model.

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

    def __call__(self, patches: NDArray[np.uint8], cameras: Sequence[Any], item: Mapping[str, object]) -> Mapping[str, Field]:
        """Dense fields of N patches, each tagged with the model's own unit and frame.

        Parameters
        ----------
        patches : (N, h, w, 3) uint8, RGB
            What the N cameras see: some views of a panorama, all of them, or the panorama itself, by what the teacher's module
            says that it :data:`Sees`.
        cameras : N views of the patches' size
            :class:`~geometry.cameras.Camera`, or the one :class:`~geometry.spheres.Sphere` of who sees the panorama.
        item : capture metadata of the panorama; networks ignore it

        Returns
        -------
        mapping
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
