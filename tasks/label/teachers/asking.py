"""Whether a teacher can be asked through the views that it is given; told before anything runs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from geometry.spheres import Sphere, View
from models.teachers import Sees, sees, wanted_views
from tasks.label import project
from tasks.label.settings import Label
from tasks.stage.kind import Inputs, stages_of

SPHERE = "layout: {kind: sphere}"
SAME_PIXEL = 0.01
"""Pixels by which a view may miss the one that is wanted: what rounding of an angle in a file costs."""


def refuse_unfit_views(settings: Label, inputs: Inputs) -> None:
    """Raise ValueError if a teacher cannot see through the views that its stage reads; says what to write.

    May read the head of the teacher's weights.
    """
    for views in stages_of(inputs, "views"):
        cameras, seen = project.choose_views(views.settings, ""), sees(settings.kind)
        refuse_unseen(seen, cameras, views.key)
        wanted = wanted_views(settings.kind, settings.settings)
        if settings.rotation and not wanted.turns:
            raise ValueError("rotations: what was made elsewhere cannot be asked again through turned views; drop the key")
        if wanted.cameras is not None and not _same(cameras, wanted.cameras):
            raise ValueError(
                f"this teacher must be asked through views of its own, not those of {views.key!r}; put a stage before it and "
                f"name it: `faces: {{stage: project, {wanted.words}}}`, and here `views: faces`"
            )


def refuse_unseen(seen: Sees, cameras: Sequence[View], key: str) -> None:
    """Raise ValueError if views are the whole sphere to a teacher of views, or the other way round; ``key`` names their stage."""
    whole = any(isinstance(camera, Sphere) for camera in cameras)
    if whole and seen != "panorama":
        raise ValueError(
            f"this teacher sees {seen}, and {key!r} gives the whole sphere as one view; name another `project` as its `views`"
        )
    if not whole and seen == "panorama":
        raise ValueError(
            f"this teacher sees the panorama at once, and {key!r} cuts views; put a stage before it and name it: "
            f"`whole: {{stage: project, {SPHERE}, patch_size: 1024}}`, and here `views: whole`"
        )


def _same(cameras: Sequence[View], wanted: Sequence[View]) -> bool:
    """Whether the corners of all views look the same way, in the same order, at the same size."""
    if [(one.width, one.height) for one in cameras] != [(one.width, one.height) for one in wanted]:
        return False
    corners = [np.stack([one.directions()[[0, 0, -1], [0, -1, 0]] for one in some]) for some in (cameras, wanted)]
    pixel = 1 / max(one.focal for one in wanted)
    return bool(np.abs(corners[0] - corners[1]).max() <= SAME_PIXEL * pixel)
