"""Runs at once in one store: each may go on, and who starts or plans one is told of the others."""

from __future__ import annotations

import json
import platform
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from flows.plan import make_plan
from flows.stores.at_work import at_work_words
from flows.telling.progress import TerminalProgress
from storage.records.runs import latest_run, run_names
from tests.support.commands import panolabel
from tests.support.faulty import switch
from tests.support.pipelines import load
from tests.support.processes import holder, start_run, until, write_faulty_pipeline

pytestmark = pytest.mark.usefixtures("prefect_api")


def test_a_plan_and_a_run_tell_of_another_run_while_it_lives(tmp_path: Path, prefect_api: str) -> None:
    path, root = write_faulty_pipeline(tmp_path, 4), str(tmp_path / "store")
    switch(tmp_path, hold_on="p03")
    first = start_run(path, {"PREFECT_API_URL": prefect_api}, execution__runner__workers=1)
    holder(tmp_path, "p03", first)
    record = latest_run(root)
    assert record is not None
    who = f"{record['run']} (process {first.pid} on {platform.node()}, since {record['started']})"
    told = f"another run is at work in this store: {who}; both may go on, each block is made once"
    assert f"note: {told}" in panolabel("plan", path, COLUMNS="400").stdout
    [other] = json.loads(panolabel("plan", path, "--json").stdout)["at_work"]
    assert other == {key: record[key] for key in ("run", "process", "host", "started")}

    second = start_run(path, {"PREFECT_API_URL": prefect_api})
    until(lambda: len(run_names(root)) == 2, first, second, folder=tmp_path)
    first.kill()
    first.wait()
    [other] = json.loads(panolabel("plan", path, "--json").stdout)["at_work"]
    assert other["process"] == second.pid, "the first one died"
    switch(tmp_path)
    assert second.wait(600) == 0
    log = (tmp_path / "store" / "runs" / f"{run_names(root)[-1]}.log").read_text()
    assert told in log.splitlines()[0]
    assert not make_plan(load(path)).anything_to_run


def test_many_are_one_line() -> None:
    others = [{"run": name, "process": 7, "host": "box", "started": "2026-11-30T08:00:00+00:00"} for name in ("one", "two")]
    assert at_work_words([]) == []
    assert at_work_words(others) == [
        "2 other runs are at work in this store: one (process 7 on box, since 2026-11-30T08:00:00+00:00), "
        "two (process 7 on box, since 2026-11-30T08:00:00+00:00); all may go on, each block is made once"
    ]


def test_a_line_for_everybody_shows_beside_live_bars_too() -> None:
    shown = StringIO()
    progress = TerminalProgress(Console(file=shown, force_terminal=True))
    progress.told("label: one of two")
    progress.told("another run", everywhere=True)
    assert shown.getvalue() == "another run\n"
