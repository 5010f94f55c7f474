"""One row of figures for each of several protocols, over many panoramas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from metrics.protocols import PROTOCOLS

Items = Sequence[Mapping[str, Any]]


def protocol_figures(items: Items, name: str, main: str) -> dict[str, list[float | None]]:
    """A protocol's figures by their places, each panorama's in order; None where it has none.

    Parameters
    ----------
    items : figures of panoramas as :func:`metrics.panorama.evaluate_item` gives them, and as ``protocols`` those of
        :func:`metrics.panorama.other_figures`
    name : one of :data:`metrics.protocols.PROTOCOLS`
    main : the protocol of the panoramas' own figures
    """
    return {key: [_figure(item, key, name, main) for item in items] for key in PROTOCOLS[name].figures}


def _figure(item: Mapping[str, Any], key: str, name: str, main: str) -> float | None:
    if name != main and not key.startswith("seams."):
        found: float | None = item.get("protocols", {}).get(name, {}).get(key)
        return found
    group, figure = key.split(".")
    own: float | None = item.get(group, {}).get(figure)
    return own


def mean_of(values: Sequence[float | None]) -> float | None:
    """The mean of those that are there; None if none is."""
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def protocol_rows(items: Items, names: Sequence[str]) -> list[dict[str, Any]]:
    """Of each protocol, the main one first, ``protocol``, ``description``, ``panoramas`` that it judged, and ``figures``: means
    over those panoramas by place, and None where there is none."""
    rows = []
    for name in names:
        figures = protocol_figures(items, name, names[0])
        judged = sum(any(value is not None for value in one) for one in zip(*figures.values(), strict=True))
        means = {key: mean_of(values) for key, values in figures.items()}
        rows.append({"protocol": name, "description": PROTOCOLS[name].description, "panoramas": judged, "figures": means})
    return rows
