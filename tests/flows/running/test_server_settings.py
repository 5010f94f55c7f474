"""Which Prefect server a run talks to; one of its own obeys no setting of the user, and leaves their data alone."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import httpx
import pytest

from flows.running.server.answers import ask_version
from flows.running.server.embedded import outlives_the_run
from flows.running.server.settings import NamedServer, ServerError, environment_without_prefect, named_server, settings_of_ours
from tests.support.forks import forked
from tests.support.pipelines import write_pipeline

URL = "http://127.0.0.1:9/api"
ELSEWHERE = "http://127.0.0.1:8/api"


@pytest.fixture
def nothing_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to stand in, where no Prefect setting is in the environment; its ``home`` is that of the user."""
    for name in [name for name in os.environ if name.upper().startswith("PREFECT_") or name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("PREFECT_HOME", str(home))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def profiles(active: str, **urls: str) -> str:
    return f'active = "{active}"\n' + "".join(f'[profiles.{name}]\nPREFECT_API_URL = "{url}"\n' for name, url in urls.items())


FILES = {
    ".env": (".env", f"PREFECT_API_URL={URL}\n", ".env"),
    "prefect.toml": ("prefect.toml", f'[api]\nurl = "{URL}"\n', "prefect.toml"),
    "pyproject": ("pyproject.toml", f'[tool.prefect.api]\nurl = "{URL}"\n', "pyproject.toml"),
    "profile": ("home/profiles.toml", profiles("mine", mine=URL, other=ELSEWHERE), "profiles.toml"),
}


@pytest.mark.parametrize("way", FILES)
def test_what_a_file_names_is_used_as_prefect_itself_would(way: str, nothing_said: Path) -> None:
    from prefect.settings import Settings

    file, text, place = FILES[way]
    (nothing_said / file).write_text(text)
    found = named_server()
    assert found is not None
    assert found.url == Settings().api.url == URL
    assert str(nothing_said) in found.place
    assert found.place.endswith(place)


@pytest.mark.parametrize(
    ("variables", "url"),
    [
        ({"PREFECT_API_URL": URL}, URL),
        ({"prefect_api_url": URL}, URL),
        ({"PREFECT_PROFILE": "other"}, ELSEWHERE),
        ({"PREFECT_PROFILE": "mine", "PREFECT_API_URL": ELSEWHERE}, ELSEWHERE),
        ({"PREFECT_PROFILES_PATH": "elsewhere.toml"}, ELSEWHERE),
        ({"PREFECT_API_URL": ""}, None),  # said to be none, over the profile
        ({"PREFECT_PROFILE": "no such"}, None),
    ],
)
def test_the_environment_names_a_server_or_a_profile(
    variables: dict[str, str], url: str | None, nothing_said: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from prefect.settings import Settings

    (nothing_said / "home/profiles.toml").write_text(profiles("mine", mine="http://127.0.0.1:7/api", other=ELSEWHERE))
    (nothing_said / "elsewhere.toml").write_text(profiles("far", far=ELSEWHERE))
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    found = named_server()
    assert (found.url if found else None) == url == (Settings().api.url or None)


def test_nothing_said_names_no_server(nothing_said: Path) -> None:
    assert named_server() is None


def test_a_file_that_cannot_be_read_is_named(nothing_said: Path) -> None:
    (nothing_said / "prefect.toml").write_text("[api\n")
    with pytest.raises(ServerError, match=r"prefect\.toml"):
        named_server()


class Fake(BaseHTTPRequestHandler):
    """A server that keeps the headers that it was sent, and answers with one status and text."""

    answer: ClassVar[tuple[int, str]] = (200, '"3.8.8"')
    seen: ClassVar[list[dict[str, str]]] = []

    def do_GET(self) -> None:
        status, text = self.answer
        self.seen.append({name.lower(): value for name, value in self.headers.items()})
        self.send_response(status)
        self.end_headers()
        self.wfile.write(text.encode())

    do_HEAD = do_POST = do_GET

    def log_message(self, *_: object) -> None:
        """Nothing on stderr."""


@contextmanager
def serving(status: int, text: str) -> Iterator[tuple[str, list[dict[str, str]]]]:
    handler = type("Answering", (Fake,), {"answer": (status, text), "seen": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/api", handler.seen  # type: ignore[attr-defined]
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    "proxies", [{"HTTP_PROXY": "http://127.0.0.1:9"}, {"ALL_PROXY": "socks5://127.0.0.1:9"}, {"ALL_PROXY": "socks://x"}]
)
def test_a_named_server_on_this_machine_is_asked_as_the_user_and_without_proxies(
    proxies: dict[str, str], nothing_said: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {**proxies, "PREFECT_API_KEY": "key", "PREFECT_CLIENT_CUSTOM_HEADERS": '{"X-Gate": "open"}'}.items():
        monkeypatch.setenv(name, value)
    before = dict(os.environ)
    with serving(200, '"3.8.8"') as (url, seen):
        assert ask_version(NamedServer(url, "here")) == "3.8.8"
    assert {(one["authorization"], one["x-gate"]) for one in seen} == {("Bearer key", "open")}
    assert dict(os.environ) == before


def test_a_profile_of_prefect_cloud_is_used_with_its_key(nothing_said: Path) -> None:
    with serving(200, "[]") as (url, seen):
        workspace = f"{url}/accounts/a/workspaces/b"
        (nothing_said / "home/profiles.toml").write_text(
            profiles("cloud", cloud=workspace) + f'PREFECT_API_KEY = "pnu_1"\nPREFECT_CLOUD_API_URL = "{url}"\n'
        )
        server = named_server()
        assert server is not None
        assert ask_version(server) is None, "Cloud keeps its version to itself"
    assert {one["authorization"] for one in seen} == {"Bearer pnu_1"}


@pytest.mark.parametrize(
    ("status", "text", "said"),
    [(401, "", "PREFECT_API_AUTH_STRING"), (404, "", "lack /api"), (200, "<html>", "lack /api"), (500, "", "status 500")],
)
def test_why_a_named_server_is_not_used(status: int, text: str, said: str, nothing_said: Path) -> None:
    with serving(status, text) as (url, _), pytest.raises(ServerError, match=said) as raised:
        ask_version(NamedServer(url.replace("//", "//me:secret@"), "api.url in /there/prefect.toml"))
    assert "/there/prefect.toml" in str(raised.value)
    assert "secret" not in str(raised.value)


def test_a_real_server_tells_its_version(prefect_api: str, nothing_said: Path) -> None:
    import prefect

    assert ask_version(NamedServer(prefect_api, "here")) == prefect.__version__


def test_the_environment_of_an_embedded_server_holds_no_setting_of_the_user(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("PREFECT_API_KEY", "prefect_api_key", "PREFECT_SERVER_DATABASE_CONNECTION_URL", "PREFECT_PROFILE"):
        monkeypatch.setenv(name, "users")
    theirs = {name: value for name, value in environment_without_prefect(tmp_path).items() if name.upper().startswith("PREFECT")}
    assert theirs == {"PREFECT_HOME": str(tmp_path), "PREFECT_PROFILES_PATH": str(tmp_path / "profiles.toml")}


def test_settings_of_an_embedded_run_are_prefects_defaults_wherever_it_stands(
    nothing_said: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from prefect.settings import Settings, get_current_settings, temporary_settings

    own = nothing_said / "own"
    own.mkdir()
    (nothing_said / "prefect.toml").write_text('[results]\ndefault_storage_block = "s3/users"\n[tasks]\ndefault_retries = 7\n')
    (nothing_said / ".env").write_text("PREFECT_API_AUTH_STRING=users\n")
    monkeypatch.setenv("PREFECT_CLIENT_MAX_RETRIES", "17")
    assert (Settings().tasks.default_retries, Settings().client.max_retries) == (7, 17), "Prefect itself would obey"
    seen = []
    with (
        settings_of_ours(URL, own, "ERROR"),
        temporary_settings({"flows.default_retries": 0}),
    ):  # Prefect copies them for each flow
        for look in (
            lambda: seen.append(get_current_settings()),
            threading.Thread(target=lambda: seen.append(get_current_settings())).run,
        ):
            look()
        thread = threading.Thread(target=lambda: seen.append(get_current_settings()))
        thread.start()
        thread.join()
    assert len(seen) == 3
    for one in seen:
        assert (one.api.url, one.logging.level, one.home) == (URL, "ERROR", own)
        assert (one.api.auth_string, one.results.default_storage_block) == (None, None)
        assert (one.tasks.default_retries, one.client.max_retries) == (0, 5)


def tree(folder: Path) -> dict[str, str]:
    """Every file with a digest, every folder."""
    return {str(one): hashlib.sha256(one.read_bytes()).hexdigest() if one.is_file() else "" for one in sorted(folder.rglob("*"))}


def panolabel(*arguments: object, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.upper().startswith("PREFECT_")}
    kept["PYTHONPATH"] = str(Path(__file__).parents[3])
    command = [sys.executable, "-m", "flows.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env={**kept, **environment}, cwd=cwd, timeout=300, check=False)


def test_a_run_of_its_own_obeys_none_of_the_users_settings_and_leaves_their_data_alone(tmp_path: Path) -> None:
    """Each of these ends or harms a run that obeys it: no database, no certificate, no block for results, a password, a proxy."""
    path = write_pipeline(tmp_path, 1)
    user, home, here = tmp_path / "user", tmp_path / "user" / "prefect", tmp_path / "here"
    for folder in (home / "storage", user / ".prefect", here):
        folder.mkdir(parents=True)
    (home / "prefect.db").write_bytes(b"not to be touched")
    (home / "profiles.toml").write_text('active = "mine"\n[profiles.mine]\nPREFECT_SERVER_API_AUTH_STRING = "user:password"\n')
    (here / "prefect.toml").write_text('[results]\ndefault_storage_block = "s3/none"\npersist_by_default = true\n')
    (here / ".env").write_text("PREFECT_API_AUTH_STRING=user:password\n")
    before = tree(user), tree(here)
    result = panolabel(
        "run",
        path,
        cwd=here,
        HOME=str(user),
        XDG_CACHE_HOME=str(tmp_path / "cache"),
        PREFECT_HOME=str(home),
        PREFECT_API_REQUEST_TIMEOUT="no number",
        PREFECT_API_SSL_CERT_FILE="/no/such/file.pem",
        PREFECT_API_KEY="pnu_users",
        PREFECT_SERVER_DATABASE_CONNECTION_URL="postgresql+asyncpg://user:password@127.0.0.1:9/none",
        PREFECT_SERVER_API_CSRF_PROTECTION_ENABLED="true",
        PREFECT_LOGGING_CONFIG_PATH="/no/such/logging.yml",
        HTTP_PROXY="http://127.0.0.1:9",
        ALL_PROXY="socks5://127.0.0.1:9",
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert (tree(user), tree(here)) == before
    assert (tmp_path / "cache/panolabel/prefect/prefect.db").is_file()


def test_the_server_of_the_users_profile_is_used(tmp_path: Path, prefect_api: str) -> None:
    path = write_pipeline(tmp_path, 1)
    home = tmp_path / "home"
    home.mkdir()
    (home / "profiles.toml").write_text(profiles("mine", mine=prefect_api))
    result = panolabel("run", path, "--json", cwd=tmp_path, PREFECT_HOME=str(home), XDG_CACHE_HOME=str(tmp_path / "cache"))
    assert result.returncode == 0, result.stderr
    record = json.loads(result.stdout)
    assert record["prefect"].startswith(prefect_api.removesuffix("/api"))
    wanted = {"flow_runs": {"name": {"any_": [record["run"]]}}}
    assert [run["state_name"] for run in httpx.post(f"{prefect_api}/flow_runs/filter", json=wanted).json()] == ["Completed"]
    assert not (tmp_path / "cache/panolabel/prefect/prefect.db").exists(), "no server of its own"


IMPATIENT = """
from flows.cli import main
from flows.running.server import embedded
embedded.NAMED_SECONDS = 1
main()
"""


def test_a_server_that_is_named_and_away_is_told_with_the_place_of_its_name(tmp_path: Path) -> None:
    path = write_pipeline(tmp_path, 1)
    (tmp_path / "prefect.toml").write_text(f'[api]\nurl = "{URL}"\n')
    kept = {name: value for name, value in os.environ.items() if not name.upper().startswith("PREFECT_")}
    variables = {**kept, "XDG_CACHE_HOME": str(tmp_path / "cache"), "PREFECT_HOME": str(tmp_path / "home")}
    result = forked(("run", str(path)), variables, tmp_path, IMPATIENT)
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    assert f"error: no Prefect server answers at {URL} (api.url in {tmp_path / 'prefect.toml'})" in result.stderr
    assert "PREFECT_API_URL= panolabel" in result.stderr


def test_only_an_embedded_server_ends_with_the_run(prefect_api: str, nothing_said: Path) -> None:
    from prefect.settings import temporary_settings

    with temporary_settings({"api.url": prefect_api}):
        assert not outlives_the_run()
    with temporary_settings({"api.url": URL}):
        assert outlives_the_run()
