"""The whole pipeline over a network that fails: the same labels, nothing lost, and no panorama blamed for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import boto3
import pytest

from configs.pipeline import Config
from flows.errors import RunFailed
from flows.plan import make_plan
from storage import retries
from storage.receipts import FILE
from storage.records import attempts
from storage.retries import StoreError
from storage.urls import files_below, read_bytes, write_bytes
from tasks.ingest.check import check_entry
from tasks.ingest.entries import Entry
from tasks.ingest.panorama import load_panorama
from tests.support.flaky_proxy import Choose, FlakyProxy, flaky_bucket, sometimes
from tests.support.pipelines import load, run_pipeline, without_fingerprints, write_pipeline
from tests.support.stages import source_of


@pytest.fixture(scope="module")
def opened() -> Iterator[tuple[str, FlakyProxy]]:
    with flaky_bucket("weather") as opened:
        yield opened


@pytest.fixture
def served(opened: tuple[str, FlakyProxy]) -> Iterator[tuple[str, FlakyProxy]]:
    yield opened
    opened[1].choose = lambda *_: ""


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
        if stage != "ingest" and rest[-1] not in (FILE, attempts.FILE):
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


@pytest.mark.slow
@pytest.mark.fault(
    "S3: credentials expire in the middle of a run; then one request in ten fails",
    expected="the run stops and says what to renew; the next keeps what is done; bytes as on disk",
)
@pytest.mark.usefixtures("prefect_api")
def test_credentials_expire_then_the_network_fails_now_and_then_and_the_labels_are_the_same(
    tmp_path: Path, served: tuple[str, FlakyProxy], seen: Callable[[str], None]
) -> None:
    bucket, proxy = served
    path = write_pipeline(tmp_path, 2)
    run_pipeline(load(path))
    config = on_s3(tmp_path, path, bucket)

    proxy.choose = expiring_after(2)
    with pytest.raises((RunFailed, StoreError), match=r"were refused .*renew them"):
        run_pipeline(config)
    proxy.choose = lambda *_: ""
    done = sum(name.endswith(FILE) for name in files_below(f"{config.root}/stages"))
    assert done == 2

    before = proxy.done.copy()
    proxy.choose = sometimes(0.1, seed=1)
    record = run_pipeline(config)
    proxy.choose = lambda *_: ""
    faults = {fault: count for fault, count in (proxy.done - before).items() if fault}
    assert len(faults) >= 3, faults
    assert sum(faults.values()) >= 6, faults
    assert record["state"] == "completed"
    assert record["quarantined"] == []
    assert sum(row["cached"] for row in record["stages"]) == done
    assert stored(config) == {
        name: data for name, data in without_fingerprints(tmp_path / "store").items() if not name.startswith("ingest/")
    }
    assert not make_plan(config).anything_to_run
    told = ", ".join(f"{count} {fault}" for fault, count in sorted(faults.items()))
    seen(f"stopped after {done} receipts, which were kept; then {told}: completed, nothing given up, bytes identical")


@pytest.mark.fault("A network that fails while a panorama is read", expected="the store is named; the panorama is not given up")
@pytest.mark.parametrize("fault", ["lost", "unavailable", "truncated", "expired"])
def test_a_network_that_fails_is_no_fault_of_a_panorama(
    tmp_path: Path, served: tuple[str, FlakyProxy], monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    bucket, proxy = served
    config = load(write_pipeline(tmp_path, 1))
    data = (tmp_path / "images/p00.png").read_bytes()
    boto3.client("s3").put_object(Bucket=bucket.removeprefix("s3://"), Key="p00.png", Body=data, ACL="public-read")
    entry = Entry("p00", f"{proxy.url}/weather/p00.png", 0, "")
    settings = source_of(config).settings
    item = check_entry(entry, settings)
    assert item.reason == ""
    monkeypatch.setattr(retries, "ATTEMPTS", 2)
    proxy.choose = lambda *_: fault
    with pytest.raises(StoreError):
        check_entry(entry, settings)
    with pytest.raises(StoreError):
        load_panorama(item, settings)
