"""Kinds, caching, settings' errors, and the digests that fingerprints rest on."""

import hashlib
import json
import os
import sys
import threading
import types

import pytest

from configs.places import placed
from models.teachers import WantedViews, load_teacher, registry, sees, wanted_views, weights, weights_digest
from models.teachers.named_files import missing_files
from models.teachers.plugin_code import code_of
from models.teachers.registry import KEPT, KINDS, _loaded, resolve
from tests.models.tiny import save

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def segformer(tmp_path):
    save("segformer", tmp_path / "model")
    return tmp_path / "model"


def transformers(folder, **more):
    return "transformers", {"model": str(folder), **more}


@pytest.mark.parametrize(("kind", "nearest"), [("transformer", "transformers"), ("onx", "onnx"), ("scene", "scenes")])
def test_an_unknown_kind_names_the_nearest(kind, nearest):
    with pytest.raises(ValueError, match=f"kind: unknown teacher '{kind}'; did you mean '{nearest}'"):
        load_teacher(kind, {}, "cpu")


@pytest.mark.parametrize("kind", ["no_such_package.module:load", "json:no_such_function"])
def test_a_kind_of_ones_own_that_is_not_there(kind):
    with pytest.raises(ValueError, match=f"kind: '{kind}' cannot be loaded"):
        load_teacher(kind, {}, "cpu")


def test_every_kind_of_the_table_but_the_scenes_has_a_loader():
    for kind in set(KINDS) - {"scenes"}:
        assert callable(resolve(kind))


def test_a_teacher_of_ones_own(monkeypatch, tmp_path):
    source = tmp_path / "my_teacher.py"
    source.write_text("def load(settings, device):\n    return (dict(settings), device)\n")
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "weights.pt").write_bytes(b"1")
    settings = {"file": str(tmp_path / "weights.pt"), "size": 3}
    digest = weights_digest("my_teacher:load", settings)
    assert load_teacher("my_teacher:load", settings, "cpu") == (settings, "cpu")
    assert weights_digest("my_teacher:load", {**settings, "batch_size": 9}) == digest
    assert weights_digest("my_teacher:load", {**settings, "size": 4}) != digest
    (tmp_path / "weights.pt").write_bytes(b"22")
    changed = weights_digest("my_teacher:load", settings)
    source.write_text(source.read_text() + "# a comment\n")
    assert weights_digest("my_teacher:load", settings) == changed
    source.write_text(source.read_text() + "VERSION = 2\n")
    assert len({digest, changed, weights_digest("my_teacher:load", settings)}) == 3


def test_a_teacher_of_ones_own_may_say_its_digest(monkeypatch):
    module = types.ModuleType("digesting_teacher")
    module.load = lambda settings, device: None
    module.weights_digest = lambda settings: f"digest of {settings['version']}"
    monkeypatch.setitem(sys.modules, "digesting_teacher", module)
    assert weights_digest("digesting_teacher:load", {"version": 7}) == "digest of 7"


def test_loaded_once_for_the_same_settings_whatever_their_order(segformer):
    one = load_teacher("transformers", {"model": str(segformer), "batch_size": 2}, "cpu")
    assert load_teacher("transformers", {"batch_size": 2, "model": str(segformer)}, "cpu") is one
    assert load_teacher(*transformers(segformer, batch_size=3), "cpu") is not one
    (segformer / "preprocessor_config.json").write_text(json.dumps({"size": {"height": 32, "width": 32}}))
    assert load_teacher("transformers", {"model": str(segformer), "batch_size": 2}, "cpu") is not one


def test_threads_share_one_load(monkeypatch):
    calls = []
    module = types.ModuleType("slow_teacher")
    started = threading.Barrier(4)

    def load(settings, device):
        calls.append(settings)
        threading.Event().wait(0.05)
        return object()

    module.load, module.weights_digest = load, lambda settings: "same"
    monkeypatch.setitem(sys.modules, "slow_teacher", module)
    found = []

    def work():
        started.wait()
        found.append(load_teacher("slow_teacher:load", {}, "cpu"))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(calls) == 1
    assert len({id(one) for one in found}) == 1


def test_only_a_few_teachers_are_kept(monkeypatch):
    module = types.ModuleType("small_teacher")
    module.load, module.weights_digest = (lambda settings, device: object()), lambda settings: "same"
    monkeypatch.setitem(sys.modules, "small_teacher", module)
    for number in range(KEPT + 3):
        load_teacher("small_teacher:load", {"number": number}, "cpu")
    assert len(_loaded) == KEPT


def test_the_digest_is_that_of_the_sorted_files(segformer):
    names = ["config.json", "model.safetensors", "preprocessor_config.json"]
    lines = [[name, hashlib.sha256((segformer / name).read_bytes()).hexdigest()] for name in names]
    assert weights_digest(*transformers(segformer)) == hashlib.sha256(json.dumps(lines).encode()).hexdigest()


