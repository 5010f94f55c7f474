"""Relative paths of a file start where it lies; those of the command line where one is; what is written down stays as written."""

from __future__ import annotations

import copy
import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import yaml

from configs.pipeline import Config
from configs.places import Place, path_from, placed, seen_from
from configs.settings import ConfigError
from flows.commands.options import load as load_with_options
from tasks.pipeline import load, plain_stages, validated
from tasks.stage.kind import Stage

TEACHER = {"stage": "label", "kind": "scenes", "fields": ["depth"]}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with a folder ``configs``."""
    (tmp_path / "configs").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(name: str = "configs/a.yaml", root: str = "../store", source: Any = None, **more: Any) -> Path:
    source = {"url": "../images", "truth": "../scenes"} if source is None else source
    stages = {"ingest": {"source": source}, "project": {}, "one": TEACHER, "fuse": {}, "evaluate": {}, **more}
    Path(name).write_text(yaml.safe_dump({"name": "a", "root": root, "stages": stages}, sort_keys=False))
    return Path(name)


def stage(config: Config, key: str) -> Stage:
    return next(one for one in plain_stages(config) if one.key == key)


def places(config: Config) -> tuple[str, str, str | None]:
    source = stage(config, "ingest").settings.source
    return config.root, source.url, source.truth


def test_relative_paths_start_at_the_folder_of_the_file(here: Path) -> None:
    config = load(write())
    assert places(config) == ("store", "images", "scenes")
    assert [one.written for one in places(config)] == ["../store", "../images", "../scenes"]


@pytest.mark.parametrize("elsewhere", ["configs", "other/deep"])
def test_wherever_one_is_the_same_files_are_meant(here: Path, monkeypatch: pytest.MonkeyPatch, elsewhere: str) -> None:
    path = write().resolve()
    Path(elsewhere).mkdir(parents=True, exist_ok=True)
    before = load(path)
    monkeypatch.chdir(elsewhere)
    after = load(path)
    assert [Path(one).resolve() for one in places(after) if one] == [here / one for one in ("store", "images", "scenes")]
    assert stage(after, "evaluate").identity == stage(before, "evaluate").identity, "fingerprints hold paths as written"
    assert after.model_dump(mode="json")["root"] == "../store"


def test_a_link_to_a_file_stands_for_the_file(here: Path) -> None:
    Path("link.yaml").symlink_to(write().resolve())
    assert places(load("link.yaml")) == ("store", "images", "scenes")


@pytest.mark.parametrize("place", ["/data/images", "s3://bucket/images", "~/images", "memory://images"])
def test_what_is_not_relative_is_taken_as_it_is(place: str) -> None:
    config = load(write(root=place, source={"url": place}))
    assert places(config)[:2] == (place, place)


@pytest.mark.parametrize("place", ["", " "])
def test_an_empty_place_is_refused(place: str) -> None:
    for over in ({"root": place}, {"ingest.source.url": place}):
        with pytest.raises(ConfigError, match="is empty; name a folder, a file or a URL"):
            load(write(), over)


def test_through_json_a_config_keeps_what_was_written_and_what_is_found() -> None:
    config = load(write(source={"url": "../images", "truth": "../scenes", "allow": ["../more"]}))
    sent = json.dumps(config.model_dump(mode="json"))
    again = validated(json.loads(sent))
    assert json.loads(sent)["root"] == "../store"
    assert again == config
    assert places(again) == places(config)
    assert again.root.written == "../store"  # type: ignore[attr-defined]
    assert json.dumps(again.model_dump(mode="json")) == sent


def test_a_file_in_the_working_directory_has_no_folder() -> None:
    config = load(write("a.yaml", root="store", source={"url": "images"}))
    assert (config.folder, places(config)[:2]) == ("", ("store", "images"))


def test_a_place_keeps_what_was_written_on_its_way_to_a_worker() -> None:
    place = placed("configs", "../store")
    for again in (pickle.loads(pickle.dumps(place)), copy.deepcopy(place), pickle.loads(pickle.dumps(load(write()))).root):
        assert isinstance(again, Place)
        assert (again, again.written) == ("store", "../store")


def test_in_settings_of_teachers_a_path_begins_with_a_dot() -> None:
    settings = {"weights": "./w.onnx", "deep": [{"more": "../x"}], "word": "demo", "hub": "owner/name", "url": "s3://b/../x"}
    config = load(write(one={**TEACHER, "settings": settings}))
    own = stage(config, "one")
    assert own.settings.settings == {**settings, "weights": "configs/w.onnx", "deep": [{"more": "x"}]}
    assert own.identity.settings["settings"] == settings, "as written"
    assert validated(config.model_dump(mode="json")) == config


def test_a_model_is_a_stage_or_a_path_as_the_file_sees_it() -> None:
    Path("configs/student").mkdir()
    for said, found in (("./student", "configs/student"), ("../models/x", "models/x"), ("owner/name", "hf://owner/name")):
        config = load(write(predict={"model": said}))
        assert [one.reference for one in stage(config, "predict").inputs["model"]] == [found]
    Path("configs/owner/name").mkdir(parents=True)
    (model,) = stage(load(write(predict={"model": "owner/name"})), "predict").inputs["model"]
    assert model.reference == "configs/owner/name", "a folder that is there comes before the hub"
    with pytest.raises(ConfigError, match=r"no stage before it is called 'student'.*a folder is written \./student"):
        load(write(predict={"model": "student"}))


@pytest.mark.parametrize("name", ["configs/a.yaml", "a.yaml"])
def test_paths_of_the_command_line_are_those_of_the_working_directory(name: str) -> None:
    Path("student").mkdir()
    more = {"one": {**TEACHER, "settings": {"weights": "./w.onnx"}}, "predict": {"model": "owner/name"}}
    settings = ["one.settings.weights=./here.onnx", "predict.model=student", "ingest.source.allow=[more, /data]"]
    config = load_with_options(write(name, **more), "panoramas", "place", settings)
    assert places(config) == ("place", "panoramas", None)
    assert stage(config, "ingest").settings.source.allow == ("more", "/data")
    assert Path(stage(config, "one").settings.settings["weights"]) == Path("here.onnx")
    (model,) = stage(config, "predict").inputs["model"]
    assert Path(model.reference) == Path("student")


def test_places_within_a_replaced_mapping_are_those_of_the_working_directory_too() -> None:
    config = load(write(), {"ingest.source": {"url": "images", "truth": "truth"}, "one.settings": {"deep": {"x": "../w"}}})
    assert places(config)[1:] == ("images", "truth")
    assert stage(config, "one").settings.settings == {"deep": {"x": "../w"}}


def test_what_the_command_line_says_is_what_the_file_would_have_said() -> None:
    said = load(write(), {"ingest.source.truth": "elsewhere"})
    written = load(write(source={"url": "../images", "truth": "../elsewhere"}))
    assert stage(said, "evaluate").identity == stage(written, "evaluate").identity


def test_another_file_names_its_own_places(here: Path) -> None:
    Path("other").mkdir()
    write("other/b.yaml", root="./b_store", source={"url": "b_images"})
    config = load(write(labels={"stage": "from", "config": "../other/b.yaml", "of": "fuse", "set": {"fuse.height": 64}}))
    own = stage(config, "labels")
    assert (own.root, own.panoramas.settings.source.url, own.settings.height) == ("other/b_store", "other/b_images", 64)
    again = stage(validated(json.loads(json.dumps(config.model_dump(mode="json")))), "labels")
    assert (again.root, again.identity) == (own.root, own.identity), "workers need no file"


@pytest.mark.parametrize(
    ("folder", "text", "expected"),
    [
        ("", "x", "x"),
        ("configs", "configs/x", "x"),
        ("configs", "x", "../x"),
        ("configs", "s3://x", "s3://x"),
        ("configs", "", ""),
    ],
)
def test_what_is_seen_from_a_folder_is_found_from_there(folder: str, text: str, expected: str) -> None:
    assert seen_from(folder, text) == expected
    if text:
        assert placed(folder, seen_from(folder, text)) == text
        assert Path(placed(folder, path_from(folder, text))) == Path(text)


@pytest.mark.parametrize(("text", "expected"), [("configs/x", "./x"), ("x", "../x"), ("./configs/x", "./x"), ("/x", "/x")])
def test_a_path_cannot_be_taken_for_a_stage(text: str, expected: str) -> None:
    assert path_from("configs", text) == expected
