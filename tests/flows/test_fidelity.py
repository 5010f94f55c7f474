"""The audit as a stage and as a command, over a data set with exact truth and a teacher with stated errors."""

import json
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from configs.pipeline import Config
from flows.cli import app
from flows.plan import make_plan
from flows.publishing.audit import with_stage, write_page_of
from flows.stores.failures import failed, items_to_retry, waive
from flows.stores.garbage import collect, find_garbage
from flows.stores.made import made_of
from scenes.dataset import write_dataset
from storage.receipts import read_receipt
from tasks.evaluate.shown_audit import audit_summary
from tasks.migration import migrated
from tests.support.pipelines import load, run_pipeline, write_pipeline

pytestmark = pytest.mark.usefixtures("prefect_api")


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("scenes")
    write_dataset(root, "mixed", 3, 40, 64, 128, supersample=1, amodal=False, processes=1)
    return root


def write_config(folder: Path, scenes: Path, **settings: float) -> Path:
    data = {
        "name": "audited",
        "root": str(folder / "store"),
        "source": {"url": str(scenes / "images"), "truth": str(scenes)},
        "block_size": 4,
        "project": {"patch_size": 32, "layout": {"kind": "icosahedron"}},
        "teachers": [{"name": "truth", "kind": "scenes", "fields": ["depth", "normals", "semantics"], "settings": settings}],
        "fuse": {"height": 64},
        "execution": {"pictures": 1, "keep_patch_labels": False},
    }
    path = folder / "audited.yaml"
    path.write_text(yaml.safe_dump(migrated(data), sort_keys=False))
    return path


class Page(HTMLParser):
    """Tags, and everything that a page would fetch."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.fetched: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.fetched += [value or "" for name, value in attributes if name in ("src", "href")]


def command(*words: object, server: str = "") -> tuple[int, str]:
    """Exit code and output of a command in this process: a new one would spend seconds on imports."""
    result = CliRunner().invoke(app, [str(word) for word in words], env={"PREFECT_API_URL": server or None})
    return result.exit_code, result.stdout or str(result.exception)


def test_the_command_audits_what_is_fused_and_the_page_needs_nothing(tmp_path: Path, scenes: Path, prefect_api: str) -> None:
    path = write_config(tmp_path, scenes, view_scale=0.1, seed=1)
    assert "make them with `panolabel run " in command("audit", path)[1]
    config = load(path)
    run_pipeline(config)
    assert "audit" not in [stage.stage for stage in make_plan(config).stages], "off unless asked for"
    collect(config, find_garbage(config))
    assert not make_plan(config).anything_to_run, "dropped patch labels are not owed"

    code, printed = command("audit", path, "--json", "--items", "1", server=prefect_api)
    assert code == 0, printed
    found = json.loads(printed)
    assert (found["items"], found["with_truth"]) == (3, 3)
    for parts in found["attribution"].values():
        total = sum(parts[part]["value"] for part in ("floor", "teacher", "way_back", "fusion"))
        assert total == pytest.approx(parts["total"]["value"], abs=1e-12)
        assert parts["total"]["low"] <= parts["total"]["value"] <= parts["total"]["high"]
    depth = {part: own["value"] for part, own in found["attribution"]["abs_rel"].items()}
    assert 0.05 < depth["teacher"] < 0.12, "|exp(0.1 z) - 1| is 0.08 on average"
    assert depth["floor"] < 0.01
    assert depth["fusion"] < 0 < depth["total"] < depth["teacher"]
    assert len(found["worst"]) <= 1
    assert told_by_prefect("audited-audit")["depth AbsRel"]["teacher"] == f"{depth['teacher']:+.4f}"

    html = Path(found["page"]).read_text()
    page = Page(html)
    assert {"script", "link", "iframe"}.isdisjoint(page.tags)
    assert all(one.startswith("data:") for one in page.fetched)
    assert page.tags.count("svg") > 30
    assert f"{depth['total']:.4f}" in html

    assert not make_plan(with_stage(config, "audit", {})[0]).anything_to_run, (
        "patch labels that were made again are kept or not owed"
    )
    receipts = [read_receipt(str(url)) for url in (tmp_path / "store/stages/audit").glob("*/*")]
    assert sorted(row.item for one in receipts if one for row in one.items) == ["room_00040", "room_00042", "street_00041"]
    assert json.loads(command("audit", path, "--json", "--items", "1")[1]) == found


def told_by_prefect(key: str) -> dict[str, dict[str, str]]:
    """The newest table artifact of a key, by error."""
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        body = {"artifacts": {"key": {"any_": [key]}}, "sort": "ID_DESC", "limit": 1}
        (artifact,) = client.request("POST", "/artifacts/filter", json=body).json()
    return {row["error"]: row for row in json.loads(artifact["data"])}


def consistencies(config: Config) -> dict[str, float]:
    """How far the views of every audited panorama agree."""
    plan = make_plan(config)
    found: dict[str, float] = audit_summary(made_of(config, plan, plan.step("audit")))["consistency"]
    return found


def test_without_truth_agreement_is_told_and_what_disagrees_can_be_given_up(tmp_path: Path) -> None:
    path = write_pipeline(tmp_path, 3, block_size=4, audit={"enabled": True})
    config = load(path)
    record = run_pipeline(config)
    ran = {row["stage"]: row["ran"] for row in record["stages"]}
    assert (ran["geometry"], ran["audit"]) == (1, 1)
    assert record["found"]["audit"]["attribution"] == {}
    found = write_page_of(config, make_plan(config), "audit")
    assert (found["items"], found["with_truth"]) == (3, 0)
    for splits in found["agreement"].values():
        for name in ("all", "latitude", "off_axis", "edge_distance", "depth", "class"):
            assert sum(row["share"] for row in splits[name]) == pytest.approx(1)
        whole = sum(row["share"] * row["value"] for row in splits["latitude"])
        assert whole == pytest.approx(splits["all"][0]["value"])
    assert not make_plan(load(path, audit__items=2)).anything_to_run, "how much is shown reruns nothing"

    consistency = consistencies(config)
    worst, second, _ = sorted(consistency, key=lambda name: consistency[name])
    strict = load(path, fuse__min_consistency=(consistency[worst] + consistency[second]) / 2)
    given_up = {row["stage"]: (row["ran"], row["quarantined"]) for row in run_pipeline(strict)["stages"]}
    assert given_up == {"project": (0, 0), "geometry": (0, 0), "classes": (0, 0)} | dict.fromkeys(
        ("fuse", "evaluate", "audit"), (1, 1)
    )
    (row,) = failed(strict)["items"]
    assert (row["item"], row["stage"]) == (worst, "fuse")
    assert row["reason"].startswith(f"views disagree: consistency {consistency[worst]:.4f} is below fuse.min_consistency")
    assert failed(strict)["causes"] == [{"cause": "fuse: views disagree", "items": 1}]
    kept = write_page_of(strict, make_plan(strict), "audit")
    assert consistencies(strict) == {name: value for name, value in consistency.items() if name != worst}
    assert row["reason"].split(":")[0] in Path(kept["page"]).read_text()

    assert items_to_retry(strict, []) == [worst]
    waive(strict, [worst], "a mirror hall")
    assert (failed(strict)["items"], items_to_retry(strict, [])) == ([], [])
    assert failed(config)["items"] == [], "without the threshold its labels are there as before"
