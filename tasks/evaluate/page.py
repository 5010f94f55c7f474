"""The audit as one HTML file that needs nothing beside it: parts of the error, bands, heat maps, the worst panoramas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

import jinja2
from markupsafe import Markup

from metrics.audit.attribution import PARTS
from metrics.audit.measure import FIGURES
from tasks.evaluate.summary import NAMES, Audited
from tasks.pages import charts
from tasks.pages.report import format_figure, picture_uri

SPLITS = {
    "latitude": "latitude, degrees from the horizon",
    "off_axis": "degrees from the axis of the nearest view",
    "view_off_axis": "degrees from the axis of the view that speaks",
    "edge_distance": "degrees to the nearest depth or label edge",
    "depth": "distance, metres",
    "class": "class",
}
"""Split -> its words on the page. ``class`` is shown as a table: names do not fit below a chart."""
SERIES = {"fused": "fused", "single": "way-back", "patch": "teacher", "floor": "floor"}
"""Level -> its colour."""


def render_audit(
    *,
    title: str,
    summary: Mapping[str, Any],
    audited: Audited,
    pictures: Mapping[str, Mapping[str, Any]],
    quarantined: Sequence[Mapping[str, str]],
    min_consistency: float,
) -> str:
    """The HTML of an audit.

    Parameters
    ----------
    title : str
    summary : what ``tasks.evaluate.summary.summarise`` gives
    audited : the panoramas, for the heat maps
    pictures : item -> name -> (H, W, 3) uint8, for the worst panoramas
    quarantined : per item ``item``, ``stage``, ``reason``
    min_consistency : ``fuse.min_consistency``
    """
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"figure": format_figure, "uri": picture_uri}
    template = environment.from_string(files("tasks.evaluate").joinpath("audit.html").read_text(encoding="utf-8"))
    return template.render(
        title=title,
        summary=summary,
        names=NAMES,
        splits=SPLITS,
        waterfalls={figure: _waterfall(parts) for figure, parts in summary["attribution"].items()},
        error_bands={figure: _charts(bands, SERIES) for figure, bands in summary["bands"].items()},
        agreement_bands={task: _charts(bands, {"value": "fused"}) for task, bands in summary["agreement"].items()},
        heat_maps=heat_maps(audited) if summary["with_truth"] else [],
        histogram=Markup(charts.histogram(list(summary["consistency"].values()), min_consistency)),
        pictures=pictures,
        quarantined=quarantined,
        min_consistency=min_consistency,
    )


def heat_maps(audited: Audited) -> list[dict[str, Any]]:
    """Mean error by direction and by place in the patch: ``figure``, ``what``, ``picture`` and ``most``."""
    found = []
    for array, what, scale in (
        ("erp_maps", "fused labels, over the panorama", 10),
        ("patch_maps", "teacher, over its patch", 20),
    ):
        for number, figures in enumerate(FIGURES.values()):
            sums = audited.maps[array][number]
            if sums[1].any():
                picture, most = charts.heat_picture(sums, scale)
                found.append({"figure": NAMES[figures[0]], "what": what, "picture": picture, "most": most})
    return found


def _waterfall(parts: Mapping[str, Mapping[str, float | None]]) -> Markup:
    steps = [(part.replace("_", " "), parts[part]["value"] or 0.0, parts[part]["low"], parts[part]["high"]) for part in PARTS]
    return Markup(charts.waterfall(steps))


def _charts(bands: Mapping[str, Sequence[Mapping[str, Any]]], series: Mapping[str, str]) -> dict[str, Markup]:
    return {split: Markup(charts.band_chart(bands[split], series)) for split in SPLITS if split in bands and split != "class"}
