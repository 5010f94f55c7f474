"""What a trained student shows: its predictions beside the labels and, where it is known, the truth."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from storage.entries import Entries, write_file
from storage.urls import join, location, read_bytes
from tasks.pages.encoded import encoded, legend
from tasks.pages.shown import Section, render_page
from tasks.stage.made import Made
from tasks.stage.models import MODEL
from tasks.stage.tables import NOTHING, Column, Picture, Piece, Table, Words, interval, pictures, told

PAGE = "predictions.html"
"""Shows predictions beside labels, beside the student."""
PICTURES = "held_out"
"""Folder of the pictures."""
HINT = (
    "Depth: logarithmic, near red, far blue, the label's range. Normals: world frame; red grows to the right, green upwards, "
    "blue backwards. Differences: dark for none, bright from 25 %, 45 degrees, or for another class. Grey: no label."
)
NOTE = (
    "Value and 95 % interval over panoramas (t, jackknife). Against the labels: how well the student copies what other models "
    "said. Against the truth, where the source has it: how right both are."
)
Read = Callable[[str], bytes]


def shows(made: Made) -> list[Piece]:
    """Figures of the held-out panoramas, losses, and pictures of some of them."""
    ((url, _, receipt), *_) = made.blocks
    pieces = _pieces(receipt.about, lambda name: read_bytes(join(url, name)))
    return [*pieces, Words("model", "Model", location(join(url, MODEL)))]


def summary(made: Made) -> dict[str, Any]:
    """``model``: its folder; ``page``, of predictions beside labels; and what the receipt says of the student."""
    ((url, _, receipt), *_) = made.blocks
    told = {name: receipt.about[name] for name in ("weights", "figures", "held_out", "steps", "parameters", "labels", "skipped")}
    return {"model": location(join(url, MODEL)), "page": location(join(url, PAGE)), **told}


def write_look(url: str, title: str, about: Mapping[str, Any], shown: Sequence[Mapping[str, Any]]) -> tuple[Entries, list[Any]]:
    """Store pictures of predictions beside labels, and the page that shows them.

    Parameters
    ----------
    url : folder of the training
    title : of the page
    about : what the receipt will say of the student
    shown : as :func:`tasks.train.student.held_out.look_at_held_out` gives them

    Returns
    -------
    Entries of the files, and what the receipt says of the pictures: per panorama ``item`` and ``pictures``, caption -> file
    """
    files: Entries = {}
    data: dict[str, bytes] = {}
    rows: list[Any] = []
    for number, one in enumerate(shown):
        named = {f"{PICTURES}/{number}-{place}.webp": picture for place, picture in enumerate(encoded(one["pictures"]))}
        data |= {name: picture.data for name, picture in named.items()}
        rows.append({"item": one["item"], "pictures": {picture.caption: name for name, picture in named.items()}})
    for name, content in data.items():
        files |= write_file(url, name, content)
    page = render_page(title=title, sections=[Section("train", "train", _pieces({**about, "shown": rows}, data.__getitem__))])
    return files | write_file(url, PAGE, page.encode()), rows


def _pieces(about: Mapping[str, Any], read: Read) -> list[Piece]:
    held_out = about["held_out"]
    losses = ", ".join(f"{name} {value:.4g}" for name, value in about["figures"].items() if "." not in name)
    pieces: list[Piece] = [_figures(held_out)]
    if not _compared(held_out):
        pieces.append(Words("not-compared", "nothing could be compared", held_out.get("reason") or "no panorama could be read"))
    pieces.append(Words("losses", "Losses", losses))
    if shown := about.get("shown"):
        pieces.append(legend(about.get("classes", ()), HINT))
        pieces += [pictures("preview", one["item"], partial(_drawn, one["pictures"], read)) for one in shown]
    return pieces


def _drawn(files: Mapping[str, str], read: Read) -> list[Picture]:
    return [Picture(caption, read(name)) for caption, name in files.items()]


def _compared(held_out: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Figures by what was compared with what."""
    return {name: rows for name, rows in held_out.items() if isinstance(rows, dict)}


def _figures(held_out: Mapping[str, Any]) -> Table:
    """Figures of the student and of the labels it learnt from, with their intervals."""
    title = f"{held_out['panoramas']} panoramas of {held_out['from']}"
    title += f", protocol {held_out['protocol']}" if "protocol" in held_out else ""
    compared = _compared(held_out)
    names = dict.fromkeys(figure for rows in compared.values() for figure in rows)
    rows = tuple((figure, *(_cell(own.get(figure)) for own in compared.values())) for figure in names)
    return Table("held-out", title, (Column("figure", text=True), *map(Column, compared)), rows, NOTE)


def _cell(row: Mapping[str, float | None] | None) -> str:
    if row is None or row["value"] is None:
        return NOTHING
    ends = f" ({interval(row['low'], row['high'])})" if row["low"] is not None else ""
    return f"{told(row['value'], '.3f')}{ends}"
