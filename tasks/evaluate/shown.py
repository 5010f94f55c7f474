"""What the stage ``evaluate`` shows: figures with intervals, by latitude, by class, and pictures of some panoramas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import islice
from typing import Any

from metrics.protocols import PROTOCOLS
from metrics.summary import FIGURES, HEADLINES
from tasks.evaluate.evaluate import summarise_rows
from tasks.evaluate.missing import without_labels
from tasks.evaluate.showcase import item_pictures
from tasks.pages.encoded import encoded, legend
from tasks.stage.made import Made, MadeBlock
from tasks.stage.tables import Column, Picture, Piece, Table, Value, interval, pictures, told

HINT = (
    "Depth: logarithmic, near red, far blue, range in metres on the picture. Normals: world frame; red grows to the right, green "
    "upwards, blue backwards. Confidence and consistency: bright is sure. Depth error: relative to the truth. Grey: no label."
)

COLUMNS = {
    "depth.abs_rel": "AbsRel",
    "depth.rmse": "RMSE (m)",
    "depth.delta1": "delta1",
    "normals.mean": "normals mean",
    "normals.median": "median",
    "normals.within_5": "< 5 deg",
    "normals.within_11_25": "< 11.25",
    "normals.within_22_5": "< 22.5",
    "normals.within_30": "< 30",
    "seams.seam_defect_density": "seam density",
    "seams.seam_prevalence": "seam prevalence",
    "seams.seam_severity": "seam severity",
    "seams.wrap_seam": "wrap seam",
    "seams.pole_seam": "pole seam",
}
"""Place of a figure -> what stands above it where each protocol has a row."""
BRIEF = frozenset({"depth.abs_rel", "depth.rmse", "depth.delta1", "normals.mean", "normals.within_22_5", "seams.seam_severity"})
"""Those that a terminal has room for."""


def shows(made: Made) -> list[Piece]:
    """Figures, and pictures of the first panoramas that have any, as many as ``execution.pictures`` says."""
    found = summary(made)
    if not found.get("items"):
        return []
    return [_headline(found), *_protocols(found), *_details(found), *_panoramas(made)]


def summary(made: Made) -> dict[str, Any]:
    """What :func:`summarise_rows` gives of all items with labels, and ``item``, the name of one; without any only that there are
    no ``items``, and how many ``failures``."""
    done = [row for row in made.rows() if row.state == "done"]
    missing = len(without_labels(made))
    if not done:
        return {"items": 0, "failures": missing} if missing else {}
    return {**summarise_rows(done, made.about, missing), "item": done[0].item}


def _headline(found: Mapping[str, Any]) -> Table:
    rows = tuple((row["figure"], row["value"], interval(row["low"], row["high"])) for row in found["headline"])
    protocol = PROTOCOLS.get(found["protocol"])
    name = f"protocol {found['protocol']}{f' ({protocol.description})' if protocol else ''}"
    failures = f" · {found['failures']} more have truth and no labels: failures, in no mean" if found["failures"] else ""
    note = f"{found['items']} panoramas{failures} · {name} · 95 % intervals over panoramas (t, jackknife)"
    columns = (Column("figure", text=True), Column("value", ".3f"), Column("95 % interval"))
    return Table("quality", "Labels", columns, rows, note, cards=True)


def _protocols(found: Mapping[str, Any]) -> list[Piece]:
    """A row of each protocol: some figures for a terminal, and on the page all of them."""
    rows = found.get("protocols", [])
    if not rows:
        return []
    there = [key for key in COLUMNS if any(row["figures"].get(key) is not None for row in rows)]
    brief = [key for key in there if key in BRIEF]
    note = "Means over the panoramas that each judged; a dash: it reports no such figure. Failures have truth, and no labels."
    legend_ = "; ".join(f"{row['told']}: {row['description']}" for row in rows)
    pieces: list[Piece] = [_by_protocol("protocols", "By protocol", rows, brief, note)]
    return [*pieces, _by_protocol("protocols-all", "By protocol, all figures", rows, there, legend_, True)]


def _by_protocol(
    name: str, title: str, rows: Sequence[Mapping[str, Any]], keys: Sequence[str], note: str, detail: bool = False
) -> Table:
    columns = (
        Column("protocol", text=True),
        Column("panoramas"),
        Column("failures"),
        *(Column(COLUMNS[key], ".3f") for key in keys),
    )
    values = tuple((row["told"], row["panoramas"], row["failures"], *(row["figures"].get(key) for key in keys)) for row in rows)
    return Table(name, title, columns, values, note, detail)


def _details(found: Mapping[str, Any]) -> list[Piece]:
    pieces: list[Piece] = []
    if bands := found["bands"]:
        names = list(dict.fromkeys(band for own in bands.values() for band in own))
        rows = tuple((figure, *(own.get(name) for name in names)) for figure, own in bands.items())
        columns = (Column("figure", text=True), *(Column(name, ".3f") for name in names))
        pieces.append(Table("latitude", "By latitude", columns, rows, "Degrees from the horizon; mean over panoramas.", True))
    if found["figures"]:
        pieces.append(_all_figures(found["figures"]))
    if found["per_class"]:
        ordered = sorted(found["per_class"], key=lambda row: -row["iou"])
        columns = (Column("class", text=True), Column("IoU", ".3f", bar=True))
        rows = tuple((row["class"], row["iou"]) for row in ordered)
        pieces.append(Table("per-class", "IoU by class", columns, rows, "Pooled over pixels.", True))
    return pieces


def _all_figures(figures: list[Mapping[str, Any]]) -> Table:
    columns = (
        Column("figure", text=True),
        Column("mean over panoramas", ".3f"),
        Column("pooled over pixels", ".3f"),
        Column("95 % interval"),
        Column("interval of", text=True),
    )
    rows: list[tuple[Value, ...]] = []
    for row in figures:
        own = "pixels" if row["over"] == "pixels" else "panoramas"
        rows.append((row["figure"], row["over_images"], row["over_pixels"], interval(row["low"], row["high"]), own))
    note = "The last column names the average that stands above, and that the interval is of."
    return Table("figures", "All figures", columns, tuple(rows), note, True)


def _panoramas(made: Made) -> list[Piece]:
    """Pictures of the labels beside the truth; none where the labels are no stage of this pipeline."""
    labels = made.read("labels")
    shown = list(islice(made.done(), made.execution.pictures)) if labels else []
    if labels is None or not shown:
        return []
    classes = list(made.about.get("classes", ()))
    pieces: list[Piece] = [legend(classes, HINT)]
    for (_, block, _), slot, item, row in shown:
        if (fused := labels.block(block.name)) is not None:
            facts = " · ".join(f"{name} {told(value, '.3f')}" for name, value in item_figures(row.figures))
            pieces.append(pictures("preview", item.item, partial(_drawn, made, fused, slot, len(classes)), facts))
    return pieces


def _drawn(made: Made, fused: MadeBlock, slot: int, classes: int) -> list[Picture]:
    return encoded(item_pictures(made.stage, fused, slot, classes))


def item_figures(metrics: Mapping[str, Any]) -> list[tuple[str, float | None]]:
    """The headline figures that one panorama has: shown name and value."""
    places = [(shown, *key.split(".")) for shown, key in FIGURES.items() if key in HEADLINES]
    return [(shown, metrics[group][name]) for shown, group, name in places if name in metrics.get(group, {})]
