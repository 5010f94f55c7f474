"""What stores of panolabel 0.1 say, in the words of today."""

from tasks.earlier import blocks, product, sources, stage_read


def test_names_of_what_was_read() -> None:
    assert stage_read("labels 2 (street)") == "fuse"
    assert stage_read("fuse (coarse)") == "fuse"
    assert stage_read("label.geometry") == "label.geometry"


def test_what_a_stage_gave_is_what_its_receipt_says_or_what_it_must_have_been() -> None:
    assert product("predict", {"gives": "labels"}) == "labels"
    assert [product(stage, {}) for stage in ("fuse", "train", "adapt", "evaluate")] == ["labels", "model", "model", ""]


def test_sources_and_blocks_of_a_record() -> None:
    old = {"config": {"source": {"url": "images"}}, "blocks": ["000000-a", "000001-b"]}
    new = {"config": {}, "sources": ["images", "dusk"], "blocks": {"ingest": ["000000-a"], "target": ["000000-c", "000001-d"]}}
    assert (sources(old), blocks(old)) == (["images"], ["000000-a", "000001-b"])
    assert (sources(new), blocks(new)) == (["images", "dusk"], ["000000-a", "000000-c", "000001-d"])
    assert blocks({"config": {}}) == [], "it failed before it had a plan"
