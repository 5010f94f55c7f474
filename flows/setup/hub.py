"""Whether the Hugging Face hub, from which pinned weights come, can be reached, and by which proxies anything is reached."""

from __future__ import annotations

import time
from collections.abc import Iterator

from flows.running.server.proxies import proxies, shown, unusable_proxies
from flows.setup.checks import Check

HUB_SECONDS = 5.0
CACHE_ONLY = "if all weights are in the cache, set HF_HUB_OFFLINE=1; else mend the network or its proxy"


def check_proxies() -> Iterator[Check]:
    """Proxies of the environment, where there are any, and those that cannot be used."""
    refused = unusable_proxies()
    for name, value in proxies().items():
        seen = f"{name} = {shown(value)}; servers on this machine are reached without it"
        if name in refused:
            yield Check("proxy", "warning", f"{name} = {refused[name]}", f"do that, or unset {name}: runs leave it out")
        else:
            yield Check("proxy", "ok", seen)


def check_hub() -> Iterator[Check]:
    """One request to the hub, unless the environment says that only the cache is used."""
    import httpx
    from huggingface_hub import constants, get_token

    if constants.HF_HUB_OFFLINE:
        yield Check("hub", "ok", "offline (HF_HUB_OFFLINE): only the local cache is used")
        return
    endpoint, token = constants.ENDPOINT, get_token()
    url = f"{endpoint}/api/whoami-v2" if token else endpoint
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    ways = [f"{name} = {shown(value)}" for name, value in proxies().items()]
    through = f" through {', '.join(ways)}" if ways else ""
    started = time.monotonic()
    try:
        answer = httpx.request("GET" if token else "HEAD", url, headers=headers, timeout=HUB_SECONDS, follow_redirects=True)
    except Exception as error:  # of httpx, of ssl, or of a proxy that cannot be used
        yield Check("hub", "warning", f"{endpoint} cannot be reached{through}: {str(error) or type(error).__name__}", CACHE_ONLY)
        return
    took = f"in {1000 * (time.monotonic() - started):.0f} ms{through}"
    if answer.status_code == 401:
        yield Check("hub", "warning", f"{endpoint} answers {took}, and refuses the token", "log in again: hf auth login")
    elif answer.is_error:
        yield Check("hub", "warning", f"{endpoint} answers with status {answer.status_code} {took}", CACHE_ONLY)
    else:
        who = f" as {answer.json().get('name', 'somebody')}" if token else ""
        yield Check("hub", "ok", f"{endpoint} answers{who} {took}: pinned weights that are missing are downloaded")
