"""Captions without a model: sentences that say what labels of frames say, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from models.captioners.base import Lengths
from tasks.caption.surroundings import SIDES, Surroundings

INDOORS, OUTDOORS = 0.005, 0.05
"""Share of the sphere that is sky up to which a place counts as indoors, and from which on as outdoors."""
NAMED = 3
"""Classes that a sentence names at most."""


def describe(found: Surroundings, lengths: Lengths) -> dict[str, str]:
    """The text of each length: the sentences that there are, the most telling first, as many as fit."""
    sides = [_side(found, side) for side in SIDES if found.sides[side]]
    sentences = [_first(found), _shares(found.classes), *_distances(found.distances), *sides]
    return {name: _as_many_as_fit(sentences, most) for name, (_, most) in lengths.items()}


def _as_many_as_fit(sentences: Sequence[str], most: int) -> str:
    """Sentences from the first on, as long as they have no more words than that; the first in any case."""
    taken = [sentences[0]]
    for sentence in sentences[1:]:
        if len(" ".join([*taken, sentence]).split()) > most:
            break
        taken.append(sentence)
    return " ".join(taken)


def _first(found: Surroundings) -> str:
    place = "a place"
    if found.sky is not None:
        place = "an outdoor place" if found.sky >= OUTDOORS else "an indoor place" if found.sky <= INDOORS else place
    return f"A 360-degree view of {place} with {_listed([*found.classes][:NAMED])}."


def _shares(classes: Mapping[str, float]) -> str:
    told = [f"{name} {100 * share:.0f} percent" for name, share in [*classes.items()][: NAMED + 1]]
    return f"Of all that is seen, {_listed(told)}."


def _distances(distances: tuple[float, float, float] | None) -> list[str]:
    if distances is None:
        return []
    nearest, middle, farthest = distances
    return [f"Surfaces lie between {nearest:.1f} and {farthest:.1f} metres away, half of them within {middle:.1f} metres."]


def _side(found: Surroundings, side: str) -> str:
    near = found.nearest[side]
    beginning = "" if near is None else f", from {near:.1f} metres on"
    return f"{side.capitalize()} the camera sees {_listed(found.sides[side][:NAMED])}{beginning}."


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}" if names else "nothing that has a name"
