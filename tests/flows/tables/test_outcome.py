"""What a run prints at its end."""

import pytest

from flows import invocation
from flows.tables.run import SHOWN_ITEMS, print_outcome
from flows.text import console
from tasks.stage.tables import Column, Table, Words, as_json


@pytest.mark.parametrize("extra", [0, 3])
def test_quarantined_items_that_are_not_shown_are_told_with_the_command(extra: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(invocation, "_given", invocation.Given("x.yaml"))
    quarantined = [{"item": f"p{n}", "stage": "ingest", "reason": "the file is empty"} for n in range(SHOWN_ITEMS + extra)]
    record = {"run": "r", "stages": [], "quarantined": quarantined, "report": "r.html"}
    with console.capture() as printed:
        print_outcome(record)
    told = f"and {extra} more: panolabel failures list x.yaml"
    assert (told in printed.get()) == bool(extra)
    assert printed.get().count("the file is empty") == SHOWN_ITEMS


def test_a_run_prints_what_its_stages_show(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(invocation, "_given", invocation.Given("x.yaml"))
    figures = Table("quality", "Labels", (Column("figure", text=True), Column("value", ".3f")), (("mIoU", 0.71234),))
    places = [
        Words("labels", "Labels", "/store/data.zarr", link="/store/data.zarr"),
        Words("never-seen", "classes never seen", "a; b"),
    ]
    shown = [as_json(one) for one in (figures, *places)]
    record = {"run": "r", "stages": [], "report": "r.html", "found": {"fuse": {}, "evaluate": {"item": "p01"}}, "shown": shown}
    with console.capture() as printed:
        print_outcome(record)
    lines = [line.strip() for line in printed.get().splitlines()]
    assert any(line.split() == ["mIoU", "0.712"] for line in lines)
    told = ["classes never seen: a; b", "Report:  r.html", "Labels:  /store/data.zarr", "Lineage: panolabel trace x.yaml p01"]
    assert [line for line in lines if ":" in line] == told
