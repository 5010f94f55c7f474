"""``python -m tests.faults.report``: run every test that is marked with a fault, and write docs/reliability.md from it.

``--from FILE ...`` writes the document from what earlier runs recorded (``PANOLABEL_FAULTS=FILE pytest -m fault``), which is
how a long run of kills gets in. Where a test was recorded more than once, the last record counts.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

DOCUMENT = Path(__file__).parents[2] / "docs" / "reliability.md"
HEAD = """# Reliability

Every fault below is produced for real, on processes, files and sockets, by the test that is named; the column *seen* is what
that test recorded. The table is written by `python -m tests.faults.report`, and not by hand.

The promise behind it: execution at least once, visible output exactly once, and no label readable without a receipt.

"""


def rows(files: Iterable[Path]) -> list[dict[str, Any]]:
    """The recorded outcomes, one a test, sorted by test."""
    records = (json.loads(line) for file in files for line in file.read_text(encoding="utf-8").splitlines())
    last = {record["test"]: record for record in records}
    return [_together(list(cases)) for _, cases in groupby((last[test] for test in sorted(last)), key=_function)]


def _function(record: Mapping[str, Any]) -> str:
    return str(record["test"]).partition("[")[0]


def _together(cases: list[Mapping[str, Any]]) -> dict[str, Any]:
    """The cases of one parametrized test as one row."""
    outcomes = Counter(case["outcome"] for case in cases)
    counted = [f"{count} of {len(cases)} cases {outcome}" for outcome, count in outcomes.items()] if len(cases) > 1 else []
    worst = next(outcome for outcome in ("failed", "skipped", "passed") if outcomes[outcome])
    observed = list(dict.fromkeys(line for case in cases for line in case["seen"]))
    return {**cases[0], "test": _function(cases[0]), "seen": counted + observed, "outcome": worst}


def document(outcomes: list[Mapping[str, Any]]) -> str:
    """The Markdown document over recorded outcomes."""
    passed = sum(row["outcome"] == "passed" for row in outcomes)
    day = datetime.datetime.now(datetime.UTC).date().isoformat()
    machine = f"{os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}"
    lines = [f"Run of {day} on {machine}: {passed} of {len(outcomes)} passed.", ""]
    lines += ["| fault | expected | seen | test | outcome |", "|---|---|---|---|---|"]
    for row in outcomes:
        cells = (row["fault"], row["expected"], "; ".join(row["seen"]) or "-", f"`{row['test']}`", row["outcome"])
        lines.append("| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |")
    return HEAD + "\n".join(lines) + "\n"


def main() -> int:
    """Write the document; the exit status is pytest's where it ran."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--from", dest="files", nargs="+", type=Path, default=[], help="records of earlier runs")
    files, status = parser.parse_args().files, 0
    with tempfile.TemporaryDirectory() as folder:
        if not files:
            files = [Path(folder, "faults.jsonl")]
            command = [sys.executable, "-m", "pytest", "-m", "fault", "tests"]
            status = subprocess.run(command, env={**os.environ, "PANOLABEL_FAULTS": str(files[0])}, check=False).returncode
        DOCUMENT.write_text(document(rows(files)), encoding="utf-8")
    return status


if __name__ == "__main__":
    raise SystemExit(main())
