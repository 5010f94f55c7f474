"""The page shows every piece, every figure and every reason, needs nothing beside it, and nothing of it can break it."""

import base64
import io
import re
from html import escape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tasks.pages.encoded import WIDTH, webp
from tasks.pages.shown import Section, bar, render_page
from tasks.stage.tables import Column, Table, Words
from tests.support.pieces import EVIL, LONG, pieces

RUN = {"run": "20260101-demo", "config": "demo", "started": "2026-01-01T00:00:00", "user": "someone"}
STAGE = {"stage": "fuse", "cached": 1, "ran": 2, "quarantined": 1, "seconds": 3.25, "bytes": 5_000_000}
VOID = {"meta", "img", "br"}


class Page(HTMLParser):
    """Elements with their attributes, the text, and whether every element is closed in its order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text, self.open, self.wrong = "", list[str](), list[str]()
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def render(**changes: Any) -> str:
    given: dict[str, Any] = {"title": "t", "sections": [Section("score", "evaluate", pieces())], "run": RUN, "stages": [STAGE]}
    quarantined = [{"item": EVIL, "stage": "ingest", "reason": f"empty {EVIL}"}]
    return render_page(**{**given, "quarantined": quarantined, **changes})


def test_everything_is_shown_as_text_and_nothing_is_fetched() -> None:
    html = render(title=EVIL)
    page = Page(html)
    tags = [tag for tag, _ in page.elements]
    assert {"script", "link", "iframe", "i2", "object"}.isdisjoint(tags)
    assert (page.open, page.wrong) == ([], [])
    named = {name for _, attributes in page.elements for name in attributes}
    assert not [name for name in named if name.startswith("on")]
    fetched = [value for _, attributes in page.elements for name, value in attributes.items() if name in ("src", "href")]
    assert all(value and value.startswith(("data:image/webp;base64,", "#")) for value in fetched)
    for text in (EVIL, LONG, "全景", "20260101-demo", "0.123", "25.0%", "in detail", "5.0", "evaluate", f"empty {EVIL}", "–"):
        assert " ".join(text.split()) in " ".join(page.text.split())
    assert tags.count("img") == tags.count("svg") == 1
    assert html.count(escape("<script>")) >= 10


def test_pieces_of_one_title_stand_below_it_together() -> None:
    one = Table("a", "Same", (Column("x"),), ((1,),))
    html = render(sections=[Section("fuse", "fuse", [one, one, Words("w", "Same", "said"), Words("v", "Other", "too")])])
    assert re.findall(r"<h3>(.*?)</h3>", html) == ["Same", "Other"]
    assert Page(html).wrong == []


def test_rows_can_be_cards() -> None:
    table = Table(
        "q", "Labels", (Column("figure"), Column("value", ".3f"), Column("interval")), (("mIoU", 0.71234, "wide"),), cards=True
    )
    html = render(sections=[Section("evaluate", "evaluate", [table])])
    assert '<div><span class="soft">mIoU</span><b>0.712</b><span class="soft">wide</span></div>' in html


def test_bars_end_where_a_share_does() -> None:
    assert [bar(value) for value in (0.25, 7.0, -1, None, float("nan"), "x")] == [25, 100, 0, 0, 0, 0]


def test_an_empty_run_is_a_page_too() -> None:
    page = Page(render_page(title="nothing", sections=[]))
    assert (page.open, page.wrong) == ([], [])
    assert "nothing" in page.text


def test_links_lead_to_the_web_alone() -> None:
    words = [Words("a", "A", "there", link="https://example.org/x"), Words("b", "B", "/store/x", link="/store/x")]
    page = Page(render(sections=[Section("s", "s", words)], quarantined=[]))
    links = [attributes["href"] for tag, attributes in page.elements if tag == "a"]
    assert links == ["https://example.org/x"]


def test_pictures_are_embedded_and_small() -> None:
    picture = np.full((500, 1000, 3), (200, 30, 60), np.uint8)
    image = Image.open(io.BytesIO(webp(picture)))
    assert image.size == (WIDTH, WIDTH // 2)
    assert np.abs(np.asarray(image.convert("RGB")).astype(int) - (200, 30, 60)).max() < 12
    encoded = re.search(r'src="data:image/webp;base64,([^"]*)"', render())
    assert encoded is not None
    assert base64.b64decode(encoded[1]) == webp(picture)


def test_the_template_knows_no_stage() -> None:
    text = Path("tasks/pages/shown.html").read_text()
    assert not re.search(r"evaluate|fuse\b|audit|adapt|train", text.split("</style>")[1])
