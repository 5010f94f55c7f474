"""A web server that holds back one file, so that a test sees what is done meanwhile."""

from __future__ import annotations

from collections import Counter
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread


class Gate:
    """A web server that counts what is read, and holds back one file until it is opened; it fails to give ``broken`` ones."""

    def __init__(self, folder: Path, held: str) -> None:
        self.read: Counter[str] = Counter()
        self.reached, self.open = Event(), Event()
        self.broken: set[str] = set()
        gate = self

        class Handler(SimpleHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path.endswith(held):
                    gate.reached.set()
                    gate.open.wait(120)
                if self.path.strip("/") in gate.broken:
                    self.send_error(503)
                    return
                gate.read[self.path.strip("/")] += 1
                super().do_GET()

            def log_message(self, *_: object) -> None:
                """Nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
        Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Let what is held back go, and stop serving."""
        self.open.set()
        self.server.shutdown()
        self.server.server_close()

    @property
    def url(self) -> str:
        """Where the files are."""
        return f"http://127.0.0.1:{self.server.server_port}"
