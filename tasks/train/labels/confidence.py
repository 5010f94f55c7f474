"""Confidences that would silence a task: told before training, since a loss of zero looks like a task that is learnt."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tasks.train.labels.items import CONFIDENCES, UNJUDGED, Place

LOOKED_AT = 4
"""Panoramas of every store that are looked at."""


def check_confidences(places: Sequence[Place], tasks: Sequence[str]) -> None:
    """Refuse labels whose confidence is zero in all valid pixels of the panoramas that are looked at.

    Not depth: its consistency is zero where no two views judge each other, which is held against no pixel.

    Parameters
    ----------
    places : those of one or several stores
    tasks : those that are weighted by confidence

    Raises
    ------
    ValueError
        A store's confidence of a task is zero; the message names both, and what to write instead.
    """
    for stage in {id(place.stage): place.stage for place in places}.values():
        own = [place for place in places if place.stage is stage]
        chosen = [own[index] for index in np.unique(np.linspace(0, len(own) - 1, LOOKED_AT).astype(int))]
        for task in (one for one in tasks if one in CONFIDENCES and one not in UNJUDGED):
            if all(_silent(place, task) for place in chosen):
                raise ValueError(
                    f"labels {stage.key}: {CONFIDENCES[task]} is 0 in every valid pixel of the {len(chosen)} panoramas looked "
                    f"at. With supervision: confidence the {task} of this store would teach nothing; write supervision: merged, "
                    f"or leave {task} out of tasks"
                )


def _silent(place: Place, task: str) -> bool:
    """Whether a panorama has labels of a task, and none that counts."""
    names = (f"{task}_valid", CONFIDENCES[task])
    if not set(names) <= set(place.block.names):
        return False
    stored = place.block.reader.item(place.slot, names)
    return bool(stored[names[0]].any()) and not bool((stored[names[1]] * stored[names[0]]).any())
