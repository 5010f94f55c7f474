"""The page of a trained student: its predictions beside the labels, with figures, as one HTML file that stands alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from typing import Any

import jinja2

from tasks.pages.pictures import palette
from tasks.pages.report import format_figure, picture_uri
from tasks.train.student.held_out import COMPARISONS


def render_student_page(
    name: str,
    fingerprint: str,
    steps: int,
    shown_from: str,
    figures: Mapping[str, Any],
    shown: Sequence[Mapping[str, Any]],
    classes: Sequence[str],
) -> str:
    """The HTML of a student's page.

    Parameters
    ----------
    name, fingerprint, steps : of the training
    shown_from : in words, where the panoramas come from
    figures, shown : as :func:`tasks.train.student.held_out.look_at_held_out` gives them
    classes : names for the legend
    """
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"figure": format_figure, "uri": picture_uri, "batch_pictures": _rows}
    colours = palette(len(classes)).tolist()
    comparisons = [one for one in COMPARISONS if one in figures]
    return environment.from_string(files("tasks.train.student").joinpath("page.html").read_text(encoding="utf-8")).render(
        name=name,
        fingerprint=fingerprint,
        steps=steps,
        shown_from=shown_from,
        figures=figures,
        comparisons=comparisons,
        rows=list(dict.fromkeys(figure for one in comparisons for figure in figures[one])),
        shown=shown,
        legend=[(one, f"#{red:02x}{green:02x}{blue:02x}") for one, (red, green, blue) in zip(classes, colours)],
    )


def _rows(pictures: Iterable[tuple[str, Any]]) -> list[list[tuple[str, Any]]]:
    """The panorama alone, then a row for each task."""
    rows: dict[str, list[tuple[str, Any]]] = {}
    for name, picture in pictures:
        rows.setdefault(name.split(":")[0], []).append((name, picture))
    return list(rows.values())
