"""In a notebook: a real kernel, whose event loop is running, makes labels by the lines of the README and shows them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.blocking import BlockingKernelClient
from jupyter_client.manager import start_new_kernel

from tests.support.pipelines import write_pipeline

ROOT = Path(__file__).parents[2]


@dataclass
class Cell:
    """What a cell put out: its texts, and what it displays by media type."""

    texts: list[str] = field(default_factory=list)
    shown: dict[str, Any] = field(default_factory=dict)
    error: str = ""

    def hear(self, message: dict[str, Any]) -> None:
        kind, content = message["header"]["msg_type"], message["content"]
        if kind == "stream":
            self.texts.append(content["text"])
        elif kind in ("execute_result", "display_data"):
            self.shown |= content["data"]
        elif kind == "error":
            self.error = "\n".join(content["traceback"])


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory, prefect_api: str) -> Iterator[BlockingKernelClient]:
    home = tmp_path_factory.mktemp("jupyter")
    own = {"IPYTHONDIR": str(home), "JUPYTER_RUNTIME_DIR": str(home), "PREFECT_API_URL": prefect_api, "OMP_NUM_THREADS": "1"}
    manager, client = start_new_kernel(startup_timeout=180, cwd=str(ROOT), env={**os.environ, **own})
    yield client
    client.stop_channels()
    manager.shutdown_kernel(now=True)


def run(kernel: BlockingKernelClient, code: str) -> Cell:
    """A cell that ran without an error."""
    cell = Cell()
    kernel.execute_interactive(code, output_hook=cell.hear, timeout=180, allow_stdin=False)
    assert not cell.error, cell.error
    return cell


def test_the_lines_of_the_readme_run_in_a_kernel(kernel: BlockingKernelClient, tmp_path: Path) -> None:
    path = write_pipeline(tmp_path, 2)
    assert "True" in run(kernel, "import asyncio; print(asyncio.get_running_loop().is_running())").texts[0]
    (code,) = re.findall(r"In Python:\n\n```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    first = run(kernel, code.replace("configs/street.yaml", str(path)).replace("room_90000", "p00"))
    plan_told = "".join(first.texts)
    assert "new items: 2 in 1 block" in plan_told
    assert "\x1b" not in plan_told.partition("new items")[0]
    assert list((tmp_path / "store/stages/fuse").rglob("receipt.json")), "what it is made from and itself"
    assert run(kernel, "depth.shape, str(depth.dtype)").shown["text/plain"] == "((32, 64), 'float32')"
    labels = run(kernel, f"panolabel.open({str(path)!r})['p01']").shown
    assert "data:image/png;base64," in labels["text/html"]
    assert labels["text/plain"].startswith("Labels('p01', stage='fuse'")
    plan = run(kernel, f"panolabel.plan({str(path)!r}, fuse={{'edge_feather': 0.4}})").shown
    assert "<td>fuse.edge_feather: 0.2 -&gt; 0.4</td>" in plan["text/html"]
    again = run(kernel, f"panolabel.run({str(path)!r}, ['evaluate'], quiet=True)['state']").shown
    assert again["text/plain"] == "'completed'"
