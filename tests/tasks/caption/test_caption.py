"""caption: a row a clip, from labels of its frames or by a model that is shown views of it."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from configs.pipeline import Config
from configs.settings import ConfigError
from flows.plan import make_plan
from flows.publishing.clip_files import How
from flows.publishing.export import export
from flows.stores.lineage import trace_item
from scenes.clips import write_video
from storage.rows import ItemRow
from storage.urls import join, read_bytes
from tasks.pipeline import load
from tasks.video.register import TABLE
from tests.support.captioners import READS_FILE
from tests.support.pipelines import make_all
from tests.support.shots import write_config, write_shots
from tests.tasks.caption.test_looking import red_above_blue

OWN = {"kind": "tests.support.captioners:load", "views": {"width": 16, "height": 16, "times": 2}}


def labelled(folder: Path, **stages: Any) -> Path:
    """A config whose frames have classes and distances, with captions."""
    geometry = {
        "stage": "label",
        "kind": "tests.support.brightness:load",
        "fields": ["depth", "semantics"],
        "settings": {"weights": str(folder / "teacher.json")},
    }
    return write_config(folder, geometry=geometry, **stages)


def rows(config: Config, key: str = "caption") -> list[ItemRow]:
    plan = make_plan(config)
    return [row for _, receipt in plan.receipts.of(plan.step(key)) for row in receipt.items]


def table(config: Config) -> list[dict[str, Any]]:
    step = make_plan(config).step("register")
    found: list[dict[str, Any]] = pq.read_table(
        io.BytesIO(read_bytes(join(step.stage.block_url(step.blocks[0].name), TABLE)))
    ).to_pylist()
    return found


def test_described_captions_reach_the_table_and_exports(tmp_path: Path) -> None:
    write_shots(tmp_path / "videos/a.mkv", [("turning", 10.0, 0)])
    config = load(labelled(tmp_path, cut={"seconds": 5.0}, caption={}, register={}))
    assert make_all(config)["caption"] == 1
    found = rows(config)
    assert [row.item for row in found] == ["a/0000000", "a/0005000"]
    for row in found:
        assert row.figures["kind"] == "described"
        assert row.figures["model"] == ""
        assert row.figures["texts"]["short"].startswith("A 360-degree view of a place with ")
    first, second = table(config)
    assert json.loads(first["captions"]) == found[0].figures["texts"]
    assert (first["caption_kind"], first["caption_model"], first["caption_status"]) == ("described", None, "done")
    assert (first["caption_path"], second["caption_path"]) == ("captions/a__0000000.json", "captions/a__0005000.json")
    export(config, "panoworld", str(tmp_path / "out"), clips=How(pictures=False))
    said = json.loads((tmp_path / "out" / first["caption_path"]).read_text())
    assert said == {"described": found[0].figures["texts"]}
    assert not make_plan(config).anything_to_run


def test_a_frame_is_traced_to_the_caption_of_its_clip(tmp_path: Path) -> None:
    write_shots(tmp_path / "videos/a.mkv", [("turning", 10.0, 0)])
    config = load(labelled(tmp_path, caption={}))
    make_all(config)
    step = next(one for one in trace_item(config, "a/0005000/0002000")["steps"] if one["key"] == "caption")
    assert step["figures"] == rows(config)[1].figures
    (own,) = [one for one in trace_item(config, "a/0005000")["steps"] if one["key"] == "caption"]
    assert own["figures"] == step["figures"]


def test_what_runs_again(tmp_path: Path) -> None:
    """One more video: its clips alone. Another prompt: captions and the table. Another teacher: no caption by views."""
    write_shots(tmp_path / "videos/a.mkv", [("turning", 5.0, 0)])
    make_all(load(labelled(tmp_path, caption=OWN, register={})))
    write_shots(tmp_path / "videos/b.mkv", [("turning", 5.0, 1)])
    assert make_all(load(labelled(tmp_path, caption=OWN, register={})))["caption"] == 1
    assert make_all(load(labelled(tmp_path, caption={**OWN, "prompt": "Say it."}, register={}))) == {"caption": 2, "register": 1}
    config = load(labelled(tmp_path, caption={**OWN, "prompt": "Say it."}, register={}))
    (tmp_path / "teacher.json").write_text('{"factor": 3.0}')
    assert set(make_all(config)) == {"geometry", "fuse", "register"}


def test_a_model_is_shown_views_right_way_up(tmp_path: Path) -> None:
    (tmp_path / "videos").mkdir()
    write_video(tmp_path / "videos/a.mkv", [red_above_blue(32)] * 30, [100 * number for number in range(30)], gop=10)
    config = load(labelled(tmp_path, without=("cut",), caption=OWN, register={}))
    make_all(config)
    (row,) = rows(config)
    assert row.figures["texts"]["long"].startswith("above red below blue above red below blue above red")
    assert (row.figures["kind"], row.figures["model"]) == (OWN["kind"], "seeing-1.0")
    assert (row.figures["answers"], row.figures["tokens_in"], row.figures["tokens_out"]) == (1, 100, 10)
    (told,) = table(config)
    assert told["caption_model"] == "seeing-1.0"
    export(config, "panoworld", str(tmp_path / "out"), clips=How(pictures=False))
    assert [*json.loads((tmp_path / "out" / told["caption_path"]).read_text())] == ["seeing1p0"]


def answers(folder: Path, *texts: str) -> dict[str, Any]:
    path = folder / "says.json"
    path.write_text(json.dumps(texts))
    words = {"short": [1, 3], "medium": [1, 3], "long": [1, 3]}
    return {**OWN, "settings": {READS_FILE: str(path)}, "words": words}


GOOD = json.dumps(dict.fromkeys(("short", "medium", "long"), "a room"))


def test_a_faulty_answer_is_repaired_once(tmp_path: Path) -> None:
    write_shots(tmp_path / "videos/a.mkv", [("turning", 5.0, 0)])
    config = load(labelled(tmp_path, caption=answers(tmp_path, GOOD[:-5], GOOD)))
    make_all(config)
    (row,) = rows(config)
    assert row.figures["texts"]["long"] == "a room"
    assert (row.figures["answers"], row.figures["tokens_in"]) == (2, 200)


def test_what_is_of_no_use_twice_is_quarantined_with_its_reason(tmp_path: Path) -> None:
    write_shots(tmp_path / "videos/a.mkv", [("turning", 5.0, 0)])
    config = load(labelled(tmp_path, caption=answers(tmp_path, "{}", GOOD.replace("a room", "a room with a view")), register={}))
    make_all(config)
    (row,) = rows(config)
    assert row.state == "quarantined"
    assert row.reason == "the model was asked twice, and its answer is of no use: short: has 5 words, and must have 1 to 3"
    (told,) = table(config)
    assert (told["caption_path"], told["captions"], told["caption_status"]) == (None, None, row.reason)


def test_what_cannot_be_captioned_is_refused(tmp_path: Path) -> None:
    write_shots(tmp_path / "videos/a.mkv", [("turning", 5.0, 0)])
    with pytest.raises(ConfigError, match="no captioner is called 'opanai'"):
        load_all(labelled(tmp_path, caption={"kind": "opanai"}))
    with pytest.raises(ConfigError, match="described has none; take them out"):
        load_all(labelled(tmp_path, caption={"settings": {"model": "x"}}))
    with pytest.raises(ConfigError, match=r"caption\.labels: is not read"):
        load_all(labelled(tmp_path, caption={**OWN, "labels": "fuse"}))
    with pytest.raises(ConfigError, match="short: must be two numbers of words"):
        load_all(labelled(tmp_path, caption={"words": {"short": [9, 3]}}))


def load_all(path: Path) -> None:
    make_plan(load(path))
