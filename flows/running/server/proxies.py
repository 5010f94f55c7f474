"""Proxies of the environment, and servers on this machine, which no proxy reaches."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from urllib.parse import urlsplit

PROXIES = ("http_proxy", "https_proxy", "all_proxy")
LOOPBACK = ("127.0.0.1", "localhost", "::1")


def is_loopback(url: str) -> bool:
    """Whether a URL leads to this machine."""
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def proxies() -> dict[str, str]:
    """The proxies of the environment by the names of their variables."""
    return {name: value for name, value in os.environ.items() if name.lower() in PROXIES and value}


def unusable_proxies() -> dict[str, str]:
    """Variables whose proxy httpx refuses, by which Prefect and the hub speak, with the reason and what to do."""
    import httpx

    refused = {}
    for name, value in proxies().items():
        try:
            httpx.HTTPTransport(proxy=value if "://" in value else f"http://{value}", verify=False).close()
        except ImportError:
            refused[name] = f"{shown(value)} needs one more package: pip install 'httpx[socks]'"
        except Exception:  # ValueError, InvalidURL: whatever cannot be a proxy
            refused[name] = f"{shown(value)} is no proxy that can be used: write http://, https:// or socks5://HOST:PORT"
    return refused


def shown(proxy: str) -> str:
    """A proxy without user and password."""
    scheme, separator, rest = proxy.rpartition("://")
    return scheme + separator + rest.rpartition("@")[2]


@contextmanager
def loopback_without_proxies() -> Iterator[dict[str, str]]:
    """While this holds, nothing on this machine is reached through a proxy, by this process or its children.

    Proxies that httpx refuses are left out of the environment meanwhile: it would refuse loopback for them too. Gives them, as
    :func:`unusable_proxies` does.
    """
    before = dict(os.environ)
    refused = unusable_proxies()
    for name in refused:
        del os.environ[name]
    if proxies():
        spared = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
        if spared.strip() != "*":
            for name in ("no_proxy", "NO_PROXY"):  # readers differ in which they prefer
                os.environ[name] = ",".join([*filter(None, [spared.strip(" ,")]), *LOOPBACK])
    try:
        yield refused
    finally:
        for name in ("no_proxy", "NO_PROXY"):
            os.environ.pop(name, None)
        os.environ.update({name: value for name, value in before.items() if name.lower() in (*PROXIES, "no_proxy")})


def environment_without_proxies(environment: dict[str, str]) -> dict[str, str]:
    """An environment for a process that speaks with this machine only."""
    return {name: value for name, value in environment.items() if not name.lower().endswith("_proxy")}
