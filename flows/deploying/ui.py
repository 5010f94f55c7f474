"""``make ui``: a Prefect server with its UI, for this machine only. Needs no network: Prefect's package carries the built UI."""

from __future__ import annotations

import os
import sys

from flows.running.server.embedded import server_command, server_environment
from flows.running.server.settings import prefect_home


def main(port: int) -> None:
    """Say where the UI will be and how runs find it, then become the server."""
    url = f"http://127.0.0.1:{port}"
    home = prefect_home()
    home.mkdir(parents=True, exist_ok=True)
    print(f"Prefect UI: {url}\nShow runs there: export PREFECT_API_URL={url}/api\nStop: Ctrl-C", flush=True)
    # The last for links in notifications.
    ui = {"PREFECT_UI_ENABLED": "true", "PREFECT_UI_API_URL": f"{url}/api", "PREFECT_UI_URL": url}
    os.chdir(home)  # away from settings of Prefect that lie where the user stands
    os.execve(sys.executable, server_command(str(port)), {**server_environment(home), **ui})


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 4200)
