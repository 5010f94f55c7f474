"""The report of an adaptation as one HTML file: figures before and after, thresholds, pool, losses, pictures of pseudo-labels."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import jinja2

from tasks.pages.report import format_figure, picture_uri


def render_adapt_report(**values: Any) -> str:
    """The HTML of a report; ``values`` are those that ``report.html`` names."""
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"figure": format_figure, "uri": picture_uri}
    template = environment.from_string(files("tasks.adapt").joinpath("page.html").read_text(encoding="utf-8"))
    return template.render(**values)
