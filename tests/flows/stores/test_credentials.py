"""A secret in the URL of a source reaches the server, and nothing else: no file, no terminal, no page of Prefect."""

from __future__ import annotations

import base64
import os
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from flows.plan import make_plan
from flows.stores.lineage import trace_item
from storage.manifest import read_manifest
from tasks.ingest.ingest import manifest_url
from tests.support.commands import panolabel
from tests.support.pipelines import load, run_pipeline, write_pipeline
from tests.support.stages import source_of

SECRET = "s3cr3tw0rd"
BASIC = "Basic " + base64.b64encode(f"ops:{SECRET}".encode()).decode()


class Guarded(SimpleHTTPRequestHandler):
    """Serves a folder to whoever has the password or the token."""

    def send_head(self):
        token = parse_qs(urlsplit(self.path).query).get("token", [""])[0]
        if self.headers.get("Authorization") == BASIC or token == SECRET:
            return super().send_head()
        self.send_error(403)
        return None

    def log_message(self, *arguments: object) -> None:
        """Quiet."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """``host:port`` of a server of the folder ``images``."""
    (tmp_path / "images").mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Guarded, directory=str(tmp_path / "images")))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def list_source(folder: Path, server: str, kind: str, secret: str = SECRET) -> str:
    """A list whose files need the secret, and the URL to give as source. One file is broken, one is not there."""
    names = ["p00.png", "p01.png", "p02.png", "broken.png", "absent.png"]
    (folder / "images" / "broken.png").write_bytes(b"no image")
    if kind == "password":
        (folder / "images" / "list.csv").write_text("\n".join(["uri", *names]))
        return f"http://ops:{secret}@{server}/list.csv"
    (folder / "list.csv").write_text("\n".join(["uri", *(f"http://{server}/{name}?token={secret}" for name in names)]))
    return str(folder / "list.csv")


def files_with(secret: str, folder: Path) -> list[str]:
    return [str(path) for path in folder.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]


@pytest.mark.parametrize("kind", ["password", "token"])
def test_a_secret_is_kept(tmp_path: Path, server: str, prefect_api: str, capfd: pytest.CaptureFixture[str], kind: str) -> None:
    path = write_pipeline(tmp_path, 3)
    config = load(path, source__url=list_source(tmp_path, server, kind))
    record = run_pipeline(config)
    assert {row["item"] for row in record["quarantined"]} == {"broken", "absent"}
    assert all(item.uri.startswith("http://") and "***" in item.uri for item in read_manifest(manifest_url(source_of(config))))
    assert not make_plan(config).anything_to_run
    assert SECRET not in str([record, trace_item(config, "p00"), make_plan(config).as_json()])
    assert SECRET not in "".join(capfd.readouterr())
    assert files_with(SECRET, tmp_path / "store") == []
    assert files_with(SECRET, Path(os.environ["PREFECT_HOME"])) == []


@pytest.mark.parametrize("kind", ["password", "token"])
def test_a_refused_secret_is_not_repeated(tmp_path: Path, server: str, kind: str) -> None:
    path = write_pipeline(tmp_path, 1)
    source = list_source(tmp_path, server, kind, "wr0ngw0rd")
    done = panolabel("plan", path, "--source", source)
    assert done.returncode == 1
    assert "were refused (403)" in done.stderr
    assert "Traceback" not in done.stderr
    assert "wr0ngw0rd" not in done.stdout + done.stderr
