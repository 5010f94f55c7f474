"""What the stage ``audit`` shows: parts of the error, where it lies, how far views agree, and the panoramas to look at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache, partial
from typing import Any

from numpy.typing import NDArray

from metrics.audit.attribution import PARTS
from metrics.audit.measure import FIGURES
from storage.arrays import BlockReader
from storage.rows import ItemRow
from tasks.evaluate.showcase import item_pictures
from tasks.evaluate.summary import NAMES, Audited, gather, summarise
from tasks.pages import charts
from tasks.pages.encoded import chart, encoded
from tasks.stage.made import Made
from tasks.stage.tables import Column, Picture, Piece, Table, Value, Words, interval, pictures

SPLITS = {
    "latitude": "latitude, degrees from the horizon",
    "off_axis": "degrees from the axis of the nearest view",
    "view_off_axis": "degrees from the axis of the view that speaks",
    "edge_distance": "degrees to the nearest depth or label edge",
    "depth": "distance, metres",
    "class": "class",
}
"""Split -> its words. ``class`` is shown as a table: names do not fit below a chart."""
SERIES = {"fused": "fused", "single": "way-back", "patch": "teacher", "floor": "floor"}
"""Level -> its colour."""
SHOWN = ("panorama", "depth", "depth error", "consistency", "semantics", "confidence")
"""Pictures of a panorama that help to see why it stands out."""
ADDED = ("floor", "teacher", "way_back", "fusion")
PARTS_NOTE = (
    "The parts add up to the error of the fused labels. Floor: the truth itself, cut into patches, fused and stored. Teacher: "
    "its patches against the truth's. Way back: what single views gain or lose on their way to the sphere, beyond what the "
    "truth's own patches lose. Fusion: what fusing the views adds; below zero it heals. Thin lines are intervals.\n"
    "Pixels are weighted by solid angle and pooled over panoramas; 95 % intervals over panoramas (t, jackknife)."
)
LEVELS = {
    "fused labels (with interval)": "fused",
    "single views on the sphere": "way-back",
    "teacher in its patches": "teacher",
    "floor": "floor",
}
"""What is drawn by band -> its colour."""
AGREEMENT_NOTE = "1: all views agree; needs no truth, and cannot see an error that all views share."


def shows(made: Made) -> list[Piece]:
    """All of an audit; a sentence where every panorama was given up."""
    audited = _gathered(made)
    if audited is None:
        return [Words("audit", "Audit", "no panorama could be audited: all were given up")]
    found = summarise(audited, made.settings.items)
    return [*_attribution(found), *_maps(found, audited), *_bands(found), *_agreement(made, found), *_worst(made, found, audited)]


def summary(made: Made) -> dict[str, Any]:
    """What :func:`audit_summary` gives, but for ``consistency``, which grows with the panoramas."""
    return {name: value for name, value in audit_summary(made).items() if name != "consistency"}


def audit_summary(made: Made) -> dict[str, Any]:
    """What :func:`tasks.evaluate.summary.summarise` gives of the audited panoramas; empty if there are none."""
    audited = _gathered(made)
    return {} if audited is None else summarise(audited, made.settings.items)


@lru_cache(maxsize=1)
def _gathered(made: Made) -> Audited | None:
    """All audited panoramas; once for what is shown and for what the record says."""
    return gather(_items(made), made.about) if any(row.state == "done" for row in made.rows()) else None


def _items(made: Made) -> Iterator[tuple[ItemRow, Mapping[str, NDArray]]]:
    """Row and arrays of every audited panorama."""
    for url, _, receipt in made.blocks:
        reader = BlockReader(url, receipt.files) if receipt.files else None
        for slot, row in enumerate(receipt.items):
            if row.state == "done" and reader is not None:
                yield row, reader.item(slot)


def _attribution(found: Mapping[str, Any]) -> list[Piece]:
    title = f"Where the error comes from: {found['with_truth']} of {found['items']} panoramas with truth"
    if not found["attribution"]:
        return [Words("no-truth", "No ground truth (source.truth)", "only what views say of each other.")]
    columns = (
        Column("error", text=True),
        *(Column(part.replace("_", " "), "+.4f") for part in ADDED),
        Column("fused", ".4f"),
        Column("95 % interval"),
    )
    rows = tuple(
        (
            NAMES[figure],
            *(parts[part]["value"] for part in ADDED),
            parts["total"]["value"],
            interval(parts["total"]["low"], parts["total"]["high"], ".4f"),
        )
        for figure, parts in found["attribution"].items()
    )
    drawn = [chart(NAMES[figure], _waterfall(parts)) for figure, parts in found["attribution"].items()]
    judged = ", ".join(f"{task} {share:.1%}" for task, share in found["judged"].items())
    return [
        Table("audit", title, columns, rows, PARTS_NOTE),
        pictures("parts", title, lambda: drawn),
        Words("judged", "Share of the truth that was judged", judged, detail=True),
    ]


def _waterfall(parts: Mapping[str, Mapping[str, float | None]]) -> str:
    return charts.waterfall(
        [(part.replace("_", " "), parts[part]["value"] or 0.0, parts[part]["low"], parts[part]["high"]) for part in PARTS]
    )


def _maps(found: Mapping[str, Any], audited: Audited) -> list[Piece]:
    if not found["with_truth"]:
        return []

    def draw() -> list[Picture]:
        named = {f"{one['figure']}: {one['what']}; brightest {one['most']:.3g}": one["picture"] for one in heat_maps(audited)}
        return encoded(named)

    return [
        pictures("heat-maps", "Where it lies", draw, "Dark: no error; the brightest colour is given below each picture.", True)
    ]


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


def _bands(found: Mapping[str, Any]) -> list[Piece]:
    marks = tuple((name, charts.COLOURS[colour]) for name, colour in LEVELS.items())
    pieces: list[Piece] = [Words("by-band", "By band", "The error of", marks=marks, detail=True)] if found["bands"] else []
    for figure, bands in found["bands"].items():
        title = f"{NAMES[figure]}, by band"
        pieces.append(pictures(f"bands-{figure.replace('_', '-')}", title, partial(_charts, bands, SERIES), detail=True))
        if classes := bands.get("class"):
            columns = (
                Column("class", text=True),
                Column("share", ".1%"),
                *(Column(part.replace("_", " "), ".3f") for part in (*ADDED, "fused")),
                Column("95 % interval"),
            )
            rows = tuple(_class_row(row) for row in classes)
            pieces.append(Table(f"classes-{figure.replace('_', '-')}", title, columns, rows, detail=True))
    return pieces


def _class_row(row: Mapping[str, Any]) -> tuple[Value, ...]:
    return (row["band"], row["share"], *(row[part] for part in (*ADDED, "fused")), interval(row["low"], row["high"]))


def _charts(bands: Mapping[str, Sequence[Mapping[str, Any]]], series: Mapping[str, str]) -> list[Picture]:
    own = [split for split in SPLITS if split in bands and split != "class"]
    return [chart(SPLITS[split], charts.band_chart(bands[split], series)) for split in own]


def _agreement(made: Made, found: Mapping[str, Any]) -> list[Piece]:
    columns = (Column("task", text=True), Column("all", ".3f"), Column("95 % interval"), Column("worst band", text=True))
    rows: list[tuple[Value, ...]] = []
    for task, splits in found["agreement"].items():
        whole = splits["all"][0]
        bands = [(row["value"], split, row["band"]) for split, own in splits.items() if split != "all" for row in own]
        least = min(bands, default=None)
        worst = f"{least[0]:.3f} at {least[1].replace('_', ' ')} {least[2]}" if least else ""
        rows.append((task, whole["value"], interval(whole["low"], whole["high"], ".4f"), worst))
    threshold = made.stage.stages("labels")[0].settings.min_consistency
    caption = f"consistency of the panoramas{f', and the threshold {threshold}' * bool(threshold)}"

    def draw() -> list[Picture]:
        return [chart(caption, charts.histogram(list(found["consistency"].values()), threshold))]

    return [
        Table("agreement", "Agreement of views", columns, tuple(rows), AGREEMENT_NOTE),
        pictures("consistency", "Agreement of views", draw, detail=True),
        *(
            pictures(
                f"agreement-{task}", f"Agreement of views: {task}", partial(_charts, splits, {"value": "fused"}), detail=True
            )
            for task, splits in found["agreement"].items()
        ),
    ]


def _worst(made: Made, found: Mapping[str, Any], audited: Audited) -> list[Piece]:
    """What is far above the median of all, with reasons and pictures."""
    title = "Panoramas to look at"
    if not found["worst"]:
        return [Words("audit-worst", title, "none stands out")]
    columns = (Column("look at", text=True), Column("because", text=True))
    rows = tuple((row["item"], "; ".join(row["reasons"])) for row in found["worst"])
    places = {item.item: (block.name, slot) for (_, block, _), slot, item, _ in made.done()}
    pieces: list[Piece] = [Table("audit-worst", title, columns, rows, "Worst first: what is far above the median of all.")]
    labels = made.read("labels")
    for row in found["worst"]:
        block, slot = places[row["item"]]
        fused = labels.block(block) if labels else None
        if fused is not None:

            def draw(fused: Any = fused, slot: int = slot) -> list[Picture]:
                drawn = item_pictures(made.stage, fused, slot, len(audited.classes))
                return encoded({name: drawn[name] for name in SHOWN if name in drawn})

            pieces.append(pictures("worst", row["item"], draw, "\n".join(row["reasons"]), True))
    return pieces
