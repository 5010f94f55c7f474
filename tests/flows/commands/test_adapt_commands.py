"""The commands that look after labels look after adaptations: plan, verify, trace, failures, gc, status, query, and events."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from prefect import get_client
from prefect.exceptions import ParameterTypeError
from typer.testing import CliRunner

from configs.pipeline import Config
from configs.settings import ConfigError
from flows.cli import app
from flows.deploying import maintenance
from flows.deploying.deployment import deploy
from flows.ledger.query import ask, query
from flows.pipeline import pipeline
from flows.plan import make_plan
from flows.running.drift import PlanDrift, refuse_drift
from flows.stores.failures import failed
from flows.stores.garbage import collect, find_garbage
from flows.stores.lineage import trace_all, trace_item
from flows.stores.status import store_status
from flows.telling.tags import GPU, STORAGE, resources
from storage.fingerprint import digest
from tasks.seamless.model import model_digest
from tests.flows.setup.test_setup_commands import complete
from tests.support.discs import block_of, make_owed, plan_of, read, write_adaptation, write_panoramas
from tests.support.pipelines import data_bytes, load, run_pipeline, write_pipeline

pytestmark = pytest.mark.usefixtures("prefect_api")

STAGES = ["adapt.predict", "adapt.scores", "adapt.thresholds", "adapt.omni", "adapt.pool", "adapt", "compare"]
NAMES = ["adapt.predict", "scores", "thresholds", "omni", "pool", "adapt", "compare"]
"""What stands in receipts and paths."""


def config_of(path: Path, **overrides: Any) -> Config:
    return read(path, **overrides)


def run(config: Config, **more: Any) -> dict[str, Any]:
    return run_pipeline(config, **more)


def reasons(config: Config, retry: bool = False) -> dict[str, tuple[int, tuple[str, ...]]]:
    return {row.stage: (row.to_run, row.reasons) for row in make_plan(config, retry).stages if row.to_run}


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory, prefect_api: str) -> Path:
    """An adaptation to three panoramas in two blocks, and a file that is no image, after its run."""
    path = write_adaptation(tmp_path_factory.mktemp("discs"), 3)
    (path.parent / "target" / "images" / "p09.png").write_bytes(b"no image")
    assert run(config_of(path))["state"] == "completed"
    return path


def test_a_plan_says_what_would_run_and_why(tmp_path: Path, path: Path) -> None:
    before = reasons(config_of(write_adaptation(tmp_path, 3)))
    assert {stage: count for stage, (count, _) in before.items()} == {
        "ingest": 3,
        "adapt.predict": 2,
        "adapt.scores": 2,
        "adapt.thresholds": 1,
        "adapt.omni": 2,
        "adapt.pool": 1,
        "adapt": 1,
        "compare": 2,
    }
    assert reasons(config_of(path)) == {}
    changed = reasons(config_of(path, adapt__omni__amodals__share=0.4))
    assert changed["adapt.thresholds"] == (1, ("adapt.thresholds.amodals.share: 0.5 -> 0.4",))
    assert list(changed) == ["adapt.thresholds", "adapt.omni", "adapt", "compare"]
    assert changed["adapt.omni"][1][0].startswith("upstream thresholds: ")
    check = CliRunner().invoke(app, ["plan", str(path), "--check", "--set", "adapt.training.seed=3"])
    assert (check.exit_code, "adapt.seed: 0 -> 3" in check.output) == (1, True)
    assert CliRunner().invoke(app, ["plan", str(path), "--check"]).exit_code == 0


def _model_file(files: dict[str, bytes]) -> str:
    return next(name for name in files if name.endswith("model.safetensors"))


def test_new_panoramas_make_all_anew_but_predictions(tmp_path: Path) -> None:
    path = write_adaptation(tmp_path, 2)
    config = config_of(path, adapt__training__steps=1)
    make_owed(config)
    kept = tmp_path / "plan.json"
    kept.write_text(json.dumps(make_plan(config).as_json()))
    refuse_drift(kept, make_plan(config))
    write_panoramas(tmp_path / "target", range(2, 4))
    with pytest.raises(PlanDrift, match="files to read: new p02, p03"):
        refuse_drift(kept, make_plan(config))
    planned = reasons(config)
    assert all(why == ("new items: 2 in 1 block",) for stage, (_, why) in planned.items() if stage != "ingest")
    assert {stage: count for stage, (count, _) in planned.items() if stage != "ingest"} == make_owed(config)


def test_verify_finds_flipped_bytes_and_repairs_those_blocks_alone(
    path: Path, prefect_api: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_API_URL", prefect_api)
    config, root = config_of(path), path.parent / "store"
    before, stamps = data_bytes(root), _stamps(root)
    for name in (next(name for name in before if "/omni/" in name and "/c/" in name), _model_file(before)):
        data = bytearray(before[name])
        data[len(data) // 2] ^= 1
        (root / name).write_bytes(data)
    assert CliRunner().invoke(app, ["verify", str(path)]).exit_code == 1
    assert reasons(config)["adapt.omni"] == (1, ("receipt missing: 1 block",))
    (root / _model_file(before)).write_bytes(b"torn")
    make_owed(config, until="adapt")
    run(config, only={"adapt": list(make_plan(config).owed["adapt"])})
    assert data_bytes(root) == before
    assert sum(stamps[one] != then for one, then in _stamps(root).items()) == 2
    (root / _model_file(before)).write_bytes(b"torn")
    repaired = CliRunner().invoke(app, ["verify", str(path), "--repair", "--json"])
    assert repaired.exit_code == 0, repaired.output
    assert {row["stage"]: row["ran"] for row in json.loads(repaired.stdout)["stages"] if row["ran"]} == {"adapt": 1}
    assert data_bytes(root) == before


def _stamps(root: Path) -> dict[Path, int]:
    return {one: one.stat().st_mtime_ns for one in root.rglob("receipt.json")}


def test_a_model_is_traced_to_pixels_and_source_model(path: Path) -> None:
    config = config_of(path)
    lineage = trace_all(config)
    (model,) = lineage["models"]["adapt"]
    _, compared = block_of(config, "compare")
    assert model["sha256"] == compared.about["models"]["model"], "as whoever read it names it"
    source = model_digest(str(path.parent / "source_model"))
    assert all(step["weights"] == {"model": source} for step in lineage["steps"] if step["key"] in ("adapt.predict", "adapt"))
    images = path.parent / "target" / "images"
    assert {one["item"]: one["sha256"] for one in lineage["panoramas"]} == {
        f"p{index:02d}": digest((images / f"p{index:02d}.png").read_bytes()) for index in range(3)
    }
    by_name = {step["stage"]: step for step in lineage["steps"]}
    assert list(by_name) == NAMES
    for step in lineage["steps"]:
        assert step["state"] == "done"
        assert all(
            fingerprint == by_name[name]["fingerprint"] for name, fingerprint in step["upstream"].items() if name in by_name
        )
        for block in step["blocks"]:
            assert block["files"] == json.loads(Path(block["url"], "receipt.json").read_text())["files"]
    assert by_name["thresholds"]["blocks"][0]["figures"]["semantic"]["sky"]["predictions"] > 0
    shown = CliRunner().invoke(app, ["trace", str(path)])
    assert shown.exit_code == 0, shown.output
    assert all(text in shown.output for text in (model["sha256"], source))


def test_a_panorama_is_traced_through_blocks_that_stand_for_others(path: Path) -> None:
    steps = trace_item(config_of(path), "p02")["steps"]
    assert [(step["key"], step["state"]) for step in steps] == [(stage, "done") for stage in STAGES]
    assert steps[0]["figures"].keys() == {"instances", "amodals"}
    assert steps[1]["figures"] == {"panoramas": 1}
    assert steps[5]["figures"]["panoramas"] == 3
    only = trace_item(config_of(path), "p02", "adapt.pool")["steps"]
    assert [step["key"] for step in only] == ["adapt.predict", "adapt.scores", "adapt.pool"]
    with pytest.raises(ConfigError, match="stage 'pol' is not known"):
        trace_item(config_of(path), "p02", "pol")


def test_status_and_failures(path: Path) -> None:
    state = store_status(config_of(path))
    assert {row["stage"]: (row["done"], row["blocks"]) for row in state["stages"]} == {
        "adapt.predict": (2, 2),
        "adapt.scores": (2, 2),
        "adapt.thresholds": (1, 1),
        "adapt.omni": (2, 2),
        "adapt.pool": (1, 1),
        "adapt": (1, 1),
        "compare": (2, 2),
    }
    assert [row["item"] for row in state["quarantined"]] == ["p09"]
    listed = CliRunner().invoke(app, ["failures", "list", str(path), "--json"])
    assert [row["item"] for row in json.loads(listed.stdout)["items"]] == ["p09"]


def test_a_panorama_that_is_tried_again_makes_all_anew_that_was_made_of_all(tmp_path: Path) -> None:
    path = write_adaptation(tmp_path, 3)
    config = config_of(path, adapt__training__steps=1)
    plan_of(config)
    image = tmp_path / "target" / "images" / "p01.png"
    image.rename(tmp_path / "aside.png")
    make_owed(config)
    assert failed(config)["items"] == [], "the file is gone, and so is what there was to say of it"
    (tmp_path / "aside.png").rename(image)
    assert [(row["item"], row["stage"]) for row in failed(config)["items"]] == [("p01", "adapt.predict")]
    assert reasons(config) == {}
    wanted = dict.fromkeys(STAGES, 1) | {"adapt.omni": 2, "compare": 2}  # thresholds and the model are others for all panoramas
    assert {stage: count for stage, (count, _) in reasons(config, retry=True).items()} == wanted
    again = run(config, retry=True)
    assert {row["stage"]: row["ran"] for row in again["stages"]} == wanted
    undisturbed = config_of(path, adapt__training__steps=1, root=str(tmp_path / "other"))
    make_owed(undisturbed)
    one, other = (Path(block_of(each, "adapt")[0], "model", "model.safetensors").read_bytes() for each in (config, undisturbed))
    assert one == other


def test_records_and_receipts_are_rows_and_events(path: Path) -> None:
    root = str(path.parent / "store")
    assert {row[0] for row in query(root, "SELECT DISTINCT stage FROM blocks").rows} == set(NAMES)
    (first,) = query(root, "SELECT run FROM runs WHERE config = 'discs' ORDER BY started LIMIT 1").rows[0]
    stages = query(root, f"SELECT key, ran, items FROM stages WHERE run = '{first}' ORDER BY key").rows
    assert ("adapt.thresholds", 1, 1) in stages
    assert ("adapt.predict", 2, 3) in stages
    source = model_digest(str(path.parent / "source_model"))
    (found,) = ask(root, "adapted-models", {"weights": source[:12]}).rows
    adapted = model_digest(f"{block_of(config_of(path), 'adapt')[0]}/model")
    assert found[:4] == (adapted, source, 3, 4)
    assert ask(root, "adapted-models", {"weights": "0123"}).rows == []
    events = [json.loads(line) for line in Path(root, "lineage", f"{first}.ndjson").read_text().splitlines()]
    told = [(event["job"]["name"], event["eventType"]) for event in events]
    inner = [(f"discs.{stage}", state) for stage in ["ingest", *STAGES] for state in ("START", "COMPLETE")]
    assert (told[0], told[-1]) == (("discs", "START"), ("discs", "COMPLETE"))
    assert sorted(told[1:-1]) == sorted(inner)
    ends = {event["job"]["name"]: event for event in events if event["eventType"] == "COMPLETE"}
    assert ("panolabel.weights", "model") in {(one["namespace"], one["name"]) for one in ends["discs.adapt"]["inputs"]}
    assert ends["discs.adapt.thresholds"]["run"]["facets"]["panolabel"]["ran"] == 1


def test_thresholds_and_labels_are_artifacts_once_a_stage(path: Path, prefect_api: str) -> None:
    (first,) = query(str(path.parent / "store"), "SELECT run FROM runs WHERE config = 'discs' ORDER BY started LIMIT 1").rows[0]
    [flow_run] = _read(prefect_api, "flow_runs", flow_runs={"name": {"any_": [first]}})
    found = _read(prefect_api, "artifacts", artifacts={"flow_run_id": {"any_": [flow_run["id"]]}})
    data = {one["key"].removeprefix("discs-"): one["data"] for one in found}
    keys = sorted(key for key in data if not key.startswith("progress-"))
    of_run = ["plan", "quarantined", "report", "stages"]
    of_stages = ["figures", "losses", "model", "preview", "adapt-omni-learned", "adapt-omni-pseudo-labels"]
    of_stages += ["adapt-pool-pool", "adapt-scores-scores", "adapt-thresholds-thresholds"]
    assert keys == sorted([*of_run, *of_stages])
    rows = {(row["branch"], row["class"]): row for row in json.loads(data["adapt-thresholds-thresholds"])}
    stored = block_of(config_of(path), "adapt.thresholds")[1].items[0].figures
    assert rows[("semantic", "sky")]["threshold"] == f"{stored['semantic']['sky']['threshold']:.3f}"
    assert len(rows) == sum(map(len, stored.values()))
    assert data["adapt-omni-pseudo-labels"].count("data:image/webp;base64,") == 4, (
        "the panorama, its classes, its objects, seen and whole"
    )
    shown = 1 + 3 + 2 * 5
    assert data["preview"].count("data:image/webp;base64,") == shown, "the panorama, what is learned, the maps of both models"
    assert {row["model"] for row in json.loads(data["figures"])} == {"source", "adapted"}


def test_networks_ask_for_a_gpu(path: Path) -> None:
    wanted = {stage.key: resources(stage) for stage in make_plan(config_of(path)).definitions}
    assert {name for name, own in wanted.items() if GPU in own} == {"adapt.predict", "adapt", "compare"}
    assert all(STORAGE in own for own in wanted.values())


def test_an_adaptation_can_be_deployed(path: Path, prefect_api: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", prefect_api)
    config = config_of(path)
    assert deploy(config, "panolabel") == "panolabel/discs"
    with get_client(sync_client=True) as client:
        registered = client.read_deployment_by_name("panolabel/discs")
    assert registered.entrypoint == "flows.pipeline.pipeline"
    assert pipeline.validate_parameters(registered.parameters)["config"] == config
    for flow in (maintenance.verify, maintenance.gc):
        assert flow.validate_parameters({"config": registered.parameters["config"]})["config"] == config
    wrong = {**registered.parameters["config"], "excution": {}}
    with pytest.raises(ParameterTypeError, match="excution: unknown key; did you mean 'execution'"):
        pipeline.validate_parameters({"config": wrong})


def test_the_shell_completes_panoramas_and_stages(path: Path) -> None:
    assert sorted(complete("panolabel trace discs.yaml p", path.parent)) == ["p00", "p01", "p02"]
    assert complete("panolabel trace discs.yaml p00 --stage ad", path.parent) == ["adapt"]


def test_gc_of_either_kind_keeps_the_other(path: Path) -> None:
    """Comes last: it adds to the store."""
    config = config_of(path)
    labelling = load(write_pipeline(path.parent / "labels", 2), root=config.root)
    run_pipeline(labelling)
    assert find_garbage(config, older_than_hours=0) == find_garbage(labelling, older_than_hours=0) == []
    with pytest.raises(ValueError, match="no panoramas found"):
        run(config_of(path, ingest__source__url=str(path.parent / "source_model")))
    assert find_garbage(labelling, older_than_hours=0) == [], "a run that failed before its plan used nothing"
    changed = config_of(path, adapt__training__seed=5)
    make_owed(changed)
    checkpoints = path.parent / "store" / "checkpoints"
    for one in (config, changed):
        adapted = next(stage.identity.fingerprint for stage in make_plan(one).definitions if stage.name == "adapt")
        (checkpoints / adapted / "block").mkdir(parents=True)
        (checkpoints / adapted / "block" / "step-00000002.pt").write_bytes(b"12345")
    found = find_garbage(changed, keep_runs=0, older_than_hours=0)
    superseded = {one.url.split("/")[-2] for one in found} - {stage.name for stage in make_plan(labelling).definitions}
    assert superseded == {"compare", "checkpoints"}, "a model is kept, whoever made it; what was measured of it is not"
    collect(changed, found)
    assert [folder.name for folder in checkpoints.iterdir()] == [adapted]
    assert not make_plan(changed).anything_to_run


def _read(api: str, what: str, **wanted: Any) -> list[dict[str, Any]]:
    answer = httpx.post(f"{api}/{what}/filter", json=wanted)
    answer.raise_for_status()
    return answer.json()
