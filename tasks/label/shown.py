"""What the stage ``fuse`` (or a student in its place) shows: where the labels are, what was given up, what no panorama shows."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

from storage.urls import join, location
from tasks.label.classes import never_seen
from tasks.label.consistency import task_consistencies
from tasks.pages.charts import histogram
from tasks.pages.encoded import chart
from tasks.stage.made import Made
from tasks.stage.tables import Column, Piece, Table, Words, pictures, told

MOST_CLASSES = 12
"""Names of classes that a sentence holds; a table has them all."""
LEAST_CONSISTENT = 10
"""Panoramas whose views agree least that are shown."""


def shows(made: Made) -> list[Piece]:
    """Where the labels are, classes never seen, how far views agree, and what was given up here and why."""
    return [*_classes(made), *_consistency(made), *_given_up(made), _place(made)]


def summary(made: Made) -> dict[str, Any]:
    """``classes_never_seen``: of the vocabulary."""
    return {"classes_never_seen": never_seen(made.receipts)}


def _place(made: Made) -> Words:
    """Where the labels are: of the first block that has any, for all of its panoramas may have been given up."""
    urls = [url for url, _, receipt in made.blocks if receipt.files]
    if not urls and made.dropped:
        return Words("labels", "Labels", "dropped, since all that reads them is made (`keep: until_read`)")
    if not urls:
        return Words("labels", "Labels", "none; every panorama was given up")
    more = f" and {len(urls) - 1} more block{'s' * (len(urls) > 2)} beside it" if urls[1:] else ""
    place = location(join(urls[0], "data.zarr"))
    return Words("labels", "Labels", f"{place}{more}", link=place)


def _classes(made: Made) -> list[Piece]:
    unseen = never_seen(made.receipts)
    if not unseen:
        return []
    hidden = len(unseen) - MOST_CLASSES
    more = f" and {hidden} more (see the report)" if hidden > 0 else ""
    words = Words("never-seen", "classes never seen", f"{'; '.join(unseen[:MOST_CLASSES])}{more}")
    note = "Where some of them must be there, the names do not fit the network's outputs."
    rows = tuple((name,) for name in unseen[MOST_CLASSES:])
    table = Table("classes-never-seen", "Others never seen", (Column("class", text=True),), rows, note, detail=True)
    return [words, table] if rows else [words]


def _consistency(made: Made) -> list[Piece]:
    rows = [row for row in made.rows() if row.figures.get("consistency") is not None]
    if not rows:
        return []
    least = float(getattr(made.settings, "min_consistency", 0))
    values = [float(row.figures["consistency"]) for row in rows]
    title = "How far views agree"
    note = "1: all agree; needs no truth, and cannot see an error that all views share."
    tasks = list(dict.fromkeys(task for row in rows for task in task_consistencies(row.figures)))
    worst = sorted(rows, key=lambda row: float(row.figures["consistency"]))[:LEAST_CONSISTENT]
    columns = (Column("panorama", text=True), Column("all", ".3f"), *(Column(task, ".3f") for task in tasks))
    told_rows = tuple(
        (row.item, row.figures["consistency"], *(task_consistencies(row.figures).get(task) for task in tasks)) for row in worst
    )
    caption = f"panoramas by consistency{f', and the threshold {told(least)}' * bool(least)}"
    return [
        pictures("consistency", title, lambda: [chart(caption, histogram(values, least))], note, True),
        Table("least-consistent", title, columns, told_rows, "Those that agree least.", detail=True),
    ]


def _given_up(made: Made) -> list[Piece]:
    """What this stage itself gave up, by reason; those of earlier stages are told with them."""
    own = [row for row in made.rows() if row.state == "quarantined" and not row.inherited]
    if not own:
        return []
    causes = Counter(re.sub(r"\d+(\.\d+)?", "#", row.reason.partition(":")[0]) for row in own)
    first = {re.sub(r"\d+(\.\d+)?", "#", row.reason.partition(":")[0]): row for row in reversed(own)}
    rows = tuple((cause, count, f"{first[cause].item}: {first[cause].reason}") for cause, count in causes.most_common())
    columns = (Column("why", text=True), Column("panoramas"), Column("the first", text=True))
    return [Table("given-up", "Given up here", columns, rows, detail=True)]
