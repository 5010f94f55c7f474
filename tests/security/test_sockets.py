"""While a run is at work, no process of it listens to the network: only loopback, as the kernel tells it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path

import psutil
import pytest

from tests.support.pipelines import write_pipeline

pytestmark = pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="needs /proc of Linux")

TCP_LISTEN = "0A"


def listening(processes: list[psutil.Process]) -> set[tuple[str, int]]:
    """Addresses and ports on which processes accept TCP connections."""
    inodes = {inode for process in processes for inode in socket_inodes(process.pid)}
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path("/proc/net", table).read_text().splitlines()[1:]:
            local, state, inode = (line.split()[column] for column in (1, 3, 9))
            if state == TCP_LISTEN and inode in inodes:
                address, port = local.split(":")
                found.add((readable(address), int(port, 16)))
    return found


def socket_inodes(pid: int) -> set[str]:
    """Inodes of a process's sockets, without those that close meanwhile; none if it has gone."""
    inodes = set()
    with suppress(OSError):
        for entry in os.listdir(f"/proc/{pid}/fd"):
            with suppress(FileNotFoundError):
                kind, _, inode = os.readlink(f"/proc/{pid}/fd/{entry}").partition(":")
                inodes |= {inode.strip("[]")} if kind == "socket" else set()
    return inodes


def readable(address: str) -> str:
    """An address as /proc has it, in words of four bytes of the machine's order, as people write it."""
    words = [bytes.fromhex(address[start : start + 8]) for start in range(0, len(address), 8)]
    return str(ip_address(b"".join(word[::-1] if sys.byteorder == "little" else word for word in words)))


def test_the_reader_of_proc_sees_what_listens_everywhere() -> None:
    me = [psutil.Process()]
    for family, everywhere, loopback in ((socket.AF_INET, "0.0.0.0", "127.0.0.1"), (socket.AF_INET6, "::", "::1")):
        for address in (everywhere, loopback):
            with socket.socket(family) as server:
                try:
                    server.bind((address, 0))
                except OSError:
                    continue  # no IPv6 here
                server.listen()
                assert (address, server.getsockname()[1]) in listening(me)


RUNS = """
import sys
from flows.running.server.embedded import prefect_server
from tests.support.pipelines import load, run_pipeline

with prefect_server("CRITICAL"):
    for kind in ("threads", "dask"):
        runner = {"kind": kind, "workers": 1}
        record = run_pipeline(load(sys.argv[1], execution__runner=runner, root=f"{sys.argv[2]}/{kind}"))
        print(kind, record["state"], flush=True)
"""


@pytest.mark.slow
def test_runs_listen_on_loopback_only(tmp_path: Path) -> None:
    """One with threads, one with Dask, and the server that both start."""
    path = write_pipeline(tmp_path, 2)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "DASK_"))}
    environment["XDG_CACHE_HOME"] = str(tmp_path / "cache")
    seen: set[tuple[str, int]] = set()
    with (tmp_path / "out").open("wb") as out:
        command = [sys.executable, "-c", RUNS, str(path), str(tmp_path)]
        run = subprocess.Popen(command, env=environment, stdout=out, stderr=subprocess.STDOUT)
        me = psutil.Process(run.pid)
        while run.poll() is None:
            seen |= listening([me, *me.children(recursive=True)])
            time.sleep(0.3)
    text = (tmp_path / "out").read_text()
    assert run.returncode == 0, text
    assert "threads completed" in text
    assert "dask completed" in text
    assert len(seen) >= 6, f"the server's, the scheduler's, the nanny's and the worker's sockets are seen: {seen}"
    assert {address for address, _ in seen} <= {"127.0.0.1", "::1"}, seen
