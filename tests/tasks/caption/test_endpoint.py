"""Captions by an end point that goes wrong in every way that they do: states, waits, what is paid, and what stays secret."""

from __future__ import annotations

import base64
import json
import signal
import subprocess
import sys
import time
from contextlib import suppress
from email.utils import formatdate
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from configs.pipeline import Config
from configs.settings import ConfigError
from flows.plan import make_plan
from storage.rows import ItemRow
from tasks.caption.endpoint.client import EndpointError
from tasks.caption.endpoint.waiting import Gate, gate_of, wait_before
from tasks.caption.outlook import look
from tasks.pipeline import load
from tests.support.chat_server import WORDS, ChatServer, chat_server
from tests.support.pipelines import make_all
from tests.support.shots import write_config, write_shots
from tests.support.stages import ingested, stage_of

KEY = "sk-very-secret-0123456789"
LABELLING = ("cut", "project", "geometry", "fuse")
VIDEOS = 6


@pytest.fixture(autouse=True)
def new_gates(monkeypatch: pytest.MonkeyPatch) -> None:
    gate_of.cache_clear()
    monkeypatch.setenv("CAPTION_KEY", KEY)


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    for number in range(VIDEOS):
        write_shots(folder / f"videos/{number}.mkv", [("turning", 3.0, number)])
    return folder


@pytest.fixture
def folder(videos: Path, tmp_path: Path) -> Path:
    (tmp_path / "videos").symlink_to(videos / "videos")
    return tmp_path


def captioned(folder: Path, server: ChatServer, cut: float = 0, **settings: Any) -> Path:
    """A config that captions whole videos, or parts of so many seconds."""
    own = {"url": server.url, "model": "vlm-1", "timeout": 0.5, "longest_wait": 0.4, **settings}
    views = {"width": 32, "height": 24, "times": 1}
    caption = {"kind": "openai", "settings": own, "words": WORDS, "views": views}
    without = LABELLING[1:] if cut else LABELLING
    return write_config(folder, VIDEOS, without, cut={"seconds": cut or 5, "least": cut * 0.9}, caption=caption)


def rows(config: Config) -> list[ItemRow]:
    plan = make_plan(config)
    return [row for _, receipt in plan.receipts.of(plan.step("caption")) for row in receipt.items]


def first(*faults: str) -> Any:
    """Requests go wrong so, one after the other; later ones do not."""
    return lambda number, _body: faults[number] if number < len(faults) else ""


def test_what_is_sent(folder: Path) -> None:
    with chat_server(key=KEY) as server:
        config = load(captioned(folder, server, key_variable="CAPTION_KEY", temperature=0.2, extra={"top_p": 0.5}))
        make_all(config)
        assert [row.figures["texts"]["long"] for row in rows(config)] == ["a room"] * VIDEOS
        assert server.paid == len(server.asked) == VIDEOS
        body = server.asked[0]
    assert (body["model"], body["temperature"], body["top_p"]) == ("vlm-1", 0.2, 0.5)
    assert body["response_format"]["json_schema"]["schema"]["required"] == ["short", "medium", "long"]
    parts = body["messages"][0]["content"]
    assert [part["text"] for part in parts[::2]][:4] == [f"1.0 s, looking {where}" for where in DIRECTIONS]
    picture = cv2.imdecode(np.frombuffer(base64.b64decode(parts[1]["image_url"]["url"].split(",")[1]), np.uint8), 1)
    assert picture.shape == (24, 32, 3)
    assert "short (1 to 3 words)" in parts[-1]["text"]


DIRECTIONS = ("ahead", "to the right", "behind", "to the left")


@pytest.mark.parametrize("fault", ["429", "500", "503", "408", "reset", "stall"])
def test_what_passes_is_tried_again(folder: Path, fault: str) -> None:
    with chat_server(first(fault), stall=1.0) as server:
        config = load(captioned(folder, server, concurrency=1))
        make_all(config)
        found = rows(config)
        assert {row.state for row in found} == {"done"}
        assert sum(row.figures["tries"] for row in found) == VIDEOS + 1
        if fault == "429":
            assert server.times[1] - server.times[0] >= 0.2, "as Retry-After asks"


