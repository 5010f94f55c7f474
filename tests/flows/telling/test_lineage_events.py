"""OpenLineage events of real runs: read from the store's file, and received by a real HTTP server."""

import json
import logging
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from openlineage.client import event_v2, facet_v2
from openlineage.client.serde import Serde

from configs.settings import ConfigError
from flows.errors import RunFailed
from flows.telling import lineage_events
from tests.support.pipelines import load, run_pipeline, write_pipeline

pytestmark = pytest.mark.usefixtures("prefect_api")

STORED = {"geometry": "label.geometry", "classes": "label.classes"}
"""What stages are called in the store, where that is not their key."""
STAGES = ["ingest", "project", "geometry", "classes", "fuse", "evaluate"]
FACETS = {
    "nominalTime": facet_v2.nominal_time_run.NominalTimeRunFacet,
    "processing_engine": facet_v2.processing_engine_run.ProcessingEngineRunFacet,
    "errorMessage": facet_v2.error_message_run.ErrorMessageRunFacet,
    "documentation": facet_v2.documentation_job.DocumentationJobFacet,
    "sourceCode": facet_v2.source_code_job.SourceCodeJobFacet,
    "version": facet_v2.dataset_version_dataset.DatasetVersionDatasetFacet,
    "outputStatistics": facet_v2.output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet,
}


def events_of(root: Path, run: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (root / "lineage" / f"{run}.ndjson").read_text().splitlines()]


def summary(events: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(event["job"]["name"], event["eventType"]) for event in events]


def receipts(root: Path, stage: str) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in (root / "stages" / stage).rglob("receipt.json")]


@contextmanager
def server(status: int = 200, hang: float = 0) -> Iterator[tuple[str, list[Any]]]:
    """A server that keeps the events that it is sent, as (path, key, event)."""
    received: list[Any] = []
    release = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            received.append((self.path, self.headers.get("Authorization"), body))
            release.wait(hang)
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{http.server_port}", received
    finally:
        release.set()
        http.shutdown()
        http.server_close()


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory, prefect_api: str) -> tuple[Path, dict[str, Any]]:
    """The folder of a pipeline that has run, and the record of the run."""
    folder = tmp_path_factory.mktemp("ran")
    return folder, run_pipeline(load(write_pipeline(folder)))


def test_every_run_and_stage_starts_and_ends(ran: tuple[Path, dict[str, Any]]) -> None:
    folder, record = ran
    root = folder / "store"
    events = events_of(root, record["run"])
    stages = [(f"small.{stage}", state) for stage in STAGES for state in ("START", "COMPLETE")]
    told = summary(events)
    assert (told[0], told[-1]) == (("small", "START"), ("small", "COMPLETE"))
    assert sorted(told[1:-1]) == sorted(stages)
    assert all(told.index((name, "START")) < told.index((name, "COMPLETE")) for name, _ in stages)
    ends = {event["job"]["name"]: event for event in events if event["eventType"] == "COMPLETE"}
    for stage in STAGES[1:]:
        name = STORED.get(stage, stage)
        found = receipts(root, name)
        (output,) = ends[f"small.{stage}"]["outputs"]
        statistics = output["outputFacets"]["outputStatistics"]
        assert output["namespace"] == "file"
        assert output["name"] == str(root / "stages" / name / found[0]["fingerprint"])
        assert statistics["rowCount"] == 5
        assert statistics["size"] == sum(entry["bytes"] for one in found for entry in one["files"].values())
        facet = ends[f"small.{stage}"]["run"]["facets"]["panolabel"]
        assert (facet["run"], facet["cached"], facet["ran"], facet["quarantined"]) == (record["run"], 0, 3, 0)
        inputs = {(one["namespace"], one["name"]) for one in ends[f"small.{stage}"]["inputs"]}
        identity = found[0]["made"]["identity"]
        upstream = {("file", str(root / "stages" / read / of)) for read, of in identity["upstream"].items()}
        assert inputs == {("file", str(folder / "images")), *upstream, *(("panolabel.weights", w) for w in identity["weights"])}
    again = run_pipeline(load(folder / "small.yaml"))
    facets = [event["run"]["facets"]["panolabel"] for event in events_of(root, again["run"]) if event["eventType"] == "COMPLETE"]
    assert [(facet["cached"], facet["ran"]) for facet in facets if "ran" in facet] == [(3, 0)] * 5


def test_ids_follow_from_names_and_stages_name_their_run(ran: tuple[Path, dict[str, Any]]) -> None:
    folder, record = ran
    events = events_of(folder / "store", record["run"])
    own = events[0]["run"]["runId"]
    assert own == events[-1]["run"]["runId"] == lineage_events.run_id(record["run"])
    assert own == str(uuid.uuid5(uuid.uuid5(uuid.NAMESPACE_URL, "urn:panolabel"), record["run"]))
    stages = events[1:-1]
    assert {event["run"]["facets"]["parent"]["run"]["runId"] for event in stages} == {own}
    assert len({event["run"]["runId"] for event in events}) == 1 + len(STAGES)


