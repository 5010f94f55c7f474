"""What stages show reaches a Prefect server: by key, as text, whatever stands in it."""

import json
from typing import Any

import httpx
import pytest
from markdown_it import MarkdownIt
from prefect import flow
from prefect.runtime import flow_run

from flows.telling.artifacts import artifact_key
from flows.telling.shown import MOST_ROWS, markdown, publish_section
from tasks.pages.shown import Section
from tasks.stage.tables import Column, Piece, Table, pictures
from tests.support.pieces import EVIL, drawn, pieces


def published(api: str, key: str, kind: str, shown: list[Piece]) -> dict[str, dict[str, Any]]:
    """Artifacts of a flow run that shows pieces, by key."""

    @flow
    def show() -> str:
        publish_section("Town 2", Section(key, kind, shown))
        return str(flow_run.id)

    answer = httpx.post(f"{api}/artifacts/filter", json={"artifacts": {"flow_run_id": {"any_": [show()]}}})
    answer.raise_for_status()
    return {artifact["key"].removeprefix("town-2-"): artifact for artifact in answer.json()}


def test_tables_words_and_pictures_are_artifacts(prefect_api: str) -> None:
    found = published(prefect_api, "evaluate", "evaluate", pieces())
    assert set(found) == {"worst", "place", "detail", "seen"}
    rows = json.loads(found["worst"]["data"])
    assert rows[0] == {"name": EVIL, "value": "0.123", "share": "25.0%", "a | b <i>": "0.100 – 0.200"}
    assert rows[1]["value"] == rows[2]["value"] == "–"
    for text in (found["seen"]["data"], found["place"]["data"], found["worst"]["description"]):
        assert "<script>" not in text
    assert found["seen"]["data"].count("data:image/webp;base64,") == 1
    assert found["seen"]["data"].count("data:image/svg+xml;base64,") == 1


def test_keys_are_those_of_the_stage_where_it_has_a_name_of_its_own(prefect_api: str) -> None:
    twice = [pictures("seen", "one", drawn), pictures("seen", "two", drawn), pictures("charts", "three", drawn, detail=True)]
    found = published(prefect_api, "adapt.Predict_2", "evaluate", twice)
    assert list(found) == ["adapt-predict-2-seen"]
    assert found["adapt-predict-2-seen"]["description"] == "one"


def test_long_tables_are_cut_and_say_so(prefect_api: str) -> None:
    table = Table("long", "Long", (Column("n"),), tuple((n,) for n in range(MOST_ROWS + 5)))
    artifact = published(prefect_api, "pool", "pool", [table])["long"]
    assert len(json.loads(artifact["data"])) == MOST_ROWS
    assert f"the first {MOST_ROWS} of {MOST_ROWS + 5} rows" in artifact["description"]


@pytest.mark.parametrize(
    "text", [EVIL, "a_b*c*", "[x](javascript:alert(1))", "# head", "1 | 2", "![a](b)", "<img src=x>", "- item"]
)
def test_text_is_no_markdown(text: str) -> None:
    html = MarkdownIt().render(markdown(text))
    assert html.count("<") == 2, "a paragraph and nothing in it"


def test_keys() -> None:
    assert artifact_key("Town", "label.My_teacher-9") == "town-label-my-teacher-9"