def test_one_byte_of_weights_changes_the_digest_and_execution_does_not(segformer):
    before = weights_digest(*transformers(segformer))
    assert weights_digest(*transformers(segformer, batch_size=7)) == before
    (segformer / "README.md").write_text("not read")
    assert weights_digest(*transformers(segformer)) == before
    path = segformer / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(1, 1))  # Whatever the clock's resolution, the file's time differs now.
    assert weights_digest(*transformers(segformer)) != before


def test_an_unchanged_file_is_read_once(segformer, monkeypatch):
    before = weights_digest(*transformers(segformer))
    monkeypatch.setattr(weights.hashlib, "file_digest", lambda *_: pytest.fail("read again"))
    assert weights_digest(*transformers(segformer)) == before


def test_the_digest_of_scenes_is_that_of_their_settings_and_code(monkeypatch):
    one = weights_digest("scenes", {"noise": 0.1, "seed": 3})
    assert one == weights_digest("scenes", {"seed": 3, "noise": 0.1})
    assert one != weights_digest("scenes", {"seed": 4, "noise": 0.1})
    code = code_of("scenes.teacher", alone=True)["modules"]
    assert {"scenes.teacher", "scenes.render", "scenes.world", "scenes.rooms", "scenes.streets"} <= set(code)
    monkeypatch.setattr(registry, "code_of", lambda _, alone: {"modules": {**code, "scenes.render": "another"}})
    assert one != weights_digest("scenes", {"noise": 0.1, "seed": 3})


READ_TOO = ["processor_config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
            "vocab.json", "vocab.txt", "merges.txt", "spiece.model", "model.safetensors.index.json"]  # fmt: skip


@pytest.mark.parametrize("name", READ_TOO)
def test_what_transformers_reads_of_a_local_folder_counts(name, segformer):
    before = weights_digest(*transformers(segformer))
    (segformer / name).write_text("{}")
    with_it = weights_digest(*transformers(segformer))
    (segformer / name).write_text('{ "weight_map": {}}')
    assert len({before, with_it, weights_digest(*transformers(segformer))}) == 3


def test_a_hub_model_keeps_its_digest_since_its_commit_says_the_rest(segformer, monkeypatch):
    before = weights_digest(*transformers(segformer))
    monkeypatch.setattr(registry, "model_folder", lambda _: segformer)
    hub = ("transformers", {"model": "org/some-model", "revision": COMMIT})
    assert weights_digest(*hub) == before
    (segformer / "tokenizer.json").write_text("{}")
    (segformer / "processor_config.json").write_text("{}")
    assert weights_digest(*hub) == before
    assert weights_digest(*transformers(segformer)) != before


def test_the_digest_of_the_shipped_network_stays():
    assert weights_digest("transformers", {"model": "demo"}).startswith("2b3ca8d0535c1dde59cf59f94f83148061e1f207")


@pytest.fixture
def plugin(monkeypatch, tmp_path):
    (tmp_path / "naming_teacher.py").write_text("def load(settings, device):\n    return 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    return lambda settings: weights_digest("naming_teacher:load", settings)


def named(where, path):
    return {
        "any key": {"anything": path},
        "weights": {"weights": path},
        "a list": {"heads": [1, path]},
        "deep": {"parts": {"head": [{"file": path}]}},
        "a url": {"checkpoint": f"file://{path}"},
    }[where]


@pytest.mark.parametrize("where", ["any key", "weights", "a list", "deep", "a url"])
def test_a_file_under_any_key_of_settings_counts(where, plugin, tmp_path):
    file = tmp_path / "net.bin"
    file.write_bytes(b"1")
    before = plugin(named(where, str(file)))
    file.write_bytes(b"22")
    assert plugin(named(where, str(file))) != before


def test_folders_homes_and_bare_names_count_and_other_texts_do_not(plugin, tmp_path, monkeypatch):
    (tmp_path / "parts" / "deep").mkdir(parents=True)
    inner = tmp_path / "parts" / "deep" / "net.bin"
    inner.write_bytes(b"1")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    paths = (str(tmp_path / "parts"), "~/parts", "./parts", "parts/deep/net.bin")
    for settings in (*({"key": path} for path in paths), {"weights": "parts"}):
        inner.write_bytes(b"1")
        before = plugin(settings)
        inner.write_bytes(b"22")
        assert plugin(settings) != before, settings
    for text in (".", "/", "~", "", "a\nb", "x" * 5000, "s3://bucket/net.bin", "org/name", "cpu"):
        assert plugin({"key": text}) == plugin({"key": text})


def test_a_bare_word_takes_in_no_folder_that_happens_to_be_called_so(plugin, tmp_path, monkeypatch):
    before = plugin({"variant": "models", "net": "net.bin"})
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "other.bin").write_bytes(b"1")
    monkeypatch.chdir(tmp_path)
    assert plugin({"variant": "models", "net": "net.bin"}) == before
    (tmp_path / "net.bin").write_bytes(b"1")
    assert plugin({"variant": "models", "net": "net.bin"}) != before, "a file of that name counts"


