"""What entries of a pipeline's file say: kinds, settings, inputs by name, models from outside, shares of label sets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from configs.pipeline import Config
from configs.settings import ConfigError
from tasks.pipeline import plain_stages, validated
from tasks.stage.kind import Outside, Stage

LABELLING: dict[str, Any] = {
    "ingest": {"source": {"url": "images"}},
    "project": {},
    "red": {"stage": "label", "kind": "scenes", "fields": ["depth"]},
    "fuse": {},
}


def config(**stages: Any) -> Config:
    return validated({"name": "small", "root": "store", "stages": {**LABELLING, **stages}})


def stage(key: str, **stages: Any) -> Stage:
    return next(one for one in plain_stages(config(**stages)) if one.key == key)


def test_label_sets_may_be_named_with_their_shares() -> None:
    coarse = {"stage": "fuse", "height": 512}
    train = stage("train", coarse=coarse, train={"labels": {"fuse": 1.0, "coarse": 0.5}, "steps": 1})
    assert [one.key for one in train.stages("labels")] == ["coarse", "fuse"], "JSON may sort them: their order means nothing"
    assert list(train.settings.shares) == [0.5, 1.0]
    listed = stage("train", coarse=coarse, train={"labels": ["fuse", "coarse"], "steps": 1})
    assert [one.key for one in listed.stages("labels")] == ["fuse", "coarse"]
    assert listed.identity != train.identity, "shares change what is learnt"


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("https://models.example/net", "https://models.example/net"),
        ("./nets/mine", "./nets/mine"),
        ("/nets/mine", "/nets/mine"),
        ("somebody/net", "hf://somebody/net"),
    ],
)
def test_a_model_from_outside_is_a_folder_a_url_or_a_hub_id(
    model: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (found,) = stage("predict", predict={"model": model}).inputs["model"]
    assert isinstance(found, Outside)
    assert found.reference == expected


def test_a_folder_of_two_parts_is_no_hub_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nets" / "mine").mkdir(parents=True)
    (found,) = stage("predict", predict={"model": "nets/mine"}).inputs["model"]
    assert isinstance(found, Outside)
    assert found.reference == "nets/mine"


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        ({"fusee": {}}, r"stages\.fusee: no stage is of the kind 'fusee'; did you mean 'fuse'\?; or say of which kind it is"),
        ({"second": {"stage": "evaluat"}}, r"stages\.second: no stage is of the kind 'evaluat'; did you mean 'evaluate'\?$"),
        ({"second": {"stage": "zzz"}}, r"stages\.second: no stage is of the kind 'zzz'; kinds are adapt, audit, caption, "),
        ({"second": {"stage": "adapt.omni"}}, r"stages\.second: no stage is of the kind 'adapt\.omni'"),
        ({"evaluate": {"label": "fuse"}}, r"stages\.evaluate\.label: unknown key; did you mean 'labels'\?"),
        ({"train": {}}, r"^config: stages\.train\.steps: is required; add it$"),
        ({"evaluate": {"labels": []}}, r"stages\.evaluate\.labels: must name what is read: labels: STAGE"),
        ({"evaluate": {"labels": 3}}, r"stages\.evaluate\.labels: must name what is read: labels: STAGE"),
        ({"predict": {"model": 3}}, r"stages\.predict\.model: must name what is read: model: FOLDER, URL or hub id"),
        ({"fuse": {"labels": 3}}, r"stages\.fuse\.labels: must name what is read: labels: \[STAGE, \.\.\.\]"),
        ({"fuse": {"height": 7}, "evaluate": {"x": 1}}, r"(?s)stages\.fuse\.height: .*stages\.evaluate\.x: unknown key"),
    ],
)
def test_what_an_entry_says_wrongly_is_told_with_the_fix(stages: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        config(**stages)
