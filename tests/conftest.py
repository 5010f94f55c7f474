"""One real Prefect server for all tests of a process that run flows."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.faults import pytest_runtest_makereport, seen  # noqa: F401  (hook and fixture for every test)

os.environ.setdefault("HF_HUB_OFFLINE", "1")


@pytest.fixture(scope="session")
def prefect_api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a Prefect server with a database of its own."""
    home: Path = tmp_path_factory.mktemp("prefect")
    os.environ["PREFECT_HOME"] = str(home)
    os.environ.pop("PREFECT_API_URL", None)
    from flows.server import prefect_server

    with prefect_server("CRITICAL") as url:
        yield url
