"""Panoramas decoded once for all who look at them: what is kept, for how long, and that nothing is hidden by it."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from threading import Event

import cv2
import numpy as np
import pytest

from storage.items import Item
from tasks.ingest import shared
from tasks.ingest.check import check_entry
from tasks.ingest.entries import Entry
from tasks.ingest.images.decode import BadImage, Panorama, open_panorama
from tasks.ingest.settings import Ingest
from tasks.ingest.shared import Shared, shared_panorama
from tasks.stage.job import BadItem
from tests.support.pipelines import write_panoramas

SETTINGS = Ingest()


@pytest.fixture
def item(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Item:
    monkeypatch.setattr(shared, "_shared", Shared(2**20))
    write_panoramas(tmp_path, ["p"])
    return check_entry(Entry("p", str(tmp_path / "p.png"), 1, ""), SETTINGS)


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Grows by the vertical degrees of every panorama that is decoded."""
    found: list[float] = []

    def counting(data: bytes, settings: Ingest, vertical_degrees: float) -> Panorama:
        found.append(vertical_degrees)
        return open_panorama(data, settings, vertical_degrees)

    monkeypatch.setattr(shared, "open_panorama", counting)
    return found


def test_two_who_look_see_one_panorama(item: Item, decoded: list[float]) -> None:
    one, other = shared_panorama(item, SETTINGS), shared_panorama(item, SETTINGS)
    assert one is other
    assert decoded == [180.0]
    plain = open_panorama(Path(item.uri).read_bytes(), SETTINGS)
    np.testing.assert_array_equal(one.pixels, plain.pixels)
    np.testing.assert_array_equal(one.observed, plain.observed)
    for array in (one.pixels, one.observed):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


def test_other_ways_of_reading_are_other_panoramas(item: Item, decoded: list[float]) -> None:
    shared_panorama(item, SETTINGS)
    shared_panorama(item, Ingest(middle_grey=0.3))
    shared_panorama(replace(item, item="other name"), SETTINGS)
    assert len(decoded) == 2


def test_a_file_that_changes_or_goes_is_told_all_the_same(item: Item) -> None:
    shared_panorama(item, SETTINGS)
    path = Path(item.uri)
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(BadItem, match="changed while the run was going"):
        shared_panorama(item, SETTINGS)
    path.unlink()
    with pytest.raises(BadItem, match="gone since it was ingested"):
        shared_panorama(item, SETTINGS)


def test_what_cannot_be_decoded_is_not_kept(item: Item, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> Panorama:
        raise BadImage("broken")

    with monkeypatch.context() as patch:
        patch.setattr(shared, "open_panorama", broken)
        for _ in range(2):
            with pytest.raises(BadItem, match="broken"):
                shared_panorama(item, SETTINGS)
    assert shared_panorama(item, SETTINGS).pixels.any()


def panorama(size: int) -> Panorama:
    return Panorama(np.zeros((size, 2 * size, 3), np.uint8), np.ones((size, 2 * size), np.bool_))


def counted(count: list[int], size: int) -> Callable[[], Panorama]:
    def decode() -> Panorama:
        count.append(size)
        return panorama(size)

    return decode


def test_what_was_asked_for_longest_ago_is_forgotten() -> None:
    kept, count = Shared(3 * 6 * 10 * 10), list[int]()
    for key in ("a", "b", "c", "a", "d", "a", "b"):  # d takes the place of b, and b then that of c
        kept.get(key, counted(count, 10))
    assert len(count) == 5
    kept.get("large", counted(count, 30))
    kept.get("large", counted(count, 30))
    assert count[5:] == [30, 30]


def test_masks_count_where_something_was_not_observed() -> None:
    part = panorama(10)
    part.observed[0, 0] = False
    kept, count = Shared(2 * 6 * 10 * 10), list[int]()
    kept.get("part", lambda: part)
    kept.get("whole", counted(count, 10))
    kept.get("whole", counted(count, 10))
    assert kept.get("part", lambda: panorama(11)).pixels.shape == (11, 22, 3)
    assert count == [10]


def test_a_second_thread_waits_for_the_first() -> None:
    kept, begun, go, count = Shared(2**20), Event(), Event(), list[int]()

    def slow() -> Panorama:
        begun.set()
        assert go.wait(10)
        return counted(count, 4)()

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(kept.get, "a", slow)
        assert begun.wait(10)
        second = pool.submit(kept.get, "a", counted(count, 4))
        go.set()
        assert first.result() is second.result()
    assert count == [4]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_process_waits_for_no_thread_that_it_does_not_have(item: Item, monkeypatch: pytest.MonkeyPatch) -> None:
    own = shared.Shared(2**20)
    monkeypatch.setattr(shared, "_shared", own)
    begun, go = Event(), Event()

    def slow() -> Panorama:
        begun.set()
        assert go.wait(10)
        return panorama(4)

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(own.get, "a", slow)
        assert begun.wait(10)
        if (child := os.fork()) == 0:
            os._exit(own.get("a", partial(panorama, 6)).pixels.shape[0])
        go.set()
        assert waiting.result().pixels.shape[0] == 4
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 6


def test_teachers_of_one_block_decode_it_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, decoded: list[float]) -> None:
    from geometry.layouts import cubemap
    from tasks.label.label import cut_patches

    monkeypatch.setattr(shared, "_shared", Shared(2**20))
    cv2.imwrite(str(tmp_path / "p.png"), np.random.default_rng(0).integers(0, 256, (64, 128, 3)).astype(np.uint8))
    item = check_entry(Entry("p", str(tmp_path / "p.png"), 1, ""), SETTINGS)
    first, second = (cut_patches(item, SETTINGS, True, cubemap(16, 1.6)) for _ in range(2))
    np.testing.assert_array_equal(first.pixels, second.pixels)
    assert first.observed is None
    assert len(decoded) == 1
