"""A cluster that speaks TLS, set up as Dask's own documentation says: only who holds a certificate gets in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import dask
import pytest
from distributed import LocalCluster, get_worker
from distributed.security import Security

from configs.execution import Runner
from configs.settings import ConfigError
from flows.running.workers import start_workers
from tests.support.processes import until

pytestmark = pytest.mark.usefixtures("prefect_api")
pytest.importorskip("cryptography")


def certificate(folder: Path) -> dict[str, str]:
    """Files of a new certificate authority, a certificate of it, and its key."""
    made = Security.temporary()
    folder.mkdir()
    for name, text in (("ca", made.tls_ca_file), ("cert", made.tls_client_cert), ("key", made.tls_client_key)):
        (folder / f"{name}.pem").write_text(str(text))
    return {name: str(folder / f"{name}.pem") for name in ("ca", "cert", "key")}


@pytest.fixture
def identity(tmp_path: Path) -> dict[str, str]:
    return certificate(tmp_path / "ours")


def dask_config(identity: dict[str, str]) -> dict[str, str | bool]:
    """What docs/security.md tells to set."""
    roles = ("client", "scheduler", "worker")
    files = {f"distributed.comm.tls.{role}.{part}": identity[part] for role in roles for part in ("cert", "key")}
    return {"distributed.comm.require-encryption": True, "distributed.comm.tls.ca-file": identity["ca"], **files}


@pytest.fixture
def tls_address(identity: dict[str, str]) -> Iterator[str]:
    with dask.config.set(dask_config(identity)):
        cluster = LocalCluster(
            n_workers=1, threads_per_worker=1, processes=False, protocol="tls", host="127.0.0.1", dashboard_address=None,
            security=Security(),
        )  # fmt: skip
    with cluster:
        yield cluster.scheduler_address


def doubled(number: int, tell: Callable[[str], None]) -> tuple[int, str]:
    tell(f"twice {number}")
    return 2 * number, get_worker().scheduler.address


def test_blocks_run_over_tls_for_who_holds_a_certificate(tls_address: str, identity: dict[str, str]) -> None:
    assert tls_address.startswith("tls://127.0.0.1:")
    runner = Runner(kind="dask", cluster="address", address=tls_address, workers=1)
    with dask.config.set(dask_config(identity)), start_workers(runner) as workers:
        heard: list[str] = []
        assert workers.call(doubled, 21, tell=heard.append) == (42, tls_address)
        until(lambda: heard == ["twice 21"])
        workers.recycle()


def test_who_holds_none_or_anothers_is_turned_away(tls_address: str, tmp_path: Path) -> None:
    runner = Runner(kind="dask", cluster="address", address=tls_address, workers=1)
    plain = Runner(kind="dask", cluster="address", address=tls_address.replace("tls", "tcp"), workers=1)
    for attempt in (runner, plain):
        with pytest.raises(ConfigError, match=r"execution\.runner\.address"), start_workers(attempt):
            pass
    stranger = certificate(tmp_path / "stranger")
    with dask.config.set(dask_config(stranger)), pytest.raises(ConfigError, match=r"comm\.tls"), start_workers(runner):
        pass
