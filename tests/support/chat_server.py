"""A local server that speaks as ``/v1/chat/completions`` does, and goes wrong as it is told to."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

WORDS = {"short": [1, 3], "medium": [1, 3], "long": [1, 3]}
GOOD = json.dumps(dict.fromkeys(WORDS, "a room"))
Choose = Callable[[int, dict[str, Any]], str]
"""Number of the request from 0, and its body -> what goes wrong, or an empty string."""


class ChatServer(ThreadingHTTPServer):
    """``asked`` are the bodies that came, ``paid`` how many were answered with 200; ``most`` how many were in work at once."""

    daemon_threads = True

    def __init__(self, choose: Choose, stall: float, key: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.choose, self.stall, self.key = choose, stall, key
        self.asked: list[dict[str, Any]] = []
        self.times: list[float] = []
        self.paid = self.inside = self.most = 0
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that were killed are what this is about."""


class _Handler(BaseHTTPRequestHandler):
    server: ChatServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None: ...

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        server = self.server
        with server.lock:
            number = len(server.asked)
            server.asked.append(body)
            server.times.append(time.monotonic())
            server.inside += 1
            server.most = max(server.most, server.inside)
        try:
            self._serve(server.choose(number, body), body)
        finally:
            with server.lock:
                server.inside -= 1

    def _serve(self, fault: str, body: dict[str, Any]) -> None:
        key = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if self.path != "/v1/chat/completions":
            return self._send(404, {"error": {"message": "no such path"}})
        if key != self.server.key:
            return self._send(401, {"error": {"message": f"Incorrect API key provided: {key}"}})
        if fault.isdecimal():
            wait = {"Retry-After": "0.2"} if fault == "429" else {}
            return self._send(int(fault), {"error": {"message": f"fault {fault}"}}, wait)
        if fault == "reset":
            self.close_connection = True
            return None
        if fault == "stall":
            time.sleep(self.server.stall)
        if fault == "no schema" and body.get("response_format", {}).get("type") == "json_schema":
            return self._send(400, {"error": {"message": "response_format json_schema is not supported"}})
        if fault == "blocked":
            return self._send(400, {"error": {"code": "content_filter", "message": "the picture is blocked"}})
        said = {"cut": GOOD[:-9], "lengths": GOOD.replace("a room", "a room with a view"), "slow": GOOD}.get(fault, GOOD)
        time.sleep(0.3 if fault == "slow" else 0)
        message = {"content": None, "refusal": "I can't help with that"} if fault == "refusal" else {"content": said}
        choice = {"message": message, "finish_reason": "length" if fault == "cut" else "stop"}
        with self.server.lock:
            self.server.paid += 1
        return self._send(200, {"choices": [choice], "usage": {"prompt_tokens": 1000, "completion_tokens": 100}})

    def _send(self, status: int, body: dict[str, Any], headers: dict[str, str] | None = None) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)


@contextmanager
def chat_server(choose: Choose = lambda _number, _body: "", stall: float = 2.0, key: str = "") -> Iterator[ChatServer]:
    """The server, while it runs."""
    server = ChatServer(choose, stall, key)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
