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


def failed(item: Mapping[str, Any], task: str, value: float | None) -> bool:
    """Whether a panorama lacks a figure of ``depth``, ``normals`` or ``seams`` for want of labels, and not of something to judge.

    It has none where its labels are nowhere valid, or nowhere where truth is known; where the depth's truth is known nowhere, or
    there is no truth, nothing was to be said.
    """
    if value is not None or task not in item:
        return False
    if task == "seams":
        return item["coverage"].get("depth") == 0
    return any(one is not None for one in item.get("truth_seams", {"unknown": 0}).values())


def mean_of(values: Sequence[float | None]) -> float | None:
    """The mean of those that are there; None if none is."""
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def protocol_rows(items: Items, names: Sequence[str], given_up: int = 0) -> list[dict[str, Any]]:
    """What each protocol says, as JSON values.

    Parameters
    ----------
    items, names : as for :func:`protocol_figures`; the main protocol first
    given_up : panoramas with truth that have no labels at all

    Returns
    -------
    list of dict
        ``protocol``, ``description``, ``panoramas`` that it judged, ``failures``: those that have truth and no labels that it
        could judge, and ``figures``: means over ``panoramas`` by place, None where there is none.
    """
    rows = []
    for name in names:
        figures = protocol_figures(items, name, names[0])
        judged = sum(any(value is not None for value in one) for one in zip(*figures.values(), strict=True))
        failures = given_up + sum(_failed_any(item, figures, number) for number, item in enumerate(items))
        counts = {"panoramas": judged, "failures": failures}
        means = {key: mean_of(values) for key, values in figures.items()}
        rows.append({"protocol": name, "description": PROTOCOLS[name].description, **counts, "figures": means})
    return rows


def _failed_any(item: Mapping[str, Any], figures: Mapping[str, Sequence[float | None]], number: int) -> bool:
    return any(failed(item, key.split(".")[0], values[number]) for key, values in figures.items())
