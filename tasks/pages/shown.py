"""What stages show, as one HTML page that needs nothing beside it: a run's report, an audit, a student's page."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import jinja2
from markupsafe import Markup

from tasks.stage.tables import SVG, Picture, Pictures, Piece, Table, Value, Words, told


@dataclass(frozen=True)
class Section:
    """What one stage shows: its key in the pipeline, its kind, and its pieces in order."""

    key: str
    kind: str
    pieces: Sequence[Piece]


def render_page(
    *,
    title: str,
    sections: Sequence[Section],
    run: Mapping[str, Any] | None = None,
    stages: Sequence[Mapping[str, Any]] = (),
    quarantined: Sequence[Mapping[str, str]] = (),
) -> str:
    """The HTML of a page.

    Parameters
    ----------
    title : str
    sections : what each stage shows; consecutive pieces of one title stand below it together
    run : the run's record: ``run``, ``config`` (name), ``started``, ``user``
    stages : per stage ``stage``, ``cached``, ``ran``, ``quarantined``, ``seconds``, ``bytes``
    quarantined : per item ``item``, ``stage``, ``reason``
    """
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined)
    environment.filters |= {"told": told, "picture": inline, "share": bar}
    environment.tests |= {"table": _is(Table), "pictures": _is(Pictures), "words": _is(Words)}
    template = environment.from_string(files("tasks.pages").joinpath("shown.html").read_text(encoding="utf-8"))
    return template.render(title=title, run=run, stages=stages, sections=sections, quarantined=quarantined)


def _is(kind: type) -> Any:
    return lambda piece: isinstance(piece, kind)


def inline(picture: Picture) -> Markup:
    """A picture as an element of the page. Charts stand in it as they are, so that they take on its colours."""
    if picture.media == SVG:
        return Markup(picture.data.decode())
    uri = f"data:{picture.media};base64,{base64.b64encode(picture.data).decode()}"
    return Markup('<img alt="{}" src="{}" loading="lazy">').format(picture.caption, uri)


def bar(value: Value) -> float:
    """Per cent of a bar's length: a share of 1, cut at both ends; 0 where there is no number."""
    return 100 * min(max(value, 0.0), 1.0) if isinstance(value, (int, float)) and value == value else 0.0