def test_events_fit_the_clients_own_types_and_our_schema(ran: tuple[Path, dict[str, Any]]) -> None:
    """Facets go back into the classes that the client generates from OpenLineage's schemas, and come out the same."""
    folder, record = ran
    ours = json.loads(Path(lineage_events.__file__).with_name("panolabel_run_facet.json").read_text())
    seen = set()
    for event in events_of(folder / "store", record["run"]):
        groups = [event["run"]["facets"], event["job"]["facets"]]
        groups += [one.get(key, {}) for one in event["inputs"] + event["outputs"] for key in ("facets", "outputFacets")]
        for name, facet in (pair for group in groups for pair in group.items()):
            assert facet["_producer"] == "urn:panolabel"
            if name in FACETS:
                values = {key: value for key, value in facet.items() if not key.startswith("_")}
                assert Serde.to_dict(FACETS[name](**values)) == facet
                seen.add(name)
        jsonschema.validate(event["run"]["facets"]["panolabel"], ours, format_checker=jsonschema.FormatChecker())
        fields = {**event, "eventType": event_v2.RunState[event["eventType"]]}
        fields["run"] = event_v2.Run(event["run"]["runId"], event["run"]["facets"])
        fields["job"] = event_v2.Job(event["job"]["namespace"], event["job"]["name"], event["job"]["facets"])
        del fields["schemaURL"]
        assert Serde.to_dict(event_v2.RunEvent(**fields)) == event
    assert seen == FACETS.keys() - {"errorMessage"}


def test_a_server_receives_what_the_file_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENLINEAGE_API_KEY", "the key")
    with server() as (url, received):
        record = run_pipeline(load(write_pipeline(tmp_path, count=1), execution__openlineage={"url": url}))
    assert [event for _, _, event in received] == events_of(tmp_path / "store", record["run"])
    assert {(path, key) for path, key, _ in received} == {("/api/v1/lineage", "Bearer the key")}
    assert not any(b"the key" in file.read_bytes() for file in (tmp_path / "store").rglob("*") if file.is_file())


@pytest.mark.parametrize("trouble", ["refuses", "errors", "hangs"])
def test_a_server_in_trouble_does_not_fail_the_run(tmp_path: Path, trouble: str, caplog: pytest.LogCaptureFixture) -> None:
    with server(500 if trouble == "errors" else 200, hang=30 if trouble == "hangs" else 0) as (url, _):
        settings = {"url": "http://127.0.0.1:1" if trouble == "refuses" else url, "timeout_seconds": 0.5}
        with caplog.at_level(logging.WARNING, "flows.telling.emitter"):
            record = run_pipeline(load(write_pipeline(tmp_path, count=1), execution__openlineage=settings))
    assert record["state"] == "completed"
    assert len(events_of(tmp_path / "store", record["run"])) == 2 + 2 * len(STAGES)
    complaints = [one for one in caplog.records if one.name == "flows.telling.emitter"]
    assert len(complaints) == 1


def test_a_failing_run_tells_its_error_without_secrets(tmp_path: Path) -> None:
    path = write_pipeline(tmp_path, count=1)
    (tmp_path / "store" / "stages").mkdir(parents=True)
    (tmp_path / "store" / "stages" / "fuse").write_text("in the way")
    with pytest.raises((RunFailed, OSError)):
        run_pipeline(load(path))
    (file,) = (tmp_path / "store" / "lineage").iterdir()
    events = events_of(tmp_path / "store", file.stem)
    assert summary(events)[-3:] == [("small.fuse", "START"), ("small.fuse", "FAIL"), ("small", "FAIL")]
    for event in events[-2:]:
        facet = event["run"]["facets"]["errorMessage"]
        assert "fuse" in facet["message"]
        assert facet["programmingLanguage"] == "PYTHON"


def test_urls_are_told_without_their_secrets(tmp_path: Path) -> None:
    assert lineage_events.masked("https://me:secret@host:8000/a/b?token=secret#x") == "https://host:8000/a/b"
    assert lineage_events.masked("/plain/path") == "/plain/path"
    text = "cannot read 'https://me:secret@host/a?sig=secret': gone"
    assert lineage_events.masked_text(text) == "cannot read 'https://host/a': gone"
    assert lineage_events.dataset_name("/plain/path") == ("file", "/plain/path")
    assert lineage_events.dataset_name("memory://bucket/a/b") == ("memory://bucket", "a/b")
    with pytest.raises(ConfigError, match="OPENLINEAGE_API_KEY"):
        load(write_pipeline(tmp_path), execution__openlineage={"url": "https://me:secret@host"})
