"""docs/add-a-teacher.md is a module that runs: its code and its config, literally, from the doctor to the fused labels."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from storage.arrays import BlockReader
from storage.receipts import read_receipt
from tests.support import commands
from tests.support.pipelines import write_panoramas

ROOT = Path(__file__).parents[1]
SMALL = ["--set", "project.patch_size=32", "--set", "fuse.height=32", "--set", "execution.runner.workers=1"]


def block(language, start):
    """The one code block of the document that starts so."""
    text = (ROOT / "docs" / "add-a-teacher.md").read_text(encoding="utf-8")
    found = [code for code in re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL) if code.startswith(start)]
    assert len(found) == 1
    return found[0]


@pytest.fixture
def folder(tmp_path, prefect_api, monkeypatch):
    monkeypatch.setenv("PREFECT_API_URL", prefect_api)
    (tmp_path / "mypackage").mkdir()
    (tmp_path / "mypackage" / "__init__.py").write_text("")
    (tmp_path / "mypackage" / "teachers.py").write_text(block("python", '"""A teacher'), encoding="utf-8")
    (tmp_path / "mine.yaml").write_text(block("yaml", "name: brightness"), encoding="utf-8")
    (tmp_path / "gain.txt").write_text("3.0")
    write_panoramas(tmp_path / "panoramas", ["one", "two"])
    return tmp_path


def panolabel(folder, *arguments):
    return commands.panolabel(*arguments, folder=folder, PYTHONPATH=str(ROOT))


def checks(result):
    assert "Traceback" not in result.stderr, result.stderr
    return {row["name"]: row for row in json.loads(result.stdout)["checks"]}


def test_the_document_runs(folder):
    rows = checks(panolabel(folder, "doctor", "mine.yaml", "--load", "--json", *SMALL))
    assert rows["load: mine"]["state"] == "ok"
    assert re.search(
        r"loaded in [\d.]+ s, one patch in [\d.]+ s on .*; gives depth, semantics with 2 classes", rows["load: mine"]["seen"]
    )
    depth, semantics = (rows[f"load: mine, {name}"]["seen"] for name in ("depth", "semantics"))
    low, high = map(float, re.match(r"scale, 100 % valid: ([\d.]+) to ([\d.]+), median", depth).groups())
    assert 1 <= low < high <= 4 / np.cos(np.radians(60))  # 1 to 4 along the axis, farther along the ray
    assert sum(map(int, re.findall(r"(?:dark|bright) (\d+) %", semantics))) in (99, 100, 101)
    assert not (folder / "store").exists()  # a doctor leaves nothing

    run = commands.panolabel_anew("run", "mine.yaml", *SMALL, folder=folder, PYTHONPATH=str(ROOT))
    assert run.returncode == 0, run.stdout + run.stderr
    made = sorted((folder / "store" / "stages" / "fuse").glob("*/*"))
    receipts = [receipt for one in made if (receipt := read_receipt(str(one)))]
    assert [row.state for receipt in receipts for row in receipt.items] == ["done", "done"]
    assert receipts[0].about["classes"] == ["dark", "bright"]
    seen = receipts[0].items[0].figures["classes"]
    assert set(seen) <= {"dark", "bright"}
    assert abs(sum(seen.values()) - 1) < 1e-5
    labels = BlockReader(str(made[0]), receipts[0].files).item(0)
    assert labels["depth_valid"].mean() > 0.9


@pytest.mark.slow
def test_a_class_that_no_panorama_shows_is_told_at_the_end_of_a_run(folder):
    code = folder / "mypackage" / "teachers.py"
    code.write_text(code.read_text().replace('CLASSES = ("dark", "bright")', 'CLASSES = ("dark", "bright", "purple")'))
    run = panolabel(folder, "run", "mine.yaml", *SMALL)
    assert run.returncode == 0, run.stdout + run.stderr
    assert re.search(r"classes never seen: .*purple", run.stdout)
    report = next((folder / "store" / "reports").glob("*.html")).read_text(encoding="utf-8")
    assert re.search(r"classes never seen\W.*purple", report)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("gain.txt", "no number"), "could not convert string to float"),
        (("mypackage/teachers.py", "import no_such_module\n"), "cannot be loaded (No module named 'no_such_module')"),
        (("mine.yaml", None), "there is no gone.txt"),
    ],
)
def test_a_teacher_that_cannot_speak_fails_with_advice(change, said, folder):
    name, text = change
    if text is None:
        text = (folder / name).read_text().replace("gain.txt", "gone.txt")
    (folder / name).write_text(text)
    result = panolabel(folder, "doctor", "mine.yaml", "--load", "--json", *SMALL)
    rows = checks(result)
    bad = [row for row in rows.values() if row["state"] == "failure"]
    assert result.returncode == 1
    assert any(said in row["seen"] for row in bad), bad
    assert all(row["advice"] for row in bad)
    assert rows["load: mine"]["state"] == "failure"


def test_load_without_a_config_is_refused(tmp_path):
    result = panolabel(tmp_path, "doctor", "--load")
    assert result.returncode == 2
    assert "needs a config" in result.stderr