def test_files_that_are_missing_are_told():
    settings = {
        "weights": "gone",
        "lists": ["/gone/a.bin", {"x": "~/b"}],
        "model": "org/name",
        "url": "s3://b/x.pt",
        "n": "1.5",
        "mode": "fast",
    }
    assert dict(missing_files(settings)) == {"weights": "gone", "lists.0": "/gone/a.bin", "lists.1.x": "~/b"}


@pytest.mark.parametrize("revision", [None, "main", "0123abc"])
def test_a_hub_id_needs_a_pinned_commit(revision):
    with pytest.raises(ValueError, match=r"revision: hub model 'org/some-model' needs a pinned commit.*/commits/main"):
        weights_digest("transformers", {"model": "org/some-model", "revision": revision})


def test_a_hub_model_that_is_not_in_the_cache_says_how_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=f"HF_HUB_OFFLINE is set; run `hf download org/some-model --revision {COMMIT}`"):
        weights_digest("transformers", {"model": "org/some-model", "revision": COMMIT})


def test_a_hub_model_in_the_cache_is_digested_and_loaded_without_a_network(segformer, monkeypatch, tmp_path):
    snapshot = tmp_path / "cache" / "models--org--some-model" / "snapshots" / COMMIT
    snapshot.parent.mkdir(parents=True)
    segformer.rename(snapshot)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub._snapshot_download.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    settings = {"model": "org/some-model", "revision": COMMIT}
    assert weights_digest("transformers", settings) == weights_digest(*transformers(snapshot))
    assert load_teacher("transformers", settings, "cpu").fields == ("semantics", "sky")


def test_a_folder_that_is_not_there_says_where_it_looked(tmp_path):
    with pytest.raises(FileNotFoundError, match=f"model: there is no folder {tmp_path / 'gone'}"):
        weights_digest(*transformers(tmp_path / "gone"))


@pytest.mark.parametrize("lost", ["config.json", "model.safetensors"])
def test_a_folder_that_lacks_a_part_is_an_error(lost, segformer):
    (segformer / lost).unlink()
    with pytest.raises(FileNotFoundError, match=r"lacks config\.json or weights"):
        load_teacher(*transformers(segformer), "cpu")


def test_a_folder_that_lacks_a_shard_is_an_error(segformer):
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}
    (segformer / "model.safetensors.index.json").write_text(json.dumps(index))
    (segformer / "model.safetensors").rename(segformer / "model-00001-of-00002.safetensors")
    with pytest.raises(FileNotFoundError, match=r"lacks config\.json or weights"):
        weights_digest(*transformers(segformer))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"model": "x", "batchsize": 3}, r"batchsize: unknown key; did you mean 'batch_size'"),
        ({}, r"model: is required; add it"),
        ({"model": "x", "task": "flow"}, r"task: Input should be 'depth'.*got 'flow'"),
        ({"model": "x", "depth_max": -1}, r"depth_max: .*greater than 0"),
    ],
)
def test_settings_errors_name_the_key_and_the_fix(settings, message):
    with pytest.raises(ValueError, match=f"settings of a teacher of kind 'transformers': {message}"):
        weights_digest("transformers", settings)


def test_a_place_of_a_config_is_digested_as_written_and_by_what_lies_there(monkeypatch, tmp_path):
    (tmp_path / "my_reader.py").write_text("def load(settings, device):\n    return settings\n")
    (tmp_path / "words").mkdir()
    (tmp_path / "words" / "all.txt").write_text("a")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    seen = [{"lexicon": placed(folder, "../words")} for folder in ("configs", str(tmp_path / "configs"))]
    assert [one["lexicon"] for one in seen] == ["words", str(tmp_path / "words")]
    before, other = (weights_digest("my_reader:load", one) for one in seen)
    assert before == other
    (tmp_path / "words" / "all.txt").write_text("b2")
    assert weights_digest("my_reader:load", seen[0]) != before


def test_what_a_teacher_sees_is_said_beside_its_loader(tmp_path, monkeypatch):
    (tmp_path / "seeing_all.py").write_text("SEES = 'views'\ndef load(settings, device): ...\n")
    (tmp_path / "seeing_much.py").write_text("SEES = 'everything'\ndef load(settings, device): ...\n")
    (tmp_path / "seeing_little.py").write_text("def load(settings, device): ...\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert [sees(kind) for kind in ("seeing_all:load", "seeing_little:load", "transformers")] == ["views", "patches", "patches"]
    with pytest.raises(ValueError, match="SEES = 'everything'; write one of patches, views, panorama"):
        sees("seeing_much:load")
    assert wanted_views("seeing_little:load", {}) == WantedViews()
