"""The whole pipeline over a network that fails: the same labels, nothing lost, and no panorama blamed for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fsspec.config import conf

from configs.schema import Config
from flows.blocks import RunFailed
from flows.plan import make_plan
from storage import retries
from storage.receipts import FILE
from storage.retries import StoreError
from storage.urls import files_below, read_bytes, write_bytes
from tasks.ingest import check_entry
from tasks.sources import list_source
from tests.support.flaky_proxy import Choose, FlakyProxy, flaky_bucket, sometimes
from tests.support.object_store import forget_clients
from tests.support.pipelines import load, run_pipeline, without_fingerprints, write_pipeline


@pytest.fixture
def served() -> Iterator[tuple[str, FlakyProxy]]:
    with flaky_bucket("weather") as served:
        yield served


def on_s3(folder: Path, path: Path, bucket: str) -> Config:
    """The pipeline with its panoramas and its store on the bucket."""
    for image in (folder / "images").iterdir():
        write_bytes(f"{bucket}/images/{image.name}", image.read_bytes())
    return load(path, source__url=f"{bucket}/images", root=f"{bucket}/store")


def stored(config: Config) -> dict[str, bytes]:
    """Like ``without_fingerprints``, of a store anywhere."""
    files = {}
    for name in files_below(f"{config.root}/stages"):
        stage, _, *rest = name.split("/")
        if stage != "ingest" and rest[-1] != FILE:
            files["/".join([stage, *rest])] = read_bytes(f"{config.root}/stages/{name}")
    return files


def expiring_after(receipts: int) -> Choose:
    """Credentials that are refused once so many receipts were written."""
    written = 0

    def choose(_number: int, method: str, path: str) -> str:
        nonlocal written
        if written >= receipts:
            return "expired"
        written += method == "PUT" and FILE in path
        return ""

    return choose


@pytest.mark.usefixtures("prefect_api")
def test_credentials_expire_then_the_network_fails_now_and_then_and_the_labels_are_the_same(
    tmp_path: Path, served: tuple[str, FlakyProxy]
) -> None:
    bucket, proxy = served
    path = write_pipeline(tmp_path, 3)
    run_pipeline(load(path))
    config = on_s3(tmp_path, path, bucket)

    proxy.choose = expiring_after(3)
    with pytest.raises((RunFailed, StoreError), match=r"were refused .*renew them"):
        run_pipeline(config)
    proxy.choose = lambda *_: ""
    done = sum(name.endswith(FILE) for name in files_below(f"{config.root}/stages"))
    assert done == 3

    before = proxy.done.copy()
    proxy.choose = sometimes(0.07, seed=1)
    record = run_pipeline(config)
    proxy.choose = lambda *_: ""
    faults = {fault: count for fault, count in (proxy.done - before).items() if fault}
    assert len(faults) >= 4, faults
    assert sum(faults.values()) >= 10, faults
    assert record["state"] == "completed"
    assert record["quarantined"] == []
    assert sum(row["cached"] for row in record["stages"]) == done
    assert stored(config) == {
        name: data for name, data in without_fingerprints(tmp_path / "store").items() if not name.startswith("ingest/")
    }
    assert not make_plan(config).anything_to_run


def test_a_store_that_stays_away_is_no_fault_of_a_panorama(
    tmp_path: Path, served: tuple[str, FlakyProxy], monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket, proxy = served
    config = on_s3(tmp_path, write_pipeline(tmp_path, 1), f"{bucket}/away")
    (entry,) = list_source(config.source.url)
    monkeypatch.setattr(retries, "ATTEMPTS", 1)
    monkeypatch.setitem(conf["s3"], "config_kwargs", {"retries": {"total_max_attempts": 1}})
    forget_clients()
    proxy.choose = lambda *_: "lost"
    with pytest.raises(StoreError, match=r"p00\.png: the store is out of reach"):
        check_entry(entry, config.ingest)
