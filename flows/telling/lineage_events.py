"""OpenLineage events of a run and of its stages: what started, what it read and wrote, how it ended.

Run ids follow from run names (:func:`run_id`), so events, run records and receipts can be joined.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from urllib.parse import urlsplit, urlunsplit

import attr
from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState, set_producer
from openlineage.client.facet_v2 import (
    DatasetFacet,
    JobFacet,
    RunFacet,
    dataset_version_dataset,
    documentation_job,
    error_message_run,
    nominal_time_run,
    output_statistics_output_dataset,
    parent_run,
    processing_engine_run,
    source_code_job,
)
from openlineage.client.facet_v2 import data_quality_assertions_dataset as assertion

from configs.pipeline import Config
from flows.errors import Interrupted
from flows.receipts import Receipts
from flows.telling.emitter import Emitter
from storage.items import Block
from storage.receipts import Receipt
from storage.urls import filesystem, join
from tasks.pipeline import plain_stages, sources
from tasks.stage.code import code_of
from tasks.stage.kind import Stage, upstream_names

PRODUCER = "urn:panolabel"
set_producer(PRODUCER)
NAMES = uuid.uuid5(uuid.NAMESPACE_URL, PRODUCER)
WEIGHTS = "panolabel.weights"
URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s'\"<>]+")


def run_id(run: str, stage: str = "") -> str:
    """The UUID of a run, or of one stage of it: always the same for the same names."""
    return str(uuid.uuid5(NAMES, f"{run}/{stage}" if stage else run))


def masked(url: str) -> str:
    """A URL without user, password, query and fragment, which may hold secrets."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return url.partition("://")[0] + "://(unreadable)"
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", "")) if parts.netloc else url


def masked_text(text: str) -> str:
    """A text with every URL in it masked."""
    return URL.sub(lambda found: masked(found[0]), text)


def dataset_name(url: str) -> tuple[str, str]:
    """Namespace and name of a data set, as OpenLineage names them: ``("s3://bucket", "key")``, ``("file", "/path")``."""
    files, path = filesystem(url)
    parts = urlsplit(masked(files.unstrip_protocol(path)))
    if parts.scheme == "file":
        return "file", parts.path
    bucket, _, key = f"{parts.netloc}{parts.path}".strip("/").partition("/")  # fsspec writes memory:///bucket/key
    return f"{parts.scheme}://{bucket}", key.strip("/") or "/"


@attr.define
class PanolabelRunFacet(RunFacet):
    """Our own facet; ``panolabel_run_facet.json`` beside this file is its schema."""

    run: str
    code: str
    stage: str | None = None
    fingerprint: str | None = None
    cached: int | None = None
    ran: int | None = None
    quarantined: int | None = None

    @staticmethod
    def _get_schema() -> str:
        return "urn:panolabel:schema:PanolabelRunFacet:1#/$defs/PanolabelRunFacet"


@dataclass(frozen=True)
class Work:
    """What a run did of a stage: blocks that were there before, and receipts of those that it made."""

    cached: int
    made: Sequence[Receipt]

    @property
    def quarantined(self) -> int:
        """Items given up in the blocks that were made."""
        return sum(len(receipt.quarantined) for receipt in self.made)


