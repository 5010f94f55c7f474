"""What a stage shows, as Prefect's artifacts: a table for each of its tables, and the first pictures of each name."""

from __future__ import annotations

import base64
import re
from html import escape

from prefect.artifacts import create_markdown_artifact, create_table_artifact

from flows.telling.artifacts import artifact_key, in_passing
from tasks.pages.charts import standalone
from tasks.pages.shown import Section
from tasks.stage.tables import SVG, Picture, Pictures, Piece, Table, Words

MOST_ROWS = 200
SPECIAL = re.compile(r"([\\`*_{}\[\]()#+!|~-])")


def publish_section(config: str, section: Section) -> None:
    """The artifacts of a stage that is done, whether by this run or by an earlier one.

    Their keys are made of the name of the config, of the stage where that is not its kind's, and of the table or pictures.
    """
    published: set[str] = set()
    for piece in section.pieces:
        own = () if section.key == section.kind else (section.key,)
        name = artifact_key(config, *own, piece.name)
        if name not in published:
            published.add(name)
            _publish(name, piece)


@in_passing
def _publish(key: str, piece: Piece) -> None:
    if isinstance(piece, Table):
        if piece.rows:
            create_table_artifact(table_rows(piece), key=key, description=_description(piece))
    elif isinstance(piece, Words):
        if not piece.detail:
            create_markdown_artifact(markdown(piece.text), key=key, description=markdown(piece.title))
    elif not piece.detail:
        text = "\n\n".join(f"**{markdown(one.caption)}**\n\n![{markdown(one.caption)}]({data_uri(one)})" for one in piece.draw())
        create_markdown_artifact(text, key=key, description=_description(piece))


def table_rows(table: Table) -> list[dict[str, str]]:
    """The first rows of a table by column, as text: JSON knows no NaN."""
    return [dict(zip((column.name for column in table.columns), row)) for row in table.told()[:MOST_ROWS]]


def _description(piece: Table | Pictures) -> str:
    rest = f"the first {MOST_ROWS} of {len(piece.rows)} rows" if isinstance(piece, Table) and len(piece.rows) > MOST_ROWS else ""
    return ". ".join(markdown(text.rstrip(".")) for text in (piece.title, piece.note, rest) if text)


def data_uri(picture: Picture) -> str:
    """A picture within the text: the browser needs no way to the store."""
    data = standalone(picture.data.decode()).encode() if picture.media == SVG else picture.data
    return f"data:{picture.media};base64,{base64.b64encode(data).decode()}"


def markdown(text: str) -> str:
    """Text that Markdown shows as it is, on one line."""
    return SPECIAL.sub(r"\\\1", escape(" ".join(text.split()), quote=False))
