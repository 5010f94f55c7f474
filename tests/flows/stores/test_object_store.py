"""The whole pipeline on an object store: panoramas come from S3, labels go to S3, and they are the labels of a local run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.plan import make_plan
from flows.stores.items import verify_store
from flows.stores.lineage import trace_item
from storage.receipts import FILE
from storage.urls import files_below, read_bytes, write_bytes
from tests.support.object_store import s3_bucket
from tests.support.pipelines import load, run_pipeline, without_fingerprints, write_pipeline


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    with s3_bucket("labels") as url:
        yield url


@pytest.mark.slow
def test_labels_on_s3_are_those_of_a_local_run(tmp_path: Path, bucket: str, prefect_api: str) -> None:
    path = write_pipeline(tmp_path, 3)
    for image in (tmp_path / "images").iterdir():
        write_bytes(f"{bucket}/images/{image.name}", image.read_bytes())
    run_pipeline(load(path))
    config = load(path, source__url=f"{bucket}/images", root=f"{bucket}/store")
    record = run_pipeline(config)
    assert {row["stage"]: row["ran"] for row in record["stages"]}["fuse"] == 2
    local = {name: data for name, data in without_fingerprints(tmp_path / "store").items() if name.startswith("fuse/")}
    remote = {}
    for name in files_below(f"{bucket}/store/stages/fuse"):
        _, block, *rest = name.split("/")
        if rest != [FILE]:
            remote[f"fuse/{block}/{'/'.join(rest)}"] = read_bytes(f"{bucket}/store/stages/fuse/{name}")
    assert remote == local
    assert not make_plan(config).anything_to_run
    assert trace_item(config, "p01")["source"]["uri"] == f"{bucket}/images/p01.png"
    assert all(broken is None for _, broken in verify_store(config))
