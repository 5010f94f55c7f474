"""Calls to a store that may fail in passing: tried again a bounded number of times, and told apart from what will not pass.

S3 clients retry single requests themselves (see :func:`teach_s3`); what is here covers all other file systems, and what is left
over: bodies that break off, servers that stay away for longer.
"""

from __future__ import annotations

import errno
import random
import time
from collections.abc import Callable, Iterator
from typing import ParamSpec, TypeVar

from fsspec.config import conf

from storage.credentials import mask_credentials

ATTEMPTS = 6
FIRST_WAIT = 0.2
LONGEST_WAIT = 10.0
MOST_SECONDS = 90.0
"""No attempt starts later than this after the first."""
S3_ATTEMPTS = 8
"""Requests that an S3 client sends for one, with its own back-off and jitter, before the error comes here."""

PASSING_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})
PASSING_CODES = frozenset({"SlowDown", "RequestTimeout", "InternalError", "ServiceUnavailable", "Throttling"})
PASSING_ERRNO = frozenset({errno.EAGAIN, errno.EBUSY, errno.ESTALE, errno.ENETUNREACH, errno.EHOSTUNREACH})
PASSING_KINDS = frozenset(
    {
        "HTTPClientError",  # botocore: connections reset, timed out, closed
        "ConnectionError",  # botocore's own, of end points that cannot be reached
        "ResponseParserError",  # botocore: a throttled answer that is not XML
        "ClientConnectionError",  # aiohttp
        "ConnectError",  # httpx
        "ConnectTimeout",
        "ReadTimeout",
        "ClientPayloadError",  # aiohttp: the body broke off
        "IncompleteRead",
        "IncompleteReadError",
    }
)
"""Names, since the libraries that define them are loaded only where such a store is in use."""
REFUSED = frozenset({401, 403, 407})

P = ParamSpec("P")
T = TypeVar("T")


class StoreError(OSError):
    """A store cannot be used; the message says what is wrong and what to do. ``errno`` tells whether waiting may help."""

    def __str__(self) -> str:
        return str(self.args[-1]) if self.args else ""


def persist(url: str, call: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> T:
    """``call(*arguments)``, again with exponential back-off and full jitter while it fails in passing.

    Parameters
    ----------
    url : str
        What is being read or written, for messages.
    call : function
        Must do no harm when it is called twice.

    Raises
    ------
    StoreError
        The store stayed out of reach, refused the credentials, or has no such bucket.
    Exception
        Any other error of the call, at once and as it is: FileNotFoundError, say.
    """
    started = time.monotonic()
    for attempt in range(ATTEMPTS):
        try:
            return call(*arguments, **options)
        except Exception as error:
            if not passes(error):
                if (refusal := _refusal(url, error)) is not None:
                    raise refusal from None  # the cause holds the URL with its credentials, and tracebacks are logged
                if isinstance(error, FileNotFoundError) and mask_credentials(str(error)) != str(error):
                    raise FileNotFoundError(mask_credentials(str(error))) from None
                raise
            wait = random.uniform(0, min(LONGEST_WAIT, FIRST_WAIT * 2**attempt))
            if attempt + 1 == ATTEMPTS or time.monotonic() + wait - started > MOST_SECONDS:
                raise _unreachable(url, error, attempt + 1) from None
        time.sleep(wait)
    raise AssertionError("unreachable")


def passes(error: BaseException) -> bool:
    """Whether an error is of the kind that passes: overload, resets, time-outs, bodies that break off."""
    for one in _causes(error):
        if isinstance(one, StoreError):
            return False
        status, code = _answer(one)
        if status is not None or code:
            return status in PASSING_STATUS or code in PASSING_CODES
        names = {kind.__name__ for kind in type(one).__mro__}
        if isinstance(one, (TimeoutError, ConnectionError)) or names & PASSING_KINDS:
            return True
        if isinstance(one, OSError) and one.errno in PASSING_ERRNO:
            return True
    return False


def teach_s3() -> None:
    """Make S3 clients retry with full jitter, unless fsspec's own configuration says otherwise."""
    for protocol in ("s3", "s3a"):
        retries = {"mode": "standard", "total_max_attempts": S3_ATTEMPTS}
        conf.setdefault(protocol, {}).setdefault("config_kwargs", {"retries": retries})


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error and what caused it, root first: file systems turn answers of servers into errors of their own."""
    chain = [error]
    while (cause := chain[-1].__cause__) is not None and len(chain) < 10:
        chain.append(cause)
    return reversed(chain)


def _answer(error: BaseException) -> tuple[int | None, str]:
    """HTTP status and error code of the answer that an error of botocore, aiohttp, gcsfs or adlfs stands for."""
    response = getattr(error, "response", None)
    if isinstance(response, dict):
        status = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        return status, str(response.get("Error", {}).get("Code", ""))
    if type(error).__module__ == "aiohttp.http_exceptions":  # its numbers say what is wrong with a body that came, not an answer
        return None, ""
    for name in ("status", "status_code", "code"):
        if isinstance(status := getattr(error, name, None), int):
            return status, ""
    return None, ""


def _refusal(url: str, error: BaseException) -> StoreError | None:
    """What to say of an answer that will stay as it is; None for errors that speak for themselves."""
    shown = mask_credentials(url)
    for one in _causes(error):
        status, code = _answer(one)
        if code == "NoSuchBucket":
            return StoreError(errno.ENOENT, f"{shown}: there is no such bucket; create it, or correct the URL in the config")
        refused = status in REFUSED or code in ("ExpiredToken", "InvalidAccessKeyId", "TokenRefreshRequired", "InvalidToken")
        if refused or type(one).__name__ in ("NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError"):
            why = code if code and not code.isdigit() else status or type(one).__name__
            return StoreError(
                errno.EACCES,
                f"credentials for {shown} were refused ({why}): renew them, or have reading, writing and listing allowed, and "
                "run again; what is done stays done",
            )
        if status is not None and status not in (404, 416):
            text = mask_credentials(str(one))[:200]
            return StoreError(errno.EINVAL, f"{shown}: the server refused the request ({status}: {text}); correct the URL")
    return None


def _unreachable(url: str, error: BaseException, attempts: int) -> StoreError:
    text = mask_credentials(f"{type(error).__name__}: {error}")[:300]
    return StoreError(
        errno.EIO,
        f"{mask_credentials(url)}: out of reach ({text}), tried {attempts} times; check the network and the server, "
        "and run again; what is done stays done",
    )
