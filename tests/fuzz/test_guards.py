"""What stands between a run and its neighbours: the loopback server, and weights that cannot carry code."""

import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import torch
from safetensors.torch import load_file

from models.teachers import load_teacher, weights_digest
from models.teachers.weights import DEMO

LISTEN = """
import sys
from flows.running.server.embedded import prefect_server

with prefect_server("CRITICAL") as url:
    print(url, flush=True)
    sys.stdin.readline()
"""


@pytest.mark.slow
def test_the_embedded_server_listens_on_loopback_only(tmp_path: Path) -> None:
    """Even where the environment asks Prefect for all interfaces."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    environment |= {"XDG_CACHE_HOME": str(tmp_path), "PREFECT_SERVER_API_HOST": "0.0.0.0"}
    run = subprocess.Popen(
        [sys.executable, "-c", LISTEN], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment
    )
    assert run.stdout is not None
    try:
        url = run.stdout.readline().decode().strip()
        assert url.startswith("http://127.0.0.1:")
        me = psutil.Process(run.pid)
        sockets = [
            connection
            for process in (me, *me.children(recursive=True))
            for connection in process.net_connections("inet")
            if connection.status == psutil.CONN_LISTEN or (connection.laddr and not connection.raddr)
        ]
        assert int(url.split(":")[2].split("/")[0]) in [socket.laddr.port for socket in sockets], (
            "the server's own socket is seen"
        )
        assert {socket.laddr.ip for socket in sockets} <= {"127.0.0.1", "::1"}
    finally:
        run.communicate(b"\n", timeout=60)
    assert run.returncode == 0


@pytest.fixture
def pickled(tmp_path: Path) -> Path:
    """The demo network with its weights as a pickled checkpoint only."""
    folder = tmp_path / "network"
    shutil.copytree(DEMO, folder)
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    return folder


def test_a_pickled_checkpoint_is_refused_unless_asked_for_by_name(pickled: Path) -> None:
    with pytest.raises(ValueError, match=r"only a pickled checkpoint \(pytorch_model\.bin\), which can carry code") as caught:
        load_teacher("transformers", {"model": str(pickled)}, "cpu")
    fix = str(caught.value).rpartition("model: ")[2]
    assert fix == str(pickled / "pytorch_model.bin")
    assert (
        load_teacher("transformers", {"model": fix}, "cpu").fields
        == load_teacher("transformers", {"model": "demo"}, "cpu").fields
    )


def test_safetensors_are_taken_where_both_are_there(pickled: Path) -> None:
    shutil.copy(DEMO / "model.safetensors", pickled)
    (pickled / "pytorch_model.bin").write_bytes(b"would not load")
    assert load_teacher("transformers", {"model": str(pickled)}, "cpu").fields
    with pytest.raises(FileNotFoundError, match="lacks"):
        load_teacher("transformers", {"model": str(pickled / "pytorch_model.bin")}, "cpu")


@pytest.mark.parametrize("name", ["model.pt", "model.pth", "model.ckpt", "model.bin", "model.pkl", "MODEL.PT"])
def test_other_checkpoints_are_never_read(name: str, pickled: Path) -> None:
    (pickled / "pytorch_model.bin").rename(pickled / name)
    with pytest.raises(ValueError, match="pickled checkpoint"):
        weights_digest("transformers", {"model": str(pickled)})
    with pytest.raises(ValueError, match="which can carry code and is not read"):
        weights_digest("transformers", {"model": str(pickled / name)})


class Payload:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple:
        return Path.touch, (self.mark,)


def test_even_a_checkpoint_asked_for_by_name_runs_no_code(pickled: Path, tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    (pickled / "pytorch_model.bin").write_bytes(pickle.dumps(Payload(mark)))
    pickle.loads(pickle.dumps(Payload(tmp_path / "proof")))
    assert (tmp_path / "proof").exists(), "the payload works where it is let"
    with pytest.raises(Exception, match=r"(?i)weights.only|unsupported|pickle"):
        load_teacher("transformers", {"model": str(pickled / "pytorch_model.bin")}, "cpu")
    assert not mark.exists()