def test_states_of_clips_whose_answers_are_of_no_use(folder: Path) -> None:
    with chat_server(first("cut", "", "lengths", "lengths", "refusal", "blocked")) as server:
        config = load(captioned(folder, server, concurrency=1))
        make_all(config)
        found = rows(config)
        assert [row.state for row in found] == ["done", *["quarantined"] * 3, "done", "done"]
        assert (found[0].figures["answers"], found[0].figures["tokens_in"]) == (2, 2000)
        assert "short: has 5 words, and must have 1 to 3" in found[1].reason
        assert [row.reason for row in found[2:4]] == [
            "the model refused: I can't help with that",
            "the model refused: blocked by the end point",
        ]
        repair = server.asked[1]["messages"]
        assert [one["role"] for one in repair] == ["user", "assistant", "user"]
        assert "cut off" in repair[2]["content"]
        before = len(server.asked)
        assert not make_plan(config).anything_to_run
        again = make_plan(config, retry=True)
        step = again.step("caption")
        step.stage.make(again.job(step, step.blocks[0], "again", config.execution))
        assert len(server.asked) == before + 3, "only those that were set aside are asked for again"
        assert {row.state for row in rows(config)} == {"done"}


def test_a_schema_that_is_not_known_is_left_out(folder: Path) -> None:
    with chat_server(lambda _number, _body: "no schema") as server:
        config = load(captioned(folder, server, concurrency=1))
        make_all(config)
        assert [body["response_format"]["type"] for body in server.asked] == ["json_schema", *["json_object"] * VIDEOS]
        assert {row.state for row in rows(config)} == {"done"}


@pytest.mark.parametrize(("fault", "told"), [("400", "look at `model`"), ("401", "key is not accepted"), ("404", "ends in /v1")])
def test_what_does_not_pass_stops_the_stage_and_says_what_to_do(folder: Path, fault: str, told: str) -> None:
    with chat_server(lambda _number, _body: fault) as server:
        config = load(captioned(folder, server, concurrency=1))
        with pytest.raises(EndpointError, match=told):
            make_all(config)
        assert len(server.asked) <= 2
        assert rows(config) == []


def test_the_key_is_in_no_file_and_in_no_message(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with chat_server(key="another") as server:
        with pytest.raises(EndpointError, match=r"Incorrect API key provided: \*\*\*"):
            make_all(load(captioned(folder, server, key_variable="CAPTION_KEY")))
        server.key = KEY
        make_all(load(captioned(folder, server, key_variable="CAPTION_KEY")))
        files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
        assert any("captions" in path.parts for path in files)
        assert not [path for path in files if KEY.encode() in path.read_bytes()]
        monkeypatch.delenv("CAPTION_KEY")
        other = load(captioned(folder, server, key_variable="CAPTION_KEY", model="vlm-2"))
        assert [state for state, *_ in look(stage_of(other, "caption"))] == ["ok", "failure"]
        with pytest.raises(EndpointError, match="CAPTION_KEY is not set"):
            make_all(other)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"url": "https://api.example.com/v1"}, "pictures would leave this machine for api.example.com"),
        ({"url": "http://localhost.example.com/v1"}, "pictures would leave"),
        ({"url": "http://user:secret@127.0.0.1/v1"}, "without any password"),
        ({"api_key": KEY}, "keys come from the environment"),
        ({"key_variable": KEY}, "not the key itself"),
        ({"max_cost": 1.0}, "needs price_in"),
        ({"modle": "x"}, "settings.modle"),
    ],
)
def test_what_is_refused_before_anything_is_sent(folder: Path, settings: dict[str, Any], told: str) -> None:
    with chat_server() as server:
        with pytest.raises(ConfigError, match=told) as caught:
            make_plan(load(captioned(folder, server, **settings)))
        assert KEY not in str(caught.value)
        assert not server.asked


def test_a_plan_tells_the_cost_before_and_the_stage_what_it_was(folder: Path) -> None:
    with chat_server() as server:
        prices = {"price_in": 2.0, "price_out": 10.0}
        config = load(captioned(folder, server, **prices))
        ingested(config)
        (note,) = [note for note in make_plan(config).notes if note.startswith("caption")]
        assert note.startswith("caption: 6 clips, about ")
        assert "tokens, 0.01 at the prices given; answers that are kept cost nothing" in note
        make_all(config)
        assert [row.figures["cost"] for row in rows(config)] == [pytest.approx(0.003)] * VIDEOS
        plan = make_plan(config)
        assert not [note for note in plan.notes if note.startswith("caption")]


