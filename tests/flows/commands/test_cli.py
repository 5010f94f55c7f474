"""The command line as a user meets it: a real process, its output and its exit code."""

import json
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.support.commands import panolabel
from tests.support.pipelines import load, run_pipeline, write_panoramas, write_pipeline

STAGES = ("project", "geometry", "classes", "fuse", "evaluate")


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory, prefect_api: str) -> Path:
    """A pipeline whose third panorama is broken, after its run through the command line."""
    path = write_pipeline(tmp_path_factory.mktemp("cli"), 3)
    (path.parent / "images" / "p02.png").write_bytes(b"no image")
    result = panolabel("run", path, PREFECT_API_URL=prefect_api)
    assert result.returncode == 0, result.stderr
    assert "quarantined p02 at ingest: not an image in a known format" in result.stdout
    assert not [word for word in ("Traceback", "| INFO") if word in result.stdout + result.stderr]
    return path


def test_a_second_run_says_that_all_is_there(path: Path, prefect_api: str) -> None:
    result = panolabel("run", path, PREFECT_API_URL=prefect_api)
    assert result.returncode == 0
    assert "Nothing to run" in result.stdout


def test_plan_check_fails_only_when_something_would_run(path: Path) -> None:
    assert panolabel("plan", path, "--check").returncode == 0
    changed = panolabel("plan", path, "--check", "--set", "fuse.edge_feather=0.4")
    assert changed.returncode == 1
    assert "fuse.edge_feather: 0.2 -> 0.4" in changed.stdout


def test_plan_as_json_gives_reasons_and_estimates(path: Path) -> None:
    result = panolabel("plan", path, "--json", "--set", "fuse.edge_feather=0.4")
    fuse = next(stage for stage in json.loads(result.stdout)["stages"] if stage["stage"] == "fuse")
    assert (fuse["to_run"], fuse["reasons"]) == (1, ["fuse.edge_feather: 0.2 -> 0.4"])
    assert fuse["seconds"] > 0
    assert fuse["bytes"] > 0


def test_a_root_that_can_be_no_folder_is_refused_before_the_run(path: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for root in (tmp_path / "file", tmp_path / "file" / "below"):
        result = panolabel("run", path, "--root", root)
        assert (result.returncode, "is a file, not a folder" in result.stderr) == (2, True), result.stderr
        assert "Traceback" not in result.stderr


def test_status_names_the_source_of_the_last_run_if_it_is_asked_about_another(path: Path, tmp_path: Path) -> None:
    write_panoramas(tmp_path / "others", ["a"])
    other = json.loads(panolabel("status", path, "--json", "--source", tmp_path / "others").stdout)["other_source"]
    own = json.loads(panolabel("status", path, "--json").stdout)
    assert (other, own["other_source"]) == (own["sources"][0]["url"], "")
    shown = panolabel("status", path).stdout
    assert f"ingest: 3 of {path.parent / 'images'}, 0 not ingested, 0 gone from the source" in shown


def test_status_shows_blocks_and_quarantine(path: Path) -> None:
    state = json.loads(panolabel("status", path, "--json").stdout)
    assert state["last_run"]["prefect"].startswith("http://127.0.0.1")
    assert [(row["done"], row["blocks"]) for row in state["stages"]] == [(1, 1)] * 5
    reason = "not an image in a known format (JPEG, PNG, TIFF, WebP, AVIF, BMP, HDR, EXR)"
    assert state["quarantined"] == [{"item": "p02", "stage": "ingest", "reason": reason}]


def test_trace_goes_back_to_pixels_and_weights(path: Path) -> None:
    import hashlib

    lineage = json.loads(panolabel("trace", path, "p01", "--json").stdout)
    assert lineage["source"]["sha256"] == hashlib.sha256((path.parent / "images" / "p01.png").read_bytes()).hexdigest()
    assert [step["key"] for step in lineage["steps"]] == ["project", "geometry", "classes", "fuse", "evaluate"]
    assert [step["stage"] for step in lineage["steps"]] == ["project", "label.geometry", "label.classes", "fuse", "evaluate"]
    fingerprints = {step["stage"]: step["fingerprint"] for step in lineage["steps"]}
    for step in lineage["steps"]:
        assert step["state"] == "done"
        for name, fingerprint in step["upstream"].items():
            assert fingerprints.get(name, fingerprint) == fingerprint
    assert len(lineage["steps"][1]["weights"]["geometry"]) == 64
    told = panolabel("trace", path, "p01").stdout
    assert lineage["source"]["sha256"] in told
    assert "geometry done" in told
    assert "stored as label.geometry" in told
    only = json.loads(panolabel("trace", path, "p01", "--stage", "geometry", "--json").stdout)
    assert [step["key"] for step in only["steps"]] == ["project", "geometry"]


def test_a_narrow_terminal_cuts_no_digest_of_a_trace(path: Path) -> None:
    digest = json.loads(panolabel("trace", path, "p01", "--json").stdout)["source"]["sha256"]
    assert digest in panolabel("trace", path, "p01", COLUMNS="40").stdout


def test_the_version_is_that_of_the_package() -> None:
    assert panolabel("--version").stdout == f"panolabel {version('panolabel')}\n"


def test_trace_without_a_panorama_tells_all_stages_as_a_whole(path: Path) -> None:
    lineage = json.loads(panolabel("trace", path, "--json").stdout)
    assert [one["item"] for one in lineage["panoramas"]] == ["p00", "p01"]
    assert {step["key"]: len(step["blocks"]) for step in lineage["steps"]} == dict.fromkeys(STAGES, 1)
    told = panolabel("trace", path).stdout
    assert all(one["sha256"] in told for one in lineage["panoramas"])
    assert all(f"{step['key']} done, 1 blocks" in told for step in lineage["steps"])
    wrong = panolabel("trace", path, "--stage", "label.geometry")
    assert (wrong.returncode, "stages: project, geometry, classes" in wrong.stderr) == (2, True)


@pytest.mark.fault("Config typo and other mistakes", expected="one message with the nearest match, exit code 2")
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["trace", "{path}", "p1"], "did you mean 'p01'?"),
        (["trace", "{path}", "p02"], "was quarantined at ingest"),
        (["plan", "{path}", "--set", "fuze.height=3"], "override fuze.height: there is no stage 'fuze'; did you mean 'fuse'?"),
        (["plan", "{path}", "--source", "/no/such/folder"], "no panoramas found"),
        (["plan", "no.yaml"], "cannot be read"),
    ],
)
def test_mistakes_are_one_message_and_exit_code_2(path: Path, arguments: list[str], expected: str) -> None:
    result = panolabel(*(argument.format(path=path) for argument in arguments))
    assert result.returncode == 2
    assert expected in result.stderr
    assert "Traceback" not in result.stderr


def test_a_run_that_fails_names_the_block_and_exits_with_1(tmp_path: Path, prefect_api: str) -> None:
    path = write_pipeline(tmp_path, 2)
    run_pipeline(load(path))
    folder = tmp_path / "store" / "stages" / "fuse"
    for receipt in folder.rglob("receipt.json"):
        receipt.unlink()
    for receipt in (tmp_path / "store" / "stages" / "project").rglob("data.zarr"):
        receipt.rename(receipt.with_name("gone"))
    result = panolabel("run", path, PREFECT_API_URL=prefect_api)
    assert result.returncode == 1
    assert "stage fuse: 1 of 1 blocks could not be made" in result.stderr
    assert not list(folder.rglob("receipt.json"))


def test_verify_reports_damage_with_exit_code_1(path: Path) -> None:
    assert panolabel("verify", path).returncode == 0
