"""What a run found: its stages' pieces, and at its end one HTML page beside the run's record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from configs.schema import Config
from flows.plan import Plan
from flows.stores.items import quarantined_items
from flows.stores.made import made_of
from flows.stores.record import RunRecord, stage_counts
from storage.urls import join, location, write_bytes
from tasks.pages.shown import Section, render_page
from tasks.pipeline import Step
from tasks.shown import shows, summary
from tasks.stage.made import Made
from tasks.stage.tables import Pictures, Piece, as_json


@dataclass
class Found:
    """What a run's stages show, in order, and what its record says of them; ``error`` is the first that kept one from it."""

    sections: list[Section] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)
    error: Exception | None = None

    def add(self, made: Made) -> Section:
        """Note what a stage shows, which is returned. What goes wrong is raised by the report, once all stages are done."""
        section = Section(made.key, made.kind, [])
        try:
            section = Section(made.key, made.kind, shows(made))
            self.summary |= summary(made)
        except Exception as error:
            self.error = self.error or error
        self.sections += [section] if section.pieces else []
        return section


def brief(pieces: Sequence[Piece]) -> list[dict[str, Any]]:
    """Tables and words that are no details, as JSON values: what a terminal shows, now or later."""
    return [as_json(piece) for piece in pieces if not isinstance(piece, Pictures) and not piece.detail]


def found_by(config: Config, plan: Plan, steps: Sequence[Step]) -> Found:
    """What finished stages show, whoever made them."""
    found = Found()
    for step in steps:
        found.add(made_of(config, plan, step))
    if found.error is not None:
        raise found.error
    return found


def write_run_report(config: Config, record: RunRecord, found: Found) -> dict[str, Any]:
    """Write ``<root>/reports/<run>.html``; return its place as ``report``, and what else the record says.

    That is the ``quarantined`` items, what the stages :attr:`Found.summary` say, and as ``shown`` what a terminal prints.
    """
    assert record.plan is not None, "a report follows a plan"
    if found.error is not None:
        raise found.error
    plan, quarantined = record.plan, quarantined_items(record.plan)
    html = render_page(
        title=f"{config.name}: {len(plan.scan.known)} panoramas",
        run={**record.as_json(), "config": config.name},
        stages=stage_counts(plan, record.run),
        sections=found.sections,
        quarantined=quarantined,
    )
    place = write_page(config, record.run, html)
    pieces = [piece for section in found.sections for piece in section.pieces]
    return {
        "report": place,
        "quarantined": quarantined,
        **found.summary,
        "shown": brief(pieces),
    }


def write_page(config: Config, name: str, html: str) -> str:
    """Write a page below ``<root>/reports``; returns where it lies."""
    url = join(config.root, "reports", f"{name}.html")
    write_bytes(url, html.encode())
    return location(url)
