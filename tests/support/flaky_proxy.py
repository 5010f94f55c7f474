"""An HTTP proxy in front of a real S3 server that breaks requests in the ways that networks and servers do."""

from __future__ import annotations

import os
import random
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest

from tests.support.object_store import forget_clients, s3_bucket

Choose = Callable[[int, str, str], str]
"""Number of the request from 0, method and path -> a fault of :data:`FAULTS`, or an empty string."""

FAULTS = ("unavailable", "slow_down", "reset", "truncated", "lost", "delayed", "expired")
ERROR = "<?xml version='1.0'?><Error><Code>{code}</Code><Message>{message}</Message></Error>"


class FlakyProxy(ThreadingHTTPServer):
    """Forwards to ``upstream``; ``choose`` says which requests go wrong, ``done`` counts those that did by fault."""

    daemon_threads = True

    def __init__(self, upstream: str, choose: Choose) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.upstream = urlsplit(upstream).netloc
        self.choose = choose
        self.done: Counter[str] = Counter()
        self.log: list[tuple[str, str, str]] = []
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def fault(self, method: str, path: str) -> str:
        with self._lock:
            fault = self.choose(len(self.log), method, path)
            self.log.append((method, path, fault))
            self.done[fault] += 1
            return fault

    def shutdown_request(self, request: socket.socket) -> None:  # type: ignore[override]
        self.close_request(request)  # without the polite FIN, so that a reset is one

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that go away are what this is about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FlakyProxy

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fault = self.server.fault(self.command, self.path)
        if fault in ("unavailable", "slow_down"):
            self._refuse(503, "ServiceUnavailable" if fault == "unavailable" else "SlowDown")
        elif fault == "expired":
            self._refuse(403, "ExpiredToken")
        else:
            if fault == "delayed":
                time.sleep(0.2)
            answer, data = self._forward(body)
            if fault == "lost":
                self._hang_up()
            else:
                self._answer(answer, data, fault)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _serve

    def _forward(self, body: bytes) -> tuple[HTTPResponse, bytes]:
        connection = HTTPConnection(self.server.upstream)
        headers = {key: value for key, value in self.headers.items() if key.lower() not in ("expect", "connection")}
        connection.request(self.command, self.path, body, headers)
        answer = connection.getresponse()
        data = answer.read()
        connection.close()
        return answer, data

    def _answer(self, answer: HTTPResponse, data: bytes, fault: str) -> None:
        self.send_response_only(answer.status)
        for key, value in answer.getheaders():
            if key.lower() not in ("connection", "transfer-encoding", "content-length"):
                self.send_header(key, value)
        length = answer.getheader("Content-Length") if self.command == "HEAD" else len(data)
        self.send_header("Content-Length", str(length))
        if fault in ("reset", "truncated"):
            # "reset" may break within the headers, "truncated" within the body.
            self.end_headers() if fault == "truncated" else self.flush_headers()
            self.wfile.write(data[: len(data) // 2])
            self._hang_up(reset=fault == "reset")
            return
        self.end_headers()
        self.wfile.write(data)

    def _refuse(self, status: int, code: str) -> None:
        data = b"" if self.command == "HEAD" else ERROR.format(code=code, message=f"{code} by the proxy").encode()
        self.send_response_only(status)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _hang_up(self, reset: bool = True) -> None:
        if reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True

    def log_message(self, *arguments: object) -> None:
        """Quiet."""


def sometimes(share: float, seed: int, faults: tuple[str, ...] = FAULTS[:-1]) -> Choose:
    """Faults in a share of all requests; a request of the same method and path goes wrong at most twice in a row."""
    generator, again = random.Random(seed), Counter[tuple[str, str]]()

    def choose(_number: int, method: str, path: str) -> str:
        if generator.random() < share and again[method, path] < 2:
            again[method, path] += 1
            return generator.choice(faults)
        again[method, path] = 0
        return ""

    return choose


@contextmanager
def flaky_bucket(name: str, choose: Choose = lambda *_: "") -> Iterator[tuple[str, FlakyProxy]]:
    """A bucket on a real server, and the proxy through which alone it is reached."""
    with s3_bucket(name) as url, pytest.MonkeyPatch.context() as environment:
        proxy = FlakyProxy(os.environ["AWS_ENDPOINT_URL"], choose)
        thread = threading.Thread(target=proxy.serve_forever, daemon=True)
        thread.start()
        environment.setenv("AWS_ENDPOINT_URL", proxy.url)
        forget_clients()
        try:
            yield url, proxy
        finally:
            proxy.shutdown()
            proxy.server_close()
            forget_clients()
