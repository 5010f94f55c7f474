"""What the stages of real small runs show: pieces that any printer takes, with the figures of the receipts."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from flows.plan import make_plan
from flows.publishing.audit import with_stage
from flows.report import Found, found_by
from scenes.dataset import write_dataset
from storage.receipts import read_receipt
from tasks.pages.shown import Section, render_page
from tasks.stage.tables import Picture, Pictures, Piece, Table, Words
from tests.flows.test_fidelity import write_config
from tests.support.discs import write_adaptation
from tests.support.pipelines import load, run_pipeline, write_pipeline

pytestmark = pytest.mark.usefixtures("prefect_api")


def shown(found: Found, stage: str) -> dict[str, Piece]:
    """The first piece of each name of a stage."""
    pieces: dict[str, Piece] = {}
    for section in found.sections:
        for piece in section.pieces if section.key == stage else ():
            pieces.setdefault(piece.name, piece)
    return pieces


def table(pieces: dict[str, Piece], name: str) -> Table:
    piece = pieces[name]
    assert isinstance(piece, Table)
    return piece


def drawn(pieces: dict[str, Piece], name: str) -> list[Picture]:
    piece = pieces[name]
    assert isinstance(piece, Pictures)
    found = list(piece.draw())
    for one in found:
        if one.media == "image/webp":
            assert cv2.imdecode(np.frombuffer(one.data, np.uint8), cv2.IMREAD_COLOR).ndim == 3
        else:
            assert one.data.startswith(b"<svg ")
    return found


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory, prefect_api: str) -> tuple[Path, dict[str, Any], Found]:
    """The folder of a labelling run with truth and audit, its record, and what its stages show."""
    folder = tmp_path_factory.mktemp("labelled")
    write_dataset(folder, "mixed", 3, 40, 64, 128, supersample=1, amodal=False, processes=1)
    config, _ = with_stage(load(write_config(folder, folder, view_scale=0.1, seed=1), truth__keep="always"), "audit", {})
    record = run_pipeline(config)
    plan = make_plan(config)
    return folder, record, found_by(config, plan, plan.steps)


def test_evaluate_shows_figures_classes_and_panoramas(labelled: tuple[Path, dict[str, Any], Found]) -> None:
    _, record, found = labelled
    pieces, summary = shown(found, "evaluate"), record["found"]["evaluate"]
    headline = {row["figure"]: row for row in summary["headline"]}
    quality = table(pieces, "quality")
    assert {row[0]: row[1] for row in quality.rows} == {name: row["value"] for name, row in headline.items()}
    assert quality.rows[0][2] == f"{headline[quality.rows[0][0]]['low']:.3f} – {headline[quality.rows[0][0]]['high']:.3f}"
    assert "panolabel (metric depth" in quality.note
    ious = [row[1] for row in table(pieces, "per-class").rows]
    assert ious == sorted((row["iou"] for row in summary["per_class"]), reverse=True)
    assert len(table(pieces, "figures").rows) == len(summary["figures"])
    assert {row[0] for row in table(pieces, "latitude").rows} == set(summary["bands"])
    assert {"panorama", "depth", "normals", "semantics", "depth error"} <= {one.caption for one in drawn(pieces, "preview")}
    marks = pieces["how-to-read"].marks  # type: ignore[union-attr]
    assert {"floor", "wall"} <= {name for name, _ in marks}


def test_fuse_shows_where_labels_are_and_what_no_panorama_shows(labelled: tuple[Path, dict[str, Any], Found]) -> None:
    folder, record, found = labelled
    pieces = shown(found, "fuse")
    place = pieces["labels"]
    assert isinstance(place, Words)
    assert Path(place.text).name == "data.zarr"
    assert Path(place.text).is_relative_to(folder / "store" / "stages" / "fuse")
    assert Path(place.text).exists()
    assert pieces["never-seen"].text == "; ".join(record["found"]["fuse"]["classes_never_seen"])  # type: ignore[union-attr]
    assert "classes-never-seen" not in pieces, "a sentence holds them all"


def test_audit_shows_parts_that_add_up(labelled: tuple[Path, dict[str, Any], Found]) -> None:
    _, record, found = labelled
    pieces = shown(found, "audit")
    parts = table(pieces, "audit")
    assert [column.name for column in parts.columns] == [
        "error",
        "floor",
        "teacher",
        "way back",
        "fusion",
        "fused",
        "95 % interval",
    ]
    for row in parts.rows:
        assert sum(float(value) for value in row[1:5]) == pytest.approx(row[5], abs=1e-9)  # type: ignore[arg-type]
    assert len(parts.rows) == len(record["found"]["audit"]["attribution"]) == len(drawn(pieces, "parts"))
    assert {row[0] for row in table(pieces, "agreement").rows} == {"depth", "normals", "semantics"}
    assert drawn(pieces, "heat-maps")
    assert drawn(pieces, "bands-abs-rel")


def test_the_report_has_it_all_on_one_page(labelled: tuple[Path, dict[str, Any], Found]) -> None:
    _, record, found = labelled
    page = Path(record["report"]).read_text()
    for section in found.sections:
        assert re.search(rf'<h2 id="stage-\d">{section.key}', page)
        for piece in section.pieces:
            assert piece.title.split(":")[0] in page
    assert [one["title"] for one in record["shown"] if one["kind"] == "table"][:2] == ["Panoramas", "Labels"]
    assert not any(one["detail"] for one in record["shown"])


def test_what_was_given_up_is_counted_by_reason(tmp_path: Path) -> None:
    config = load(write_pipeline(tmp_path, 3, block_size=4))
    run_pipeline(config)
    receipts = [read_receipt(str(url)) for url in (tmp_path / "store/stages/fuse").glob("*/*")]
    consistency = sorted(row.figures["consistency"] for one in receipts if one for row in one.items)
    strict = load(tmp_path / "small.yaml", fuse__min_consistency=(consistency[0] + consistency[1]) / 2)
    run_pipeline(strict)
    plan = make_plan(strict)
    pieces = shown(found_by(strict, plan, plan.steps), "fuse")
    [(cause, count, first)] = table(pieces, "given-up").rows
    assert (cause, count) == ("views disagree", 1)
    assert "below fuse.min_consistency" in str(first)
    assert [row[1] for row in table(pieces, "least-consistent").rows] == consistency[1:]
    assert b"<polyline" in drawn(pieces, "consistency")[0].data


def test_stages_of_an_adaptation(tmp_path: Path) -> None:
    config = load(write_adaptation(tmp_path, 3))
    record = run_pipeline(config)
    plan = make_plan(config)
    found = found_by(config, plan, plan.steps)
    assert [section.key for section in found.sections] == [
        "adapt.predict",
        "adapt.scores",
        "adapt.thresholds",
        "adapt.omni",
        "adapt.pool",
        "adapt",
        "compare",
    ]
    assert [row[0] for row in table(shown(found, "adapt.scores"), "scores").rows] == ["semantic", "instances", "amodals"]
    pixels = 3 * 64 * 128
    assert table(shown(found, "adapt.scores"), "scores").rows[0][1] == pixels, "every pixel has a class"
    thresholds = {(row[0], row[1]): row[2] for row in table(shown(found, "adapt.thresholds"), "thresholds").rows}
    assert thresholds == {
        (part, name): own["threshold"]
        for part, classes in record["found"]["adapt.thresholds"]["thresholds"].items()
        for name, own in classes.items()
    }
    [(_, pooled)] = plan.receipts.of(plan.step("adapt.pool"))
    assert {row[0]: row[3] for row in table(shown(found, "adapt.pool"), "pool").rows} == {
        name: own["predictions"] for name, own in pooled.items[0].figures["thresholds"].items()
    }
    page = shown(found, "adapt.pool")["pool-page"]
    assert Path(page.link).exists()  # type: ignore[union-attr]
    for row in table(shown(found, "adapt.omni"), "learned").rows:
        assert 0 <= int(row[2] or 0) <= int(row[1] or 0)
    assert drawn(shown(found, "adapt.omni"), "pseudo-labels")[0].caption == "input: panorama"
    assert b"<polyline" in drawn(shown(found, "adapt"), "losses")[0].data
    captions = [one.caption for one in drawn(shown(found, "adapt"), "preview")]
    assert {"source model: amodal panoptic", "adapted model: panoptic", "what is learned: whole objects"} <= set(captions)
    assert shown(found, "adapt")["model"].text == record["found"]["adapt"]["model"]  # type: ignore[union-attr]
    rows = {row[0]: row[1:] for row in table(shown(found, "compare"), "figures").rows}
    assert rows == {arm: tuple(own.values()) for arm, own in record["found"]["compare"]["figures"].items()}


def test_one_page_shows_stages_of_any_kind(labelled: tuple[Path, dict[str, Any], Found]) -> None:
    sections = [*labelled[2].sections, Section("score", "evaluate", labelled[2].sections[0].pieces)]
    assert "score <small>evaluate</small>" in render_page(title="chain", sections=sections)