class RunEvents:
    """Tells the events of one run. No method raises: an event that cannot be made is left out, and logged."""

    def __init__(self, config: Config, run: str) -> None:
        self._sources = [source.settings.source.url for source in sources(config)]
        self._config, self._run = config, run
        self._code = code_of(*plain_stages(config))
        self._namespace = config.execution.openlineage.namespace
        self._started = _now()
        self._emitter = Emitter(config, run)

    def started(self) -> None:
        """The run starts."""
        self._emitter.emit(lambda: self._event(RunState.START))

    def ended(self, error: BaseException | None = None) -> None:
        """The run is over, with the error that ended it if there is one; waits a moment for a slow server."""
        self._emitter.emit(lambda: self._event(_outcome(error), error=error))
        self._emitter.close()

    def stage_started(self, stage: Stage) -> None:
        """The work of a stage starts."""
        self._emitter.emit(lambda: self._event(RunState.START, stage))

    def stage_ended(
        self,
        stage: Stage,
        blocks: Sequence[Block] = (),
        owed: Sequence[Block] = (),
        receipts: Receipts | None = None,
        error: BaseException | None = None,
    ) -> None:
        """The work of one stage on ``owed``, which are among ``blocks``, is over; a source has neither, nor ``receipts``."""
        self._emitter.emit(lambda: self._event(_outcome(error), stage, self._work(stage, blocks, owed, receipts), error))

    def _work(self, stage: Stage, blocks: Sequence[Block], owed: Sequence[Block], receipts: Receipts | None) -> Work | None:
        if receipts is None or not blocks:
            return None
        found = (receipts.get(stage, block.name) for block in owed)
        return Work(len(blocks) - len(owed), [one for one in found if one and one.made["run"] == self._run])

    def _event(
        self,
        state: RunState,
        stage: Stage | None = None,
        work: Work | None = None,
        error: BaseException | None = None,
    ) -> RunEvent:
        key = stage.key if stage else ""
        return RunEvent(
            eventTime=_now(),
            run=Run(run_id(self._run, key), self._run_facets(state, stage, work, error)),
            job=Job(self._namespace, f"{self._config.name}.{key}" if key else self._config.name, self._job_facets(key)),
            eventType=state,
            inputs=self._inputs(stage, work),
            outputs=[self._output(stage, work)] if stage else [],
        )

    def _inputs(self, stage: Stage | None, work: Work | None) -> list[InputDataset]:
        """The sources, or that of a stage with the stages before it and its weights."""
        if stage is None:
            return [InputDataset(*dataset_name(url)) for url in self._sources]
        origin = stage.origin
        given = [InputDataset(*dataset_name(origin.settings.source.url))] if origin.is_source else []
        if work is not None and given:
            assertions = [assertion.Assertion("every_item_processed", success=not work.quarantined)]
            given[0].inputFacets = {"dataQualityAssertions": assertion.DataQualityAssertionsDatasetFacet(assertions)}
        read = upstream_names(stage.inputs).values()
        upstream = ((*dataset_name(_stage_url(one)), one.identity.fingerprint) for one in read)
        weights = ((WEIGHTS, name, digest) for name, digest in stage.identity.weights.items())
        return [*given, *(InputDataset(space, name, facets=_version(of)) for space, name, of in (*upstream, *weights))]

    def _output(self, stage: Stage, work: Work | None) -> OutputDataset:
        output = OutputDataset(*dataset_name(_stage_url(stage)), facets=_version(stage.identity.fingerprint))
        if work is not None:
            statistics = output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(
                rowCount=sum(len(receipt.items) for receipt in work.made) - work.quarantined,
                size=sum(receipt.bytes for receipt in work.made),
                fileCount=sum(len(receipt.files) for receipt in work.made),
            )
            output.outputFacets = {"outputStatistics": statistics}
        return output

    def _run_facets(
        self, state: RunState, stage: Stage | None, work: Work | None, error: BaseException | None
    ) -> dict[str, RunFacet]:
        ended = _now() if state is not RunState.START and stage is None else None
        own = PanolabelRunFacet(run=self._run, code=self._code)
        facets: dict[str, RunFacet] = {
            "nominalTime": nominal_time_run.NominalTimeRunFacet(self._started, ended),
            "processing_engine": processing_engine_run.ProcessingEngineRunFacet(
                version("prefect"), "prefect", version("openlineage-python")
            ),
            "panolabel": own,
        }
        if stage is not None:
            own.stage, own.fingerprint = stage.key, stage.identity.fingerprint
            parent = parent_run.Run(run_id(self._run)), parent_run.Job(self._namespace, self._config.name)
            facets["parent"] = parent_run.ParentRunFacet(*parent)
        if work is not None:
            own.cached, own.ran, own.quarantined = work.cached, len(work.made), work.quarantined
        if error is not None:
            message = masked_text(f"{type(error).__name__}: {error}")
            facets["errorMessage"] = error_message_run.ErrorMessageRunFacet(message, "PYTHON")
        return facets

    def _job_facets(self, stage: str) -> dict[str, JobFacet]:
        what = f"Stage {stage} of pipeline" if stage else "Panoramas to labels and models: pipeline"
        code = f"panolabel {version('panolabel')}, code {self._code}"
        return {
            "documentation": documentation_job.DocumentationJobFacet(f"{what} {self._config.name}"),
            "sourceCode": source_code_job.SourceCodeJobFacet("PYTHON", code),
        }


def _stage_url(stage: Stage) -> str:
    return join(stage.root, "stages", stage.name, stage.identity.fingerprint)


def _version(digest: str) -> dict[str, DatasetFacet]:
    return {"version": dataset_version_dataset.DatasetVersionDatasetFacet(digest)}


def _outcome(error: BaseException | None) -> RunState:
    if error is None:
        return RunState.COMPLETE
    return RunState.ABORT if isinstance(error, (Interrupted, KeyboardInterrupt)) else RunState.FAIL


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
