"""Answers are kept once, and what they cost is counted by whoever asks."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from models.captioners.base import CaptionAnswer, Usage
from storage.urls import write_if_absent
from tasks.caption.answers import Answers, Budget, request_digest
from tasks.stage.job import BadItem

ANSWER = CaptionAnswer('{"short": "ä room"}', "stop", Usage(7, 3), 2)


def test_the_first_answer_is_kept(tmp_path: Path) -> None:
    answers, key = Answers(str(tmp_path)), request_digest({"prompt": "a"})
    assert answers.get(key) is None
    assert answers.put(key, ANSWER) == answers.put(key, CaptionAnswer("other")) == answers.get(key) == ANSWER
    assert [path.name for path in (tmp_path / "captions").iterdir()] == [f"{key}.json"]
    answers.forget(key)
    assert answers.put(key, CaptionAnswer("other")).said == "other"


def test_a_damaged_answer_is_none(tmp_path: Path) -> None:
    answers = Answers(str(tmp_path))
    answers.put("a", ANSWER)
    (tmp_path / "captions/a.json").write_text("{")
    assert answers.get("a") is None
    assert answers.put("a", ANSWER) == ANSWER


@pytest.mark.parametrize("scheme", ["", "memory://"])
def test_of_many_writers_one_wins(tmp_path: Path, scheme: str) -> None:
    answers = Answers(f"{scheme}{tmp_path}")
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda number: answers.put("a", CaptionAnswer(str(number))), range(8)))
    assert answers.get("a") in found
    if not scheme:
        assert len({one.said for one in found}) == 1
    write_if_absent(f"{scheme}{tmp_path}/captions/a.json", b"later")
    assert answers.get("a") in found


def test_a_budget_counts_what_is_under_way_what_others_spent_and_the_dearest(tmp_path: Path) -> None:
    one, other = (Budget(str(tmp_path), "f", 1.0) for _ in range(2))
    with ExitStack() as held:
        for _ in range(3):
            held.enter_context(one.hold(0.3))
        with pytest.raises(BadItem, match=r"budget spent: 0.0000 of max_cost 1, and one more takes about 0.3000"):
            held.enter_context(one.hold(0.3))
    one.pay(0.4)
    one.pay(0.4)
    other.look()
    for budget in (one, other):
        with pytest.raises(BadItem, match=r"0.8000 of max_cost 1, and one more takes about 0.4"), budget.hold(0.1):
            pass
    with Budget(str(tmp_path), "g", 1.0).hold(0.9), Budget(str(tmp_path), "f", None).hold(9):
        pass
