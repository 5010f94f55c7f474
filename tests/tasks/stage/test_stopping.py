"""Whether a block's run was asked to stop is seen in the store, by this block alone, and a store that fails says nothing."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from tasks.stage.attempts import stopping
from tasks.stage.attempts.stopping import asked_to_stop, heeding, stop_url
from tests.support.processes import until


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stopping, "LOOK_SECONDS", 0.01)


def ask(root: Path, run: str) -> None:
    Path(stop_url(str(root), run)).parent.mkdir(exist_ok=True)
    Path(stop_url(str(root), run)).touch()


def test_a_block_sees_the_file_of_its_own_run(tmp_path: Path) -> None:
    ask(tmp_path, "other")
    with heeding(str(tmp_path), "own"):
        assert not asked_to_stop()
        ask(tmp_path, "own")
        until(asked_to_stop)
        elsewhere: list[bool] = []
        thread = threading.Thread(target=lambda: elsewhere.append(asked_to_stop()))
        thread.start()
        thread.join()
        assert elsewhere == [False], "a block of another run, in another thread"
    assert not asked_to_stop()


def test_a_store_that_fails_is_asked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def answer(url: str) -> bool:
        asked.append(url)
        if len(asked) < 3:
            raise OSError("not now")
        return True

    monkeypatch.setattr(stopping, "exists", answer)
    with heeding(str(tmp_path), "run"):
        until(asked_to_stop)
    assert len(asked) == 3


def test_nobody_looks_after_the_block(tmp_path: Path) -> None:
    with heeding(str(tmp_path), "run"):
        pass
    until(lambda: not [thread for thread in threading.enumerate() if thread.name == "stop-look"])
