"""What a run prints at its end."""

from pathlib import Path

import pytest

from flows import invocation
from flows.tables.run import SHOWN_ITEMS, print_outcome
from flows.text import console
from tests.support.pipelines import load, write_pipeline


@pytest.mark.parametrize("extra", [0, 3])
def test_quarantined_items_that_are_not_shown_are_told_with_the_command(
    extra: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = load(write_pipeline(tmp_path, 0))
    monkeypatch.setattr(invocation, "_given", invocation.Given("x.yaml"))
    quarantined = [{"item": f"p{n}", "stage": "ingest", "reason": "the file is empty"} for n in range(SHOWN_ITEMS + extra)]
    record = {"run": "r", "stages": [], "quarantined": quarantined, "report": "r.html", "blocks": [], "item": ""}
    with console.capture() as printed:
        print_outcome(config, {**record, "identities": {"fuse": {"fingerprint": "0" * 16}}})
    told = f"and {extra} more: panolabel failures list x.yaml"
    assert (told in printed.get()) == bool(extra)
    assert printed.get().count("the file is empty") == SHOWN_ITEMS
