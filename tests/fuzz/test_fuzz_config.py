"""Whatever a config says: a Config that has a fingerprint, or a ConfigError; in bounded time and memory."""

import tempfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import strategies as st

from configs.pipeline import Config
from configs.settings import ConfigError
from storage.fingerprint import canonical_json, digest
from tasks.catalogue import kind_named, names
from tasks.pipeline import load, plain_stages, validated
from tests.fuzz.support import bounded, corpus, fuzz, mutated, outcome

SHIPPED = sorted((Path(__file__).parents[2] / "configs").glob("*.yaml"))


@pytest.fixture(scope="module", autouse=True)
def _imported() -> None:
    """What kinds of stages bring with them, torch among it, is not what a config costs."""
    for name in names():
        kind_named(name)


def check(raw: bytes) -> None:
    with tempfile.NamedTemporaryFile(suffix=".yaml") as file:
        file.write(raw)
        file.flush()
        config = outcome(lambda: load(file.name), ConfigError)
    if isinstance(config, ConfigError):
        assert file.name in str(config)
        assert len(str(config)) < 20_000
        return
    assert isinstance(config, Config)
    assert digest(canonical_json(config.model_dump(mode="json")))
    again = validated(config.model_dump(mode="json"))
    assert again == config
    assert [stage.identity for stage in plain_stages(again)] == [stage.identity for stage in plain_stages(config)]


def test_mutated_text() -> None:
    fuzz(mutated([path.read_bytes() for path in SHIPPED]), check, 60)


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(["cubemap", "random", "depth", "s3://bucket/x", "../x", "1e400", "~", "0x10", "2001-99-99", "=", "<<"]),
    st.dates(),
    st.datetimes(),
    st.binary(max_size=8),
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(SCALARS, inner, max_size=4), max_leaves=8
)  # fmt: skip


@st.composite
def rewritten(draw: st.DrawFn) -> bytes:
    """A shipped config with some of its values replaced, dropped, doubled or moved, written as YAML again."""
    data: Any = yaml.safe_load(draw(st.sampled_from(SHIPPED)).read_text())
    for _ in range(draw(st.integers(1, 4))):
        place: Any = data
        while True:
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            if not keys:
                break
            key = draw(st.sampled_from(keys))
            inner = place[key]
            if isinstance(inner, dict | list) and inner and draw(st.booleans()):
                place = inner
                continue
            accident = draw(st.sampled_from(["replace", "replace", "drop", "add"]))
            if accident == "replace":
                place[key] = draw(VALUES)
            elif accident == "drop":
                del place[key]
            elif isinstance(place, dict):
                place[draw(SCALARS)] = draw(VALUES)
            else:
                place.append(draw(VALUES))
            break
    return yaml.safe_dump(data, allow_unicode=draw(st.booleans())).encode("utf-8", "surrogatepass")


def test_rewritten_values() -> None:
    fuzz(rewritten(), check, 60)


LAUGHS = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join(['*' + before] * 9)}]\n" for before, name in zip("abcdefgh", "bcdefghi")
)
MERGES = "a: &a {x: 1}\n" + "".join(
    f"{name}: &{name} {{<<: [{','.join(['*' + before] * 9)}]}}\n" for before, name in zip("abcdefgh", "bcdefghi")
)
PLAIN = (
    "name: p\nroot: r\nstages:\n  ingest: {source: {url: s}}\n  project: {}\n"
    "  t: {stage: label, kind: scenes, fields: [depth], settings: %s}\n"
)
BOMBS = {
    "aliases": (LAUGHS, "aliases"),
    "aliases in settings": (LAUGHS + PLAIN % "{a: *i}", "aliases"),
    "merges": (MERGES, "aliases"),
    "an anchor that holds itself": ("a: &a [*a]\n", "aliases"),
    "deep lists": ("[" * 50_000, "nested too deeply"),
    "deep mappings": ("{a: " * 50_000, "nested too deeply"),
    "large": ("a: b\n" * 100_000, "larger than"),
    "object": ("name: !!python/object/apply:os.system ['true']\n", "remove the tag"),
    "module": ("name: !!python/name:os.system\n", "remove the tag"),
    "own tag": ("name: !env PASSWORD\n", "remove the tag"),
    "no date": ("name: 2001-99-99\n", "not valid YAML"),
    "two documents": ("a: 1\n---\nb: 2\n", "not valid YAML"),
    "not a number": (PLAIN % "{a: .nan}", "settings"),
    "bytes": (PLAIN % '{a: !!binary "/w=="}', "settings"),
    "infinite": (PLAIN % "{}" + "  more: {stage: ingest, source: {url: s}, max_megapixels: .inf}\n", "max_megapixels"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_and_tags_are_refused(name: str, tmp_path: Path) -> None:
    text, reason = BOMBS[name]
    (tmp_path / "c.yaml").write_text(text)
    with bounded(), pytest.raises(ConfigError, match=reason) as caught:
        load(tmp_path / "c.yaml")
    assert len(str(caught.value)) < 2000


def test_anchors_and_merges_stay_usable(tmp_path: Path) -> None:
    text = "x: &x {name: p, root: r}\n"
    (tmp_path / "c.yaml").write_text(PLAIN % "{a: &a [1], b: *a}")
    assert load(tmp_path / "c.yaml").stages[-1].values["settings"] == {"a": [1], "b": [1]}
    (tmp_path / "d.yaml").write_text(text + "<<: *x\nstages: {ingest: {source: {url: s}}}\n")
    with pytest.raises(ConfigError, match=r"x: unknown key"):
        load(tmp_path / "d.yaml")
    (tmp_path / "e.yaml").write_text("name: p\nroot: r\nstages:\n  ingest: &i {source: {url: s}}\n  m: {<<: *i, stage: ingest}\n")
    assert [entry.kind for entry in load(tmp_path / "e.yaml").stages] == ["ingest", "ingest"]


URL = "s3://key:hunter2@bucket/x"


@pytest.mark.parametrize(
    "text",
    [
        "root: r\nstages: {ingest: {source: '%s'}}",
        "root: r\nstages: {ingest: {source: {url: ['%s']}}}",
        "root: r\nstages: ['%s']",
        "root: r\nstages: {ingest: {source: {url: s}}, fuse: {labels: '%s'}}",
        "root: r\nstages: {other: {stage: from, config: '%s', of: fuse}}",
        "root: r\nstages: {other: {stage: '%s'}}",
        "root: '%s'\nexecution: {runner: {kind: dusk}}\nstages: {ingest: {source: {url: s}}}",
        "root: r\nsource: '%s'\nteachers: []",
        "root: '%s'\nsource: {url: '%s'}\nteachers: []",
        "root: r\nmodel: '%s'\nsource: {url: s}",
    ],
)
def test_messages_show_no_passwords(tmp_path: Path, text: str) -> None:
    (tmp_path / "c.yaml").write_text(f"name: p\n{text.replace('%s', URL)}\n")
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / "c.yaml")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("path", corpus("config"), ids=lambda path: path.name)
def test_configs_of_the_corpus(path: Path) -> None:
    with bounded():
        check(path.read_bytes())
