"""Who reads whom: the nearest stage before, or the one that is named; and what stands in fingerprints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs.settings import ConfigError, Settings
from storage.fingerprint import Identity
from storage.items import Block, Item
from tasks.stage.grain import of_all, stands_for
from tasks.stage.graph import Typed, resolve
from tasks.stage.kind import Edge, Grain, Inputs, Kind, Outside, Stage, Step


class Size(Settings):
    size: int = 1


def kind(name: str, gives: str, grain: Grain = "block", **reads: Edge) -> Kind:
    return Kind(name, "1", Size, reads, gives, make=f"nowhere:{name}", grain=grain)


def with_digest(_settings: Any, inputs: Inputs) -> Mapping[str, str]:
    (model,) = inputs["model"]
    return {"model": model.reference} if isinstance(model, Outside) else {}


INGEST = kind("ingest", "panoramas", "source")
PROJECT = kind("project", "views", panoramas=Edge("panoramas"))
LABEL = kind("label.{key}", "patch labels", views=Edge("views"))
FUSE = kind("fuse", "labels", views=Edge("views"), labels=Edge("patch labels", many=True))
EVALUATE = kind("evaluate", "figures", labels=Edge("labels"))
TRAIN = kind("train", "model", "all", labels=Edge("labels", anywhere=True, weighted=True))
PREDICT = Kind(
    *("predict", "1", Size, {"panoramas": Edge("panoramas"), "model": Edge("model", outside=True, anywhere=True)}, "labels"),
    make="nowhere:predict",
    weights=with_digest,
)
MIX = kind("mix", "labels", one=Edge("labels"), other=Edge("labels"))
SCORES = kind("scores", "scores", "derived", labels=Edge("labels"))
AUDIT = kind("audit", "audit", labels=Edge("labels"), views=Edge("views", parts_of="labels"), truth=Edge("figures", maybe=True))

Entry = tuple[str, Kind] | Typed


def block(source: str, number: int) -> Block:
    name = f"{source}{number}"
    return Block(number, (Item(name, f"/{name}", digest=name, height=8, width=16, size=1, stamp="", block=number),))


BLOCKS = {key: (block(key, 0), block(key, 1)) for key in ("ingest", "target")}
SIZES = {"target": 9}
"""Another source than that of ``ingest``, since what says the same is the same."""
LABELLING = (("ingest", INGEST), ("project", PROJECT), ("depth", LABEL), ("classes", LABEL), ("fuse", FUSE))
CHAIN = (*LABELLING, ("train", TRAIN), ("target", INGEST), ("predict", PREDICT), ("score", EVALUATE))


def named(key: str, of: Kind, **inputs: str | Outside | tuple[str | Outside, ...]) -> Typed:
    return Typed(key, of, Size(), {name: one if isinstance(one, tuple) else (one,) for name, one in inputs.items()})


def steps(*entries: Entry, sizes: Mapping[str, int] | None = None, root: str = "store") -> dict[str, Step]:
    given = [
        one if isinstance(one, Typed) else Typed(*one, Size(size={**SIZES, **(sizes or {})}.get(one[0], 1))) for one in entries
    ]
    return {step.key: step for step in resolve(given, root, BLOCKS)}


def graph(*entries: Entry, sizes: Mapping[str, int] | None = None) -> dict[str, Stage]:
    return {key: step.stage for key, step in steps(*entries, sizes=sizes).items()}


def read_by(stage: Stage) -> dict[str, list[str]]:
    return {name: [one.key if isinstance(one, Stage) else one.reference for one in found] for name, found in stage.inputs.items()}


def test_a_stage_reads_the_nearest_one_and_many_edges_all_of_them() -> None:
    found = graph(*LABELLING, ("evaluate", EVALUATE))
    assert read_by(found["fuse"]) == {"views": ["project"], "labels": ["depth", "classes"]}
    assert read_by(found["evaluate"]) == {"labels": ["fuse"]}
    assert found["fuse"].identity.upstream == {
        name: found[key].identity.fingerprint
        for name, key in (("project", "project"), ("label.depth", "depth"), ("label.classes", "classes"))
    }
    again = graph(*LABELLING, ("coarse", FUSE), ("evaluate", EVALUATE), sizes={"coarse": 2})
    assert read_by(again["evaluate"]) == {"labels": ["coarse"]}


def test_a_change_reaches_all_that_stands_behind_it_and_nothing_else() -> None:
    before = graph(*CHAIN)
    for changed, behind in (
        ("classes", {"classes", "fuse", "train", "predict", "score"}),
        ("fuse", {"fuse", "train", "predict", "score"}),
        ("train", {"train", "predict", "score"}),
        ("target", {"target", "predict", "score"}),
    ):
        after = graph(*CHAIN, sizes={changed: 2})
        assert {key for key in after if after[key].identity != before[key].identity} == behind


def test_panoramas_are_those_of_the_nearest_stage_or_the_named_one() -> None:
    found = graph(*CHAIN)
    assert found["predict"].panoramas.key == "target"
    assert read_by(found["predict"]) == {"panoramas": ["target"], "model": ["train"]}
    assert read_by(found["score"]) == {"labels": ["predict"]}
    assert found["score"].panoramas.key == "target"
    back = graph(*CHAIN[:7], named("predict", PREDICT, panoramas="ingest"))
    assert back["predict"].panoramas.key == "ingest"


def test_a_stage_over_named_labels_works_on_their_panoramas() -> None:
    found = graph(*CHAIN[:-1], named("score", EVALUATE, labels="fuse"))
    assert found["score"].panoramas.key == "ingest"


def test_many_edges_begin_anew_where_a_source_is_read_again() -> None:
    """Two labellings of one source in one file: each fuse takes the teachers of its own."""
    twice = graph(*LABELLING, ("again", INGEST), ("coarse", PROJECT), ("normals", LABEL), ("fuse2", FUSE))
    assert read_by(twice["fuse2"]) == {"views": ["coarse"], "labels": ["normals"]}
    assert read_by(twice["fuse"])["labels"] == ["depth", "classes"]


def test_a_named_input_replaces_the_rule() -> None:
    found = graph(*LABELLING[:-1], named("fuse", FUSE, labels="classes"))
    assert read_by(found["fuse"]) == {"views": ["project"], "labels": ["classes"]}


def test_the_key_of_an_entry_that_expanded_means_its_last_part_or_all_that_fit() -> None:
    parts = (("depth.first", LABEL), ("depth.turned", LABEL), ("depth", LABEL))
    all_of_them = graph(*LABELLING[:2], *parts, ("classes", LABEL), named("fuse", FUSE, labels="depth"))
    assert read_by(all_of_them["fuse"])["labels"] == ["depth.first", "depth.turned", "depth"]
    one_part = graph(*LABELLING[:2], *parts, named("fuse", FUSE, labels="depth.turned"))
    assert read_by(one_part["fuse"])["labels"] == ["depth.turned"]
    last = graph(*LABELLING, ("both.rough", FUSE), ("both", FUSE), named("evaluate", EVALUATE, labels="both"), sizes={"both": 3})
    assert read_by(last["evaluate"]) == {"labels": ["both"]}


def test_parts_of_the_same_entries_are_read_and_no_others() -> None:
    views = (("wide.views", PROJECT), ("wide", MIX), ("narrow.views", PROJECT), ("narrow", MIX))
    found = graph(*LABELLING, *views, named("audit", AUDIT, labels="wide"))
    assert read_by(found["audit"]) == {"labels": ["wide"], "views": ["wide.views"]}
    assert read_by(graph(*LABELLING, named("audit", AUDIT, labels="fuse"))["audit"]) == {"labels": ["fuse"]}


def test_an_edge_that_may_be_missing_is_read_where_it_is_there() -> None:
    found = graph(*LABELLING, ("evaluate", EVALUATE), ("audit", AUDIT))
    assert read_by(found["audit"]) == {"labels": ["fuse"], "truth": ["evaluate"]}
    other = graph(*CHAIN, named("audit", AUDIT, labels="fuse"))
    assert read_by(other["audit"]) == {"labels": ["fuse"]}, "those of other panoramas are not read"


def test_what_was_learned_from_a_data_set_holds_for_that_data_set() -> None:
    found = steps(*CHAIN)
    assert [stands_for(block) for block in found["train"].blocks] == [[block.name for block in BLOCKS["ingest"]]]
    whole = found["train"].blocks[0].name
    assert whole == of_all([block.name for block in BLOCKS["ingest"]]).name
    predict = found["predict"].stage
    assert predict.identity.settings == {"size": 1, "panoramas": {"train": whole}}
    assert found["train"].stage.identity.settings == {"size": 1}
    assert found["score"].stage.identity.settings == {"size": 1}, "it reads the predictions alone"
    assert found["predict"].blocks == BLOCKS["target"]
    assert predict.block_of(found["train"].stage, "own") == whole
    assert predict.block_of(found["target"].stage, "own") == "own"


def test_derived_blocks_stand_for_one_block_each() -> None:
    found = steps(*LABELLING, ("scores", SCORES))
    assert [stands_for(block) for block in found["scores"].blocks] == [[block.name] for block in BLOCKS["ingest"]]
    assert not {block.name for block in found["scores"].blocks} & {block.name for block in BLOCKS["ingest"]}


def test_a_model_may_come_from_outside() -> None:
    found = graph(("ingest", INGEST), named("predict", PREDICT, model=Outside("/models/x")))
    assert read_by(found["predict"])["model"] == ["/models/x"]
    assert found["predict"].identity.upstream == {"ingest": found["ingest"].identity.fingerprint}
    assert found["predict"].identity.weights == {"model": "/models/x"}
    other = graph(("ingest", INGEST), named("predict", PREDICT, model=Outside("/models/y")))
    assert other["predict"].identity.fingerprint != found["predict"].identity.fingerprint


def test_weights_that_cannot_be_read_are_told_with_the_stage() -> None:
    def missing(_settings: Any, _inputs: Inputs) -> Mapping[str, str]:
        raise FileNotFoundError("there is no weights.bin")

    broken = Kind("label.{key}", "1", Size, {"views": Edge("views")}, "patch labels", make="nowhere:x", weights=missing)
    with pytest.raises(ConfigError, match=r"stages\.depth: there is no weights\.bin"):
        graph(*LABELLING[:2], ("depth", broken))
    unweighed = resolve([Typed(key, of, Size()) for key, of in (*LABELLING[:2], ("depth", broken))], "store", {}, weigh="none")
    assert [step.key for step in unweighed] == ["ingest", "project", "depth"]


def test_two_stages_that_say_the_same_share_their_blocks_and_others_do_not() -> None:
    twice = graph(*LABELLING, ("again", FUSE))
    assert twice["again"].identity == twice["fuse"].identity
    assert twice["again"].block_url("b") == twice["fuse"].block_url("b")
    coarse = graph(*LABELLING, ("coarse", FUSE), sizes={"coarse": 2})
    assert coarse["coarse"].identity.fingerprint != coarse["fuse"].identity.fingerprint
    assert coarse["coarse"].name == "fuse"


def test_inputs_of_one_name_and_other_settings_both_stand_in_the_identity() -> None:
    found = graph(*LABELLING, ("coarse", FUSE), named("mix", MIX, one="fuse", other="coarse"), sizes={"coarse": 2})
    assert found["mix"].identity.upstream == {
        "fuse": found["fuse"].identity.fingerprint,
        "fuse (coarse)": found["coarse"].identity.fingerprint,
    }


def test_kinds_that_train_read_over_different_panoramas() -> None:
    found = steps(*CHAIN, named("both", TRAIN, labels=("fuse", "predict")))
    assert read_by(found["both"].stage)["labels"] == ["fuse", "predict"]
    names = [block.name for key in ("ingest", "target") for block in BLOCKS[key]]
    assert [stands_for(block) for block in found["both"].blocks] == [names]


def test_a_stage_of_another_pipeline_is_read_as_it_is() -> None:
    other = steps(*LABELLING, root="elsewhere", sizes={"fuse": 7})["fuse"]
    lent = Typed("indoor", FUSE, other.stage.settings, given=Step(replace(other.stage, key="indoor"), other.blocks))
    found = steps(lent, named("train", TRAIN, labels="indoor"))
    assert found["train"].stage.stages("labels")[0].root == "elsewhere"
    assert found["train"].stage.root == "store"


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ((("ingest", INGEST), ("ingest", INGEST)), r"stages\.ingest: stands twice; give each stage its own key"),
        (
            (("ingest", INGEST), ("fuse", FUSE)),
            r"stages\.fuse: needs views, which no stage before it gives; put one before it, or name it: fuse: \{views: \.\.\.\}",
        ),
        (
            (("ingest", INGEST), ("predict", PREDICT)),
            r"stages\.predict: needs model, which no stage before it gives; put one before it, or name it "
            r"\(a stage, a folder, a URL or a hub id\): predict: \{model: \.\.\.\}",
        ),
        (
            (*LABELLING, named("evaluate", EVALUATE, labels="fus")),
            r"stages\.evaluate\.labels: no stage before it is called 'fus'; did you mean 'fuse'\?",
        ),
        (
            (*LABELLING, named("evaluate", EVALUATE, labels="zzz")),
            r"stages\.evaluate\.labels: no stage before it is called 'zzz'; labels come from fuse",
        ),
        (
            (("ingest", INGEST), named("predict", PREDICT, model="net")),
            r"stages\.predict\.model: no stage before it is called 'net'; "
            r"no stage before it gives model; a folder is written \./net",
        ),
        (
            (named("evaluate", EVALUATE, labels="fuse"), *LABELLING),
            r"stages\.evaluate\.labels: no stage before it is called 'fuse'",
        ),
        (
            (*LABELLING, named("evaluate", EVALUATE, labels="project")),
            r"stages\.evaluate\.labels: project gives views, not labels; labels come from fuse",
        ),
        (
            (*LABELLING, ("coarse", FUSE), named("evaluate", EVALUATE, labels=("fuse", "coarse"))),
            r"stages\.evaluate\.labels: takes one stage, got 2; name one of them",
        ),
        (
            (*LABELLING, named("evaluate", EVALUATE, labels=Outside("/labels"))),
            r"stages\.evaluate\.labels: must be the key of a stage; labels come from fuse",
        ),
        (
            (*CHAIN, named("mix", MIX, one="fuse", other="predict")),
            r"stages\.mix: its inputs are over different panoramas \(ingest, target\); name inputs over the same ones",
        ),
        (
            (*LABELLING, ("target", INGEST), ("again", PROJECT), ("fuse2", FUSE)),
            r"stages\.fuse2: needs patch labels, which no stage before it gives over the panoramas of 'target'; put one",
        ),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_with_the_fix(entries: Sequence[Entry], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        graph(*entries)


def identities(*entries: Entry) -> dict[str, Identity]:
    return {key: stage.identity for key, stage in graph(*entries).items()}


@given(st.permutations(range(4)), st.integers(0, 3))
def test_the_order_of_unrelated_stages_changes_no_identity(order: list[int], changed: int) -> None:
    """Four stages that read the views and nothing of each other, in any order: each is what it is, and so is their reader."""
    keys = ["depth", "classes", "normals", "sky"]
    sizes = {keys[changed]: 5}
    behind = named("fuse", FUSE, labels=tuple(keys))
    plain = graph(*LABELLING[:2], *((key, LABEL) for key in keys), behind, sizes=sizes)
    mixed = graph(*LABELLING[:2], *((keys[place], LABEL) for place in order), behind, sizes=sizes)
    assert {key: stage.identity for key, stage in mixed.items()} == {key: stage.identity for key, stage in plain.items()}


def test_where_a_second_source_stands_changes_no_identity_of_those_that_name_theirs() -> None:
    chain = (
        *LABELLING,
        named("train", TRAIN, labels="fuse"),
        ("target", INGEST),
        named("predict", PREDICT, panoramas="target", model="train"),
        named("score", EVALUATE, labels="predict"),
    )
    expected = identities(*chain)
    keys = [one.key if isinstance(one, Typed) else one[0] for one in chain]
    for place in [0, *range(2, len(keys) - 2)]:  # right after the other source, it would be what the views are cut from
        others = [one for one, key in zip(chain, keys) if key != "target"]
        others.insert(place, ("target", INGEST))
        assert identities(*others) == expected


def test_any_order_of_teachers_gives_the_fused_labels_one_identity() -> None:
    found = {
        graph(*LABELLING[:2], *((key, LABEL) for key in order), ("fuse", FUSE))["fuse"].identity.fingerprint
        for order in permutations(("depth", "classes", "normals"))
    }
    assert len(found) == 1


def test_a_model_that_was_taken_for_one_of_the_hub_says_so() -> None:
    def away(_settings: Any, _inputs: Inputs) -> Mapping[str, str]:
        raise OSError("out of reach")

    reading = Kind("predict", "1", Size, {"model": Edge("model", outside=True)}, "labels", make="nowhere:x", weights=away)
    for reference, told in (
        ("hf://my/model", " (my/model is no folder here, so it was taken for a repository of the hub)"),
        ("/m", ""),
    ):
        entry = Typed("predict", reading, Size(), {"model": (Outside(reference),)})
        with pytest.raises(ConfigError) as caught:
            resolve([Typed("ingest", INGEST, Size()), entry], "store", {})
        assert str(caught.value) == f"stages.predict: out of reach{told}"
