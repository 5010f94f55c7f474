"""The report of a run as one HTML file that needs nothing beside it."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

import jinja2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from metrics.protocols import PROTOCOLS
from metrics.summary import FIGURES, HEADLINES
from tasks.pages.pictures import palette

WIDTH = 768
"""Pixels that a picture is at most wide in a report."""


def render_report(
    *,
    title: str,
    run: Mapping[str, Any],
    plan_rows: Sequence[Mapping[str, Any]],
    summary: Mapping[str, Any],
    items: Sequence[Mapping[str, Any]],
    quarantined: Sequence[Mapping[str, str]],
    classes: Sequence[str] = (),
    never_seen: Sequence[str] = (),
) -> str:
    """The HTML of a report.

    Parameters
    ----------
    title : str
    run : the run's record: ``run``, ``config`` (name), ``started``, ``user``
    plan_rows : per stage ``stage``, ``cached``, ``ran``, ``quarantined``, ``seconds``, ``bytes``
    summary : what ``metrics.summary.summarise`` gives, with the ``protocol``; may be empty
    items : per panorama ``item``, ``metrics`` and ``pictures`` (name -> (H, W, 3) uint8)
    quarantined : per item ``item``, ``stage``, ``reason``
    classes : names for the legend of the semantics pictures
    never_seen : classes of the vocabulary that no panorama shows
    """
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"figure": format_figure, "uri": picture_uri, "figures": item_figures}
    template = environment.from_string(files("tasks.pages").joinpath("report.html").read_text(encoding="utf-8"))
    colours = palette(len(classes)).tolist()
    legend = [(name, f"#{red:02x}{green:02x}{blue:02x}") for name, (red, green, blue) in zip(classes, colours)]
    protocol = PROTOCOLS.get(summary.get("protocol", ""))
    return template.render(
        title=title,
        run=run,
        stages=plan_rows,
        summary=summary,
        protocol=protocol.description if protocol else "",
        items=items,
        quarantined=quarantined,
        legend=legend,
        never_seen=never_seen,
    )


def item_figures(metrics: Mapping[str, Any]) -> list[tuple[str, float | None]]:
    """The headline figures that one panorama has: shown name and value."""
    places = [(shown, *key.split(".")) for shown, key in FIGURES.items() if key in HEADLINES]
    return [(shown, metrics[group][name]) for shown, group, name in places if name in metrics.get(group, {})]


def format_figure(value: float | None) -> str:
    """Three decimals, or a dash where there is no figure."""
    return "–" if value is None else f"{value:.3f}"


def picture_uri(picture: NDArray[np.uint8]) -> str:
    """A picture (H, W, 3) uint8 as a data URI, at most :data:`WIDTH` pixels wide."""
    image = Image.fromarray(picture)
    image.thumbnail((WIDTH, WIDTH))
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=85)
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"
