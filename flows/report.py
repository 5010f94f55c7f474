"""What a run found: its stages' pieces, and at its end one HTML page beside the run's record."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from configs.pipeline import Config
from flows.plan import Plan
from flows.stores.items import quarantined_items
from flows.stores.life import items_told, life_sections
from flows.stores.made import made_of
from flows.stores.record import RunRecord, stage_counts
from storage.urls import join, location, write_bytes
from tasks.pages.shown import Section, render_page
from tasks.stage.kind import Step
from tasks.stage.made import Made
from tasks.stage.plain import named_function
from tasks.stage.tables import Pictures, Words, as_json


@dataclass
class Found:
    """What a run's stages show, in order, and what its record says of each; ``error`` is the first that kept one from it."""

    sections: list[Section] = field(default_factory=list)
    summary: dict[str, dict[str, Any]] = field(default_factory=dict)
    error: Exception | None = None

    def add(self, made: Made) -> Section:
        """Note what a stage shows, which is returned. What goes wrong is raised by the report, once all stages are done."""
        kind = made.stage.kind
        section = Section(made.key, made.stage.name, [])
        try:
            if kind.shows and made.receipts:
                section = Section(made.key, made.stage.name, named_function(kind.shows)(made))
            if kind.summary and made.receipts:
                self.summary[made.key] = named_function(kind.summary)(made)
        except Exception as error:
            self.error = self.error or error
        self.sections += [section] if section.pieces else []
        return section


def brief(sections: Sequence[Section]) -> list[dict[str, Any]]:
    """Tables and words that are no details, as JSON values: what a terminal shows, now or later.

    Where several stages show a thing of one title, it has the stage's key before it.
    """
    brief = [
        (section.key, piece)
        for section in sections
        for piece in section.pieces
        if not isinstance(piece, Pictures) and not piece.detail
    ]
    titles = Counter((type(piece), piece.title) for _, piece in brief)
    return [
        as_json(piece if titles[type(piece), piece.title] == 1 else replace(piece, title=f"{key}: {piece.title}"))
        for key, piece in brief
    ]


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

    That is the ``quarantined`` items, by source the ``life`` of its items, by stage what its ``summary`` is, and as ``shown``
    what a terminal prints.
    """
    assert record.plan is not None, "a report follows a plan"
    if found.error is not None:
        raise found.error
    plan, quarantined = record.plan, quarantined_items(record.plan)
    sections = [*life_sections(plan), *found.sections, *_nothing_made(plan)]
    html = render_page(
        title=f"{config.name}: {len(plan.items)} panoramas{f', a trial ({plan.trial.told})' * bool(plan.trial.words)}",
        run={**record.as_json(), "config": config.name},
        stages=stage_counts(plan, record.run),
        sections=sections,
        quarantined=quarantined,
    )
    place = write_page(config, record.run, html)
    return {
        "report": place,
        "quarantined": quarantined,
        "life": items_told(plan),
        "found": found.summary,
        "shown": brief(sections),
    }


def _nothing_made(plan: Plan) -> list[Section]:
    """That every panorama of a source was given up, so that no stage over it shows anything."""
    empty = [source for source in plan.sources if source.scan.known and not source.blocks]
    words = Words("made", "Made", "nothing; every panorama was given up")
    return [Section(source.key, source.stage.name, [words]) for source in empty]


def write_page(config: Config, name: str, html: str) -> str:
    """Write a page below ``<root>/reports``; returns where it lies."""
    url = join(config.root, "reports", f"{name}.html")
    write_bytes(url, html.encode())
    return location(url)
