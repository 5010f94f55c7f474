"""One real Prefect server for all tests of a process that run flows."""

import os
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.support.faults import pytest_runtest_makereport, seen  # noqa: F401  (hook and fixture for every test)

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.pop("COLUMNS", None)  # workers of pytest set it; what is printed there has no edge, as in a log


@pytest.fixture(scope="session")
def prefect_api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a Prefect server with a database of its own, in the folder that ``PREFECT_HOME`` names meanwhile."""
    from flows.running.server.embedded import prefect_server

    with ExitStack() as stack:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
            patch.setenv("PREFECT_API_URL", "")
            url = stack.enter_context(prefect_server("CRITICAL"))
            environment = dict(os.environ)
        os.environ.update({name: environment[name] for name in ("PREFECT_HOME", "PREFECT_PROFILES_PATH")})
        os.environ.pop("PREFECT_API_URL", None)
        yield url
