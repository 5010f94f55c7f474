"""What a source holds beside panoramas is told wherever one looks at it."""

from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner

from flows.cli import app
from flows.plan import make_plan
from flows.setup.needs import check_source
from flows.stores.stored import plan_if_listed
from tests.support.pipelines import load, write_pipeline

OTHERS = ("x.insp", "y.insp", "z.dng")
TOLD = "3 files of other kinds are not read: 2 .insp ("


def with_neighbours(folder: Path) -> Path:
    path = write_pipeline(folder, 2)
    for name in OTHERS:
        (folder / "images" / name).write_bytes(b"x")
    (folder / "images" / "p00.json").write_text('{"vertical_degrees": "70,3"}')
    (folder / "images" / "p01.json").write_text("[1, 2]")
    return path


def test_plan_doctor_and_status_tell(tmp_path: Path) -> None:
    config = load(with_neighbours(tmp_path))
    notes = make_plan(config).as_json()["notes"]
    assert [note.startswith(TOLD) or "p01.json holds no JSON object" in note for note in notes] == [True, True]
    seen = [(check.state, check.seen) for check in check_source(config)]
    assert [state for state, _ in seen] == ["ok", *["warning"] * 4]
    assert any(text.startswith(TOLD) for _, text in seen)
    quarantined = "1 panoramas would be quarantined; the first: p00: p00.json: vertical_degrees '70,3'"
    assert any(quarantined in text for _, text in seen)
    (tmp_path / "store").mkdir()
    assert list(plan_if_listed(config).notes) == notes


def test_init_tells_and_goes_on(tmp_path: Path) -> None:
    with_neighbours(tmp_path)
    (tmp_path / "images" / "p01.webp").write_bytes((tmp_path / "images" / "p01.png").read_bytes())
    command = ["init", str(tmp_path / "images"), "--out", str(tmp_path / "made.yaml")]
    result = CliRunner().invoke(app, [*command, "--json"])
    assert result.exit_code == 0, result.output
    said = json.loads(result.stdout)
    assert (said["panoramas"], len(said["unreadable"])) == (2, 1)
    assert "1 files would stop a run; the first: source" in said["notes"][0]
    assert any(note.startswith(TOLD) for note in said["notes"])
