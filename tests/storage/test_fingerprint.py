"""A fingerprint changes exactly when what it stands for does, and differences are explained."""

import hashlib
import json

from hypothesis import given
from hypothesis import strategies as st

from storage.fingerprint import Identity, canonical_json, differences

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
SETTINGS = st.dictionaries(st.text(min_size=1), VALUES, max_size=4)


@given(SETTINGS)
def test_the_order_of_keys_does_not_matter(settings: dict) -> None:
    backwards = dict(reversed(settings.items()))
    assert Identity("fuse", "1", settings).fingerprint == Identity("fuse", "1", backwards).fingerprint


@given(SETTINGS, SETTINGS)
def test_fingerprints_agree_exactly_when_settings_do(one: dict, other: dict) -> None:
    same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    assert (Identity("fuse", "1", one).fingerprint == Identity("fuse", "1", other).fingerprint) == same


def test_the_fingerprint_is_the_sha256_of_the_canonical_json() -> None:
    text = '{"settings":{"b":1},"stage":"fuse","upstream":{},"version":"2","weights":{}}'
    assert Identity("fuse", "2", {"b": 1}).fingerprint == hashlib.sha256(text.encode()).hexdigest()[:16]


def test_every_part_enters() -> None:
    variants = [
        Identity("fuse", "1"),
        Identity("label", "1"),
        Identity("fuse", "2"),
        Identity("fuse", "1", {"a": 1}),
        Identity("fuse", "1", {}, {"net": "ab"}),
        Identity("fuse", "1", {}, {}, {"label": "cd"}),
    ]
    assert len({identity.fingerprint for identity in variants}) == len(variants)


def test_differences_name_the_setting_with_before_and_after() -> None:
    before = Identity("fuse", "1", {"depth": {"edge": 0.1}, "height": 512}, {"net": "a" * 64}, {"label.x": "1" * 16})
    after = Identity("fuse", "2", {"depth": {"edge": 0.2}, "height": 512}, {"net": "b" * 64}, {"label.x": "2" * 16})
    told = [str(change) for change in differences(before.as_json(), after.as_json())]
    assert told == [
        "code version: 1 -> 2",
        "fuse.depth.edge: 0.1 -> 0.2",
        f"weights of net: {'a' * 12} -> {'b' * 12}",
        f"upstream label.x: {'1' * 8} -> {'2' * 8}",
    ]


def test_canonical_json_refuses_what_json_cannot_say() -> None:
    try:
        canonical_json({"x": float("nan")})
    except ValueError:
        return
    raise AssertionError("NaN has no canonical form")
