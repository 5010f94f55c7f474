"""Faults of networks and servers, produced on real sockets: what passes is survived, what does not is told."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from storage import retries
from storage.arrays import BlockReader, BlockWriter, DamagedBlock
from storage.retries import StoreError
from storage.urls import children, exists, read_bytes, remove, write_bytes
from tests.support.flaky_proxy import FlakyProxy, flaky_bucket

DATA = bytes(range(256)) * 400
PASSING = ("unavailable", "slow_down", "reset", "truncated", "lost", "delayed")


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[str, FlakyProxy]]:
    with flaky_bucket("flaky") as served:
        yield served


@pytest.fixture
def bucket(served: tuple[str, FlakyProxy]) -> Iterator[str]:
    yield served[0]
    served[1].choose = lambda *_: ""


def first_time(proxy: FlakyProxy, method: str, fault: str) -> list[int]:
    """Break the first request of a method from now on; the list holds its number once it came."""
    broken: list[int] = []

    def choose(number: int, asked: str, _path: str) -> str:
        if broken or asked != method:
            return ""
        broken.append(number)
        return fault

    proxy.choose = choose
    return broken


@pytest.mark.fault(
    "S3 read: 503, slow down, reset, cut off, lost or late answer", expected="tried again with jitter; the same bytes"
)
@pytest.mark.parametrize("fault", PASSING)
def test_a_read_survives_what_passes(bucket: str, served: tuple[str, FlakyProxy], fault: str) -> None:
    write_bytes(f"{bucket}/read", DATA)
    broken = first_time(served[1], "GET", fault)
    assert read_bytes(f"{bucket}/read") == DATA
    assert broken


@pytest.mark.fault(
    "S3 write: 503, slow down, reset, cut off, lost or late answer", expected="tried again with jitter; the same bytes"
)
@pytest.mark.parametrize("fault", PASSING)
def test_a_write_survives_what_passes(bucket: str, served: tuple[str, FlakyProxy], fault: str) -> None:
    broken = first_time(served[1], "PUT", fault)
    write_bytes(f"{bucket}/write-{fault}", DATA)
    assert broken
    assert read_bytes(f"{bucket}/write-{fault}") == DATA


@pytest.mark.fault("S3: response lost after a PUT", expected="written again; the same bytes, once")
def test_an_answer_lost_after_the_write_costs_a_second_write_of_the_same_bytes(
    bucket: str, served: tuple[str, FlakyProxy]
) -> None:
    url, proxy = served
    first_time(proxy, "PUT", "lost")
    before = len(proxy.log)
    write_bytes(f"{url}/lost", DATA)
    assert [fault for method, _, fault in proxy.log[before:] if method == "PUT"] == ["lost", ""]
    assert read_bytes(f"{url}/lost") == DATA
    first_time(proxy, "DELETE", "lost")
    remove(f"{url}/lost")
    assert not exists(f"{url}/lost")


@pytest.mark.parametrize("fault", ["unavailable", "truncated", "reset"])
def test_a_block_survives_what_passes(bucket: str, served: tuple[str, FlakyProxy], fault: str) -> None:
    url, proxy = f"{bucket}/block-{fault}", served[1]
    values = [np.random.default_rng(seed).random((16, 32)).astype(np.float32) for seed in range(3)]
    broken = first_time(proxy, "PUT", fault)
    writer = BlockWriter(url, 3)
    for value in values:
        writer.append({"depth": value})
    writer.close()
    assert broken
    broken = first_time(proxy, "GET", fault)
    np.testing.assert_array_equal(BlockReader(url).item(1)["depth"], values[1])
    assert broken


@pytest.mark.fault("S3: an error that looks like an absence", expected="tried again; never taken for 'not there'")
def test_a_listing_and_a_look_never_take_a_fault_for_an_absence(bucket: str, served: tuple[str, FlakyProxy]) -> None:
    write_bytes(f"{bucket}/folder/a", b"1")
    for method, fault in (("HEAD", "unavailable"), ("HEAD", "lost")):
        broken = first_time(served[1], method, fault)
        assert exists(f"{bucket}/folder/a")
        assert broken
    broken = first_time(served[1], "GET", "unavailable")
    assert children(f"{bucket}/folder") == ["a"]
    assert broken


@pytest.mark.fault("S3: expired credentials", expected="told at once with the fix, not tried again")
def test_expired_credentials_are_told_at_once(bucket: str, served: tuple[str, FlakyProxy]) -> None:
    write_bytes(f"{bucket}/expired", b"1")
    before = len(served[1].log)
    served[1].choose = lambda *_: "expired"
    with pytest.raises(StoreError, match="were refused"):
        read_bytes(f"{bucket}/expired")
    with pytest.raises(StoreError, match=r"credentials for s3://flaky/expired were refused \(ExpiredToken\): renew them"):
        write_bytes(f"{bucket}/expired", b"2")
    with pytest.raises(StoreError, match="were refused"):
        exists(f"{bucket}/expired")
    assert len(served[1].log) - before <= 6  # once each; botocore asks for the bucket's region, too


@pytest.mark.usefixtures("bucket")
def test_a_bucket_that_is_not_there_is_named() -> None:
    with pytest.raises(StoreError, match="s3://nowhere/a: there is no such bucket"):
        write_bytes("s3://nowhere/a", b"1")


@pytest.mark.fault("A store that stays away", expected="told after a bounded number of tries, the URL masked")
def test_a_store_that_stays_away_is_told_after_a_bounded_time(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    waits: list[float] = []
    monkeypatch.setattr(retries.time, "sleep", waits.append)

    def refuse() -> None:
        calls.append(1)
        raise ConnectionResetError("Connection reset by peer")

    with pytest.raises(StoreError, match=r"https://\*\*\*@host/a: out of reach .* tried 6 times"):
        retries.persist("https://me:SECRET@host/a", refuse)
    assert len(calls) == retries.ATTEMPTS
    assert all(0 <= wait <= retries.FIRST_WAIT * 2**number for number, wait in enumerate(waits))


def written_block(url: str) -> list[str]:
    writer = BlockWriter(url, 2)
    for number in (1, 2):
        writer.append({"depth": np.full((16, 32), number, np.float32), "sky": np.full((16, 32), True)})
    writer.close()
    return writer.written


@pytest.mark.fault("Missing chunk or metadata of an array", expected="raised as damage, never read as zeros")
@pytest.mark.parametrize("gone", ["depth/c/0/0/0", "sky/zarr.json", "sky", "zarr.json", ""])
def test_what_a_receipt_promises_never_reads_as_zeros(tmp_path: Path, gone: str) -> None:
    files = written_block(str(tmp_path))
    path = tmp_path / "data.zarr" / gone
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(DamagedBlock, match="receipt is withdrawn"):
        BlockReader(str(tmp_path), files).item(0)


@pytest.mark.fault("Missing chunk on S3", expected="raised as damage, never read as zeros")
def test_a_missing_chunk_on_an_object_store_never_reads_as_zeros(bucket: str) -> None:
    files = written_block(f"{bucket}/gone")
    remove(f"{bucket}/gone/data.zarr/sky/c/0/0/0")
    reader = BlockReader(f"{bucket}/gone", files)
    with pytest.raises(DamagedBlock, match=r"data\.zarr/sky/c/0/0/0 is gone"):
        reader.item(0)


@pytest.mark.fault("Torn chunk", expected="damage of the block, no fault of an item")
@pytest.mark.parametrize("keep", [0, 10, -1])
def test_a_torn_chunk_is_damage_of_the_block_and_no_fault_of_an_item(tmp_path: Path, keep: int) -> None:
    files = written_block(str(tmp_path))
    chunk = tmp_path / "data.zarr/depth/c/0/0/0"
    chunk.write_bytes(chunk.read_bytes()[:keep])
    with pytest.raises(DamagedBlock):
        BlockReader(str(tmp_path), files).item(1)