def test_no_more_is_spent_than_may_be(folder: Path) -> None:
    """Each clip costs 0.003 and is expected to cost about as much; of 0.011 three are paid."""
    with chat_server() as server:
        prices = {"price_in": 2.0, "price_out": 10.0, "tokens_per_view": 200}
        config = load(captioned(folder, server, **prices, max_cost=0.011, concurrency=3))
        make_all(config)
        states = [row.state for row in rows(config)]
        assert states.count("done") == server.paid == 3
        assert all("budget spent" in row.reason for row in rows(config) if row.state != "done")
        more = load(captioned(folder, server, **prices, max_cost=1.0))
        again = make_plan(more, retry=True)
        step = again.step("caption")
        assert [block.name for block in again.owed_blocks(step)] == [step.blocks[0].name], "a budget makes nothing anew"
        step.stage.make(again.job(step, step.blocks[0], "again", more.execution))
        assert server.paid == VIDEOS


def test_the_same_request_is_paid_once(folder: Path) -> None:
    with chat_server() as server:
        make_all(load(captioned(folder, server)))
        phrases = captioned(folder, server)
        config = load(phrases, {"caption.forbidden": ["castle"]})
        assert make_all(config) == {"caption": 1}
        assert server.paid == VIDEOS


def test_too_many_at_once_become_fewer(folder: Path) -> None:
    gate = Gate(8)
    with gate.inside():
        gate.refused()
        gate.refused()  # an answer to what was sent at once
    assert gate.limit == 4
    for _ in range(40):
        gate.passed()
    assert gate.limit == 8
    with chat_server(lambda _number, _body: "slow") as server:
        make_all(load(captioned(folder, server, concurrency=3)))
        assert server.most == 3


def test_waits_grow_and_are_drawn() -> None:
    waits = [wait_before(3, None, 60) for _ in range(200)]
    assert 0 <= min(waits) < 0.5
    assert 3.5 < max(waits) <= 4
    assert 2 <= wait_before(1, "2", 60) <= 3
    assert wait_before(1, "1000", 5) == 5
    assert 8 <= wait_before(1, formatdate(time.time() + 10, usegmt=True), 60) <= 11
    assert wait_before(1, "soon", 60) <= 1


RUN = """
import sys
from tasks.pipeline import load
from tests.support.pipelines import make_all
make_all(load(sys.argv[1]))
"""


@pytest.mark.parametrize(("kills", "cut"), [(1, 0), pytest.param(20, 0.5, marks=pytest.mark.slow)])
def test_kills_pay_for_what_was_under_way_alone(folder: Path, kills: int, cut: float) -> None:
    concurrency = 2
    generator = np.random.default_rng(kills)
    with chat_server(lambda _number, _body: "slow") as server:
        path = captioned(folder, server, cut=cut, concurrency=concurrency)
        make_all(load(path, {"root": str(folder / "whole")}))
        clips = server.paid
        killed = sum(kill_while_asking(path, server, generator.uniform(0, 0.35)) for _ in range(kills))
        make_all(load(path))
        assert killed == kills
        assert server.paid - clips <= clips + killed * concurrency
    assert said(rows(load(path))) == said(rows(load(path, {"root": str(folder / "whole")})))


def said(found: list[ItemRow]) -> str:
    return json.dumps([[row.item, row.state, dict(row.figures)] for row in found], sort_keys=True)


def kill_while_asking(path: Path, server: ChatServer, after: float) -> bool:
    """Kill a process so many seconds after it asked for the first answer; False if it was done before."""
    asked, process = len(server.asked), subprocess.Popen([sys.executable, "-c", RUN, str(path)])
    while len(server.asked) == asked and process.poll() is None:
        time.sleep(0.02)
    with suppress(subprocess.TimeoutExpired):
        process.wait(after)
    process.kill()
    return process.wait() == -signal.SIGKILL
