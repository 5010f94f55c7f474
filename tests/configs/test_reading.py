"""The config speaks to its user: every mistake names its key and the fix, and both forms of ``stages`` say the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from configs.pipeline import Config
from configs.settings import ConfigError
from flows.publishing.audit import with_stage
from tasks.pipeline import load, plain_stages, validated

TEACHER = {"stage": "label", "kind": "transformers", "fields": ["depth"], "settings": {"model": "demo"}}
STAGES: dict[str, Any] = {"ingest": {"source": {"url": "images"}}, "project": {}, "one": TEACHER, "fuse": {}, "evaluate": {}}
MINIMAL: dict[str, Any] = {"name": "test", "root": "store", "stages": STAGES}
SHIPPED = sorted([*Path("configs").glob("*.yaml"), *Path("configs").glob("*/*.yaml")])


def write(place: Path, name: str = "config.yaml", stages: Any = STAGES, **changes: Any) -> Path:
    path = place / name
    path.write_text(yaml.safe_dump({**MINIMAL, "stages": stages, **changes}, sort_keys=False))
    return path


def settings_of(config: Config, key: str) -> Any:
    return next(stage.settings for stage in plain_stages(config) if stage.key == key)


def identities(config: Config) -> dict[str, str]:
    return {stage.key: stage.identity.fingerprint for stage in plain_stages(config)}


def test_defaults_are_filled_in(tmp_path: Path) -> None:
    config = load(write(tmp_path))
    assert settings_of(config, "project").layout.kind == "icosahedron"
    assert settings_of(config, "ingest").block_size == 16


def test_nothing_said_of_a_stage_is_all_defaults(tmp_path: Path) -> None:
    said, unsaid = (load(write(tmp_path, stages={**STAGES, "fuse": value})) for value in ({}, None))
    assert said == unsaid


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"fuze": {}}, "stages.fuze: no stage is of the kind 'fuze'; did you mean 'fuse'?"),
        ({"fuse": {"stage": "fuze"}}, "stages.fuse: no stage is of the kind 'fuze'; did you mean 'fuse'?"),
        ({"fuse": {"off_axes_power": 1}}, "stages.fuse.off_axes_power: unknown key; did you mean 'off_axis_power'?"),
        ({"project": {"layout": {"kind": "random", "cout": 3}}}, "did you mean 'count'?"),
        ({"project": {"layout": {"kind": "randm"}}}, "'random'"),
        ({"project": {"layout": {"kind": "random", "fov_degrees": [120, 80]}}}, "swap the two numbers"),
        ({"fuse": {"height": 511}}, "use 512"),
        ({"fuse": {"depth_dtype": "float8"}}, "stages.fuse.depth_dtype"),
        (
            {"ingest": {"source": {"url": "i"}, "block_size": 0}},
            "stages.ingest.block_size: Input should be greater than or equal to 1 (got 0)",
        ),
        ({"ingest": {"source": {}}}, "stages.ingest.source.url: is required; add it"),
        ({"project": {"layout": {"kind": "cubemap", "fov_degrees": 1.57}}}, "greater than or equal to 90"),
        ({"fuse": {"height": float("inf")}}, "stages.fuse: height: holds what JSON cannot say"),
        ({"fuse": 3}, "fuse: must be a mapping of settings; write fuse: {} for defaults"),
        ({"fuse": {"labels": "oen"}}, "stages.fuse.labels: no stage before it is called 'oen'; did you mean 'one'?"),
        (
            {"fuse": {"labels": "project"}},
            "stages.fuse.labels: project gives views, not patch labels; patch labels come from one",
        ),
        ({"fuse": {"labels": []}}, "stages.fuse.labels: must name what is read: labels: [STAGE, ...]"),
        ({"fuse": {"labels": {"one": 0.5}}}, "stages.fuse.labels: takes no weights; name what is read alone: labels: ['one']"),
        ({"Fuse": {}}, "stages.Fuse: String should match pattern '^[a-z][a-z0-9_]*$' (got 'Fuse')"),
        ({"second": {"stage": "label.views"}}, "stages.second: no stage is of the kind 'label.views'; did you mean 'label'?"),
    ],
)
def test_a_mistake_names_its_key_and_the_fix(tmp_path: Path, changes: dict, expected: str) -> None:
    path = write(tmp_path, stages={**STAGES, **changes})
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert expected in str(caught.value)
    assert str(caught.value).startswith(f"config {path}:")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"nam": "x"}, "nam: unknown key; did you mean 'name'?"),
        ({"folder": "elsewhere"}, "folder: unknown key; relative paths start where the file lies"),
        ({"stages": []}, "stages: name at least one stage"),
        ({"stages": "ingest"}, "stages: must be a mapping of keys to stages, or a list of mappings with one key each"),
        ({"stages": None}, "stages: must be a mapping of keys to stages, or a list of mappings with one key each"),
        ({"stages": [STAGES]}, "stages: every item of the list must be a mapping with one key"),
        ({"stages": [{"project": {}}, {"project": {}}]}, "stages.project: stands twice; give each stage a key of its own"),
        ({"stages": {"fuse": {}}}, "stages.fuse: needs patch labels, which no stage before it gives"),
    ],
)
def test_a_mistake_in_the_frame_is_told(tmp_path: Path, changes: dict, expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(write(tmp_path, **changes))
    assert expected in str(caught.value)


def test_two_teachers_for_one_field_contradict(tmp_path: Path) -> None:
    after = {key: STAGES[key] for key in ("fuse", "evaluate")}
    before = {key: value for key, value in STAGES.items() if key not in after}
    with pytest.raises(ConfigError, match="both 'one' and 'two' give 'depth'"):
        load(write(tmp_path, stages={**before, "two": TEACHER, **after}))


def test_several_mistakes_are_told_at_once(tmp_path: Path) -> None:
    broken = {"ingest": {"source": {"url": "i"}, "block_size": 0}, "fuse": {"heigth": 512}}
    with pytest.raises(ConfigError) as caught:
        load(write(tmp_path, stages={**STAGES, **broken}))
    assert "stages.fuse.heigth: unknown key; did you mean 'height'?" in str(caught.value)
    assert "stages.ingest.block_size" in str(caught.value)


@pytest.mark.parametrize("form", ["mapping", "list"])
def test_overrides_are_laid_over_the_file(tmp_path: Path, form: str) -> None:
    stages = STAGES if form == "mapping" else [{key: value} for key, value in STAGES.items()]
    over = {"fuse.height": 64, "one.settings.model": "other", "execution.device": "cpu", "evaluate.protocol": "panolabel"}
    config = load(write(tmp_path, stages=stages), over)
    assert [entry.key for entry in config.stages] == list(STAGES), "in the order of the file"
    assert (settings_of(config, "fuse").height, config.execution.device) == (64, "cpu")
    assert settings_of(config, "one").settings == {"model": "other"}


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("fuze.height", "override fuze.height: there is no stage 'fuze'; did you mean 'fuse'?"),
        ("exection.device", "did you mean 'execution'?"),
        ("x.y", "there is no stage 'x'; stages are ingest, project, one, fuse, evaluate"),
        ("name.x", "override name.x: name is not a mapping in the config"),
        ("folder", "there is no stage 'folder'"),
    ],
)
def test_an_override_of_nothing_names_the_nearest(tmp_path: Path, key: str, expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(write(tmp_path), {key: 8})
    assert expected in str(caught.value)


def test_an_override_hides_no_key_that_stands_twice(tmp_path: Path) -> None:
    path = write(tmp_path, stages=[*({key: value} for key, value in STAGES.items()), {"fuse": {"height": 64}}])
    with pytest.raises(ConfigError, match=r"stages\.fuse: stands twice"):
        load(path, {"fuse.height": 512})


def test_a_key_that_stands_twice_in_the_mapping_is_told_with_both_lines(tmp_path: Path) -> None:
    path = write(tmp_path)
    path.write_text(path.read_text() + "  fuse: {height: 64}\n")
    with pytest.raises(ConfigError, match=r"fuse' stands twice .* lines \d+ and \d+"):
        load(path)


def test_both_forms_of_stages_say_the_same(tmp_path: Path) -> None:
    mapping = load(write(tmp_path))
    listed = load(write(tmp_path, stages=[{key: value} for key, value in STAGES.items()]))
    assert listed == mapping
    assert identities(listed) == identities(mapping)


def through_json(config: Config) -> Config:
    text = json.dumps(config.model_dump(mode="json"), sort_keys=True)
    assert isinstance(json.loads(text)["stages"], list), "a mapping would lose its order"
    return validated(json.loads(text))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_config_sent_through_json_with_sorted_keys_means_the_same(path: Path) -> None:
    config = load(path)
    again = through_json(config)
    assert again == config
    assert [entry.key for entry in again.stages] == [entry.key for entry in config.stages]
    assert identities(again) == identities(config)


def test_label_sets_with_weights_have_no_order_that_json_could_lose(tmp_path: Path) -> None:
    second = {**STAGES, "indoor": {"stage": "fuse", "height": 512}}
    weighted = {"indoor": 0.5, "fuse": 2.0}
    config = load(write(tmp_path, stages={**second, "train": {"labels": weighted, "steps": 1}}))
    assert identities(through_json(config)) == identities(config)
    (train,) = [stage for stage in plain_stages(config) if stage.key == "train"]
    assert {one.key: share for one, share in zip(train.stages("labels"), train.settings.shares, strict=True)} == weighted


OLD = {
    "name": "old",
    "root": "store",
    "source": {"url": "images"},
    "teachers": [{"name": "one", **TEACHER}],
    "fuse": {"height": 64},
}


def test_a_file_of_the_old_form_is_refused_with_the_new_one_printed(tmp_path: Path) -> None:
    path = tmp_path / "old file.yaml"
    path.write_text(yaml.safe_dump(OLD))
    with pytest.raises(ConfigError, match=r"has no stages, but fuse, source, teachers as panolabel 0.1 wrote them") as caught:
        load(path)
    said, _, printed = str(caught.value).partition(":\n\n")
    assert f"`panolabel migrate '{path}'`" in said
    new = tmp_path / "new.yaml"
    new.write_text(printed)
    config = load(new)
    assert [entry.key for entry in config.stages] == ["ingest", "project", "one", "fuse", "evaluate"]
    assert settings_of(config, "fuse").height == 64


def test_old_paths_are_those_of_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "configs").mkdir()
    monkeypatch.chdir(tmp_path)
    teacher = {
        "name": "one",
        "kind": "scenes",
        "fields": ["depth"],
        "settings": {"weights": "./weights.json", "other": "weights"},
    }
    Path("configs/old.yaml").write_text(yaml.safe_dump({**OLD, "root": "work/store", "teachers": [teacher]}))
    with pytest.raises(ConfigError) as caught:
        load("configs/old.yaml")
    Path("configs/new.yaml").write_text(str(caught.value).partition(":\n\n")[2])
    config = load("configs/new.yaml")
    assert (config.root, settings_of(config, "ingest").source.url) == ("work/store", "images")
    assert settings_of(config, "one").settings == {"weights": "weights.json", "other": "weights"}


def test_a_student_of_the_old_form_is_a_folder_and_no_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("old.yaml").write_text(yaml.safe_dump({**OLD, "teachers": [], "student": {"model": "model"}}))
    with pytest.raises(ConfigError) as caught:
        load("old.yaml")
    Path("new.yaml").write_text(str(caught.value).partition(":\n\n")[2])
    (predict,) = [stage for stage in plain_stages(load("new.yaml")) if stage.key == "predict"]
    assert [one.reference for one in predict.inputs["model"]] == ["./model"]


def test_a_config_of_the_installed_package_asks_where_its_store_may_lie(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = tmp_path / "site-packages"
    (site / "configs").mkdir(parents=True)
    (site / "configs" / "reading.py").touch()
    path = write(site / "configs")
    monkeypatch.setattr("configs.reading.__file__", str(site / "configs" / "reading.py"))
    with pytest.raises(ConfigError, match=r"belongs to the installed package, .* say where: --root FOLDER"):
        load(path)
    assert load(path, {"root": str(tmp_path / "store")}).root == str(tmp_path / "store")
    assert load(write(site / "configs", "bucket.yaml", root="s3://bucket/store")).root == "s3://bucket/store"
    (site / "pyproject.toml").touch()
    assert load(path).root == str(site / "configs" / "store"), "a checkout may keep its store beside the file"


def test_a_missing_file_is_an_error_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path / "nothing.yaml")


def test_files_that_name_each_other_go_round_in_a_circle(tmp_path: Path) -> None:
    for name, other in (("a", "b"), ("b", "a")):
        write(tmp_path, f"{name}.yaml", {**STAGES, "labels": {"stage": "from", "config": f"{other}.yaml", "of": "fuse"}})
    with pytest.raises(
        ConfigError, match=r"stages\.labels\.config: files read each other in a circle: .*a\.yaml -> .*b\.yaml -> .*a\.yaml"
    ):
        load(tmp_path / "a.yaml")


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"config": "a.yaml"}, "stages.labels: takes config and of, and may take incomplete, latest and set"),
        (
            {"config": "a.yaml", "of": "fuse", "weight": 2},
            "stages.labels: takes config and of, and may take incomplete, latest and set, not weight",
        ),
        ({"config": "a.yaml", "of": "fuze"}, "stages.labels.of: a.yaml has no stage 'fuze'; did you mean 'fuse'?"),
        ({"config": "nothing.yaml", "of": "fuse"}, "nothing.yaml: cannot be read"),
        ({"config": "a.yaml", "of": "fuse", "set": {"fuse.height": 511}}, "stages.labels: config"),
    ],
)
def test_a_mistake_about_another_file_is_told_of_this_one(tmp_path: Path, entry: dict, expected: str) -> None:
    write(tmp_path, "a.yaml")
    path = write(tmp_path, "b.yaml", {"labels": {"stage": "from", **entry}})
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert str(caught.value).startswith(f"config {path}: ")
    assert expected in str(caught.value)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_ready_made_config_is_valid(path: Path) -> None:
    assert load(path).name == path.stem


def test_a_stage_is_not_emptied_by_the_way(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"override fuse: would drop all settings of the stage; name one of them: fuse\.NAME"):
        load(write(tmp_path, "a.yaml"), {"fuse": None})


def test_weights_of_labels_are_told_under_the_names_that_the_file_has(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"stages\.train\.labels\.fuse: Input should be greater than 0"):
        load(write(tmp_path, "a.yaml", {**STAGES, "train": {"labels": {"fuse": 0}}}))


def test_an_audit_stands_behind_the_labels_where_a_file_goes_on_with_other_panoramas() -> None:
    config, key = with_stage(load("configs/street.yaml"), "audit", {})
    (audit,) = (stage for stage in plain_stages(config) if stage.key == key)
    assert [stage.key for stage in audit.stages("labels")] == ["fuse"]
