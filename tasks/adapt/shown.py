"""What the stages of an adaptation show: thresholds, the object pool, what is learned, losses, and figures before and after."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import partial
from itertools import islice
from typing import Any

import numpy as np

from storage.arrays import BlockReader
from storage.urls import join, location, read_bytes
from tasks.adapt import compare as comparison
from tasks.adapt.scores import PARTS
from tasks.adapt.settings import Scoring
from tasks.adapt.showcase import adapted_model, labelled, learned_pictures, model_pictures
from tasks.pages.charts import curve
from tasks.pages.encoded import chart, encoded, legend
from tasks.pages.pictures import Picture as Pixels
from tasks.stage.made import Made, MadeBlock
from tasks.stage.models import MODEL
from tasks.stage.tables import Column, Picture, Piece, Table, Value, Words, pictures

Rows = Mapping[str, Mapping[str, Pixels]]
HINT = (
    "Maps are those of the least scores of `scoring`, for both models. Pink: uncertain, nothing is learned there. Instances have "
    "colours of their own; in the panoptic maps the colours are those of classes, and lines part segments."
)


def predict(made: Made) -> list[Piece]:
    """How many panoramas the source model looked at."""
    done = sum(row.state == "done" for row in made.rows())
    classes = made.about.get("classes", [])
    return [Words("predicted", "Predicted", f"{done} panoramas, {len(classes)} classes", detail=True)]


def scores(made: Made) -> list[Piece]:
    """How many predictions there are of each head, and what half of them exceed."""
    total: Any = 0
    for url, _, receipt in made.blocks:
        total = total + BlockReader(url, receipt.files).item(0, ("histograms",))["histograms"].sum(axis=1)
    rows: list[tuple[Value, ...]] = []
    for part, counts in zip(PARTS, np.asarray(total)):
        reached = np.searchsorted(np.cumsum(counts), counts.sum() / 2)
        rows.append((part, int(counts.sum()), float(reached + 0.5) / len(counts) if counts.any() else None))
    columns = (Column("head", text=True), Column("predictions", ",d"), Column("median score", ".3f"))
    return [Table("scores", "Scores", columns, tuple(rows), detail=True)]


def thresholds(made: Made) -> list[Piece]:
    """A row for each head and class that has predictions."""
    rows = tuple(
        (part, name, own["threshold"], own["predictions"])
        for part, classes in thresholds_summary(made)["thresholds"].items()
        for name, own in classes.items()
    )
    columns = (Column("branch", text=True), Column("class", text=True), Column("threshold", ".3f"), Column("predictions", ",d"))
    return [Table("thresholds", "Thresholds", columns, rows, "Of pseudo-labels, by class.", detail=True)]


def thresholds_summary(made: Made) -> dict[str, Any]:
    """``thresholds``: head -> class -> threshold and number of predictions."""
    return {"thresholds": made.blocks[0][2].items[0].figures}


def omni(made: Made) -> list[Piece]:
    """How much is learned, and pictures of it."""
    rows = [row for row in made.rows() if row.state == "done"]
    found: list[tuple[Value, ...]] = []
    for branch in PARTS[1:] if rows else ():
        own = [row.figures[branch] for row in rows]
        mean = float(np.mean([one["uncertain"] for one in own]))
        found.append((branch, sum(one["found"] for one in own), sum(one["kept"] for one in own), mean))
    columns = (Column("branch", text=True), Column("found", ",d"), Column("kept", ",d"), Column("uncertain", ".1%"))
    ignored = (
        f"Of the classes {np.mean([row.figures['ignored'] for row in rows]):.1%} of the pixels are not learned." if rows else ""
    )
    pieces: list[Piece] = [Table("learned", "What is learned", columns, tuple(found), ignored, detail=True)]
    for predicted, block, slot, item in _shown(made):
        pieces.append(pictures("pseudo-labels", item, partial(_learned, predicted, block, slot)))
    return pieces


def _learned(predicted: MadeBlock, block: MadeBlock, slot: int) -> list[Picture]:
    return encoded(_captions(learned_pictures(labelled(predicted, block, slot))))


def _shown(omni: Made) -> Iterator[tuple[MadeBlock, MadeBlock, int, str]]:
    """Of the first labelled panoramas, as many as a report shows: their block of predictions, that of labels, slot and name."""
    predict = omni.read("predictions")
    for block, slot, item, _ in islice(omni.done(), omni.execution.pictures):
        predicted = predict.block(block[1].name) if predict else None
        if predicted is not None:
            yield predicted, block, slot, item.item


def pool(made: Made) -> list[Piece]:
    """How many objects there are to paste, the thresholds that chose them, and where to look through them."""
    ((url, _, receipt), *_) = made.blocks
    figures = receipt.items[0].figures
    rows = tuple(
        (name, figures["objects"].get(name, 0), own["threshold"], own["predictions"])
        for name, own in figures["thresholds"].items()
    )
    columns = (Column("class", text=True), Column("objects"), Column("threshold", ".3f"), Column("predictions", ",d"))
    page = join(url, "index.html")
    return [
        Table("pool", "Object pool", columns, rows, "Objects that are pasted, and the thresholds that chose them.", detail=True),
        Words("pool-page", "To look through", location(page), link=location(page), detail=True),
    ]


def adapt(made: Made) -> list[Piece]:
    """Losses, where the model lies, and what both models say of the first panoramas."""
    ((url, _, _), *_) = made.blocks
    log = json.loads(read_bytes(join(url, "losses.json")))
    pieces: list[Piece] = []
    if log:
        first, last = log[0], log[-1]
        told = f"Loss {first['total']:.3f} at step {first['step']}, {last['total']:.3f} at step {last['step']}."
        drawn = [chart("total", curve([(row["step"], row["total"]) for row in log]))]
        pieces.append(pictures("losses", "Training", lambda: drawn, told))
    omni = made.read("labels")
    if omni is not None:
        pieces.append(legend(omni.about.get("classes", ()), HINT))
        for predicted, block, slot, item in _shown(omni):
            pieces.append(pictures("preview", item, partial(_both_models, made, predicted, block, slot)))
    place = adapt_summary(made)["model"]
    return [*pieces, Words("model", "Model", place, link=place)]


def adapt_summary(made: Made) -> dict[str, Any]:
    """``model``: its folder."""
    return {"model": location(join(made.blocks[0][0], MODEL))}


def _both_models(made: Made, predicted: MadeBlock, block: MadeBlock, slot: int) -> list[Picture]:
    one = labelled(predicted, block, slot)
    rows = learned_pictures(one) | model_pictures(one.predicted, adapted_model(made), one.about, Scoring())
    return encoded(_captions(rows))


def _captions(rows: Rows) -> dict[str, Pixels]:
    return {f"{row}: {name}" if name != row else name: picture for row, own in rows.items() for name, picture in own.items()}


def compare(made: Made) -> list[Piece]:
    """The metrics of the source model and of the adapted one; a sentence where no panorama has truth."""
    found = compare_summary(made)["figures"]
    if not found:
        return [Words("figures", "Figures", _nothing_compared(made))]
    panoramas, scoring = sum(row.figures["panoramas"] for row in made.rows()), made.settings
    height = made.stage.stages("predictions")[0].settings.height
    names = list(dict.fromkeys(name for own in found.values() for name in own))
    columns = (Column("model", text=True), *(Column(name, ".4f") for name in names))
    rows = tuple((arm, *(own.get(name) for name in names)) for arm, own in found.items())
    note = (
        f"On {panoramas} panoramas with truth, at {height} rows; least scores {scoring.instance_score} and "
        f"{scoring.amodal_score} for both models. A dash: nothing can be said."
    )
    return [Table("figures", "Figures", columns, rows, note)]


def _nothing_compared(made: Made) -> str:
    truth = location(made.stage.origin.settings.source.truth)
    unread = [reason for row in made.rows() for reason in row.figures.get("given_up", {}).values()]
    why = (
        f"the truth of {len(unread)} cannot be read; the first: {unread[0]}"
        if unread
        else "none of the panoramas has its truth there"
    )
    return f"nothing was compared with the truth at {truth}: {why}"


def compare_summary(made: Made) -> dict[str, Any]:
    """``figures``: model -> metric -> value."""
    return {"figures": comparison.figures([(url, receipt) for url, _, receipt in made.blocks])}
