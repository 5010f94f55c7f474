"""A web server that holds back one file, so that a test sees what is done meanwhile."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread

from tests.support.pipelines import write_panoramas


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


@contextmanager
def listed(folder: Path, count: int, held: str) -> Iterator[Gate]:
    """Panoramas ``p00``, ``p01``, ... behind a gate that holds back one, and ``list.csv`` in the folder, which names all."""
    names = [f"p{number:02d}" for number in range(count)]
    write_panoramas(folder / "served", names, 32)
    gate = Gate(folder / "served", held)
    (folder / "list.csv").write_text("\n".join(["uri", *(f"{gate.url}/{name}.png" for name in names)]))
    try:
        yield gate
    finally:
        gate.close()
