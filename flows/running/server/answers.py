"""Whether the Prefect server that the user named answers, and as whom; ``python -m flows.running.server.answers`` tells."""

from __future__ import annotations

import sys
import time

from flows.running.server.proxies import is_loopback, loopback_without_proxies
from flows.running.server.settings import NamedServer, ServerError, server_that_must_be_named, settings_of_user

ANSWER_SECONDS = 5.0
EMBEDDED = "to run on a server of its own, set PREFECT_API_URL to nothing: `PREFECT_API_URL= panolabel ...`"


def ask_version(server: NamedServer, patience: float = 0.0) -> str | None:
    """The version of a server that answers, reached as Prefect's own client reaches it; None from Prefect Cloud.

    Parameters
    ----------
    patience : seconds in which a server that starts may begin to answer

    Raises
    ------
    ServerError
        It does not answer, refuses the user, or is no Prefect server; the message names it, where it was named, and what to do.
    """
    if not server.url.startswith(("http://", "https://")):
        raise ServerError(f"{server.shown} is no http(s) URL ({server.place}); write http://HOST:4200/api")
    changes = {"api.request_timeout": ANSWER_SECONDS, "client.max_retries": 0, "client.server_version_check_enabled": False}
    with loopback_without_proxies() as refused, settings_of_user(server, changes):
        for name, reason in refused.items():
            if not is_loopback(server.url):
                raise ServerError(f"{server} cannot be reached: {name} = {reason}")
        return _answer(server, time.monotonic() + patience)


def _answer(server: NamedServer, deadline: float) -> str | None:
    import httpx

    while True:
        try:
            return _version()
        except httpx.HTTPStatusError as error:
            raise ServerError(_refusal(server, error.response.status_code)) from error
        except ValueError as error:  # JSON was expected
            raise ServerError(f"{server} answers, but not as Prefect's API does; does the URL lack /api?") from error
        except Exception as error:  # of httpx, ssl, and whatever else the settings lead to
            if time.monotonic() >= deadline:
                text = str(error).strip() or type(error).__name__
                raise ServerError(
                    f"no Prefect server answers at {server}: {text}. Start it, correct that setting, or {EMBEDDED}"
                ) from error
        time.sleep(0.2)


def _version() -> str | None:
    from prefect.client.orchestration import get_client
    from prefect.settings import get_current_settings

    with get_client(sync_client=True) as client:
        if get_current_settings().connected_to_cloud:  # which keeps its version to itself
            client.read_concurrency_limits(limit=1, offset=0)
            return None
        if (problem := client.api_healthcheck()) is not None:
            raise problem
        return str(client.api_version())


def _refusal(server: NamedServer, status: int) -> str:
    if status in (401, 403):
        return f"{server} refuses you ({status}): set PREFECT_API_AUTH_STRING, or PREFECT_API_KEY for Prefect Cloud"
    if status == 404:
        return f"{server} has no Prefect API there (404); does the URL lack /api?"
    return f"{server} answers with status {status}; look at its log, or {EMBEDDED}"


def main() -> None:
    """Say which server the user named and that it answers, or why not."""
    try:
        server = server_that_must_be_named()
        print(f"{server}: Prefect {ask_version(server) or 'Cloud'}")
    except ServerError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()
