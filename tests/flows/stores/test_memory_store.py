"""The whole pipeline in the memory of one process: the labels of a run on disk; a cluster of processes is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from configs.settings import ConfigError
from flows.plan import make_plan
from flows.stores.items import verify_store
from flows.stores.lineage import trace_item
from storage.receipts import FILE
from storage.urls import files_below, filesystem, read_bytes, write_bytes
from tests.support.pipelines import load, run_pipeline, without_fingerprints, write_pipeline


def test_labels_in_memory_are_those_on_disk(tmp_path: Path, prefect_api: str) -> None:
    path = write_pipeline(tmp_path, 3)
    run_pipeline(load(path))
    for image in (tmp_path / "images").iterdir():
        write_bytes(f"memory://memory-test/images/{image.name}", image.read_bytes())
    config = load(path, root="memory://memory-test/store", source__url="memory://memory-test/images")
    record = run_pipeline(config)
    assert record["quarantined"] == []
    local = {name: data for name, data in without_fingerprints(tmp_path / "store").items() if name.startswith("fuse/")}
    memory = {}
    for name in files_below(f"{config.root}/stages/fuse"):
        _, block, *rest = name.split("/")
        if rest != [FILE]:
            memory[f"fuse/{block}/{'/'.join(rest)}"] = read_bytes(f"{config.root}/stages/fuse/{name}")
    assert memory == local
    assert not make_plan(config).anything_to_run
    assert trace_item(config, "p01")["steps"][-1]["state"] == "done"
    assert all(broken is None for _, broken in verify_store(config))
    filesystem(config.root)[0].rm("/memory-test", recursive=True)


@pytest.mark.parametrize(("key", "url"), [("root", "memory://store"), ("source__url", "memory://images")])
def test_memory_and_processes_are_a_contradiction(tmp_path: Path, key: str, url: str) -> None:
    path = write_pipeline(tmp_path, 1)
    load(path, **{key: url})
    with pytest.raises(
        ConfigError,
        match=rf"{key.replace('source__', 'stages.ingest.source.')}: '{url}' lives in .* write execution\.runner\.kind: threads",
    ):
        load(path, **{key: url}, execution__runner__kind="dask")
