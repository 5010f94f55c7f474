"""What became of a plan's panoramas, told: counts and the first names, for status, plan and report alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flows.plan import Plan
from flows.sources import Source
from flows.stores.items import GivenUp, different, given_up, same_panoramas
from tasks.ingest.life import life_of
from tasks.pages.shown import Section
from tasks.stage.tables import Column, Table

SHOWN = 3
"""Names of each kind that are told."""
NEED_A_LOOK = ("new", "changed", "renamed", "removed", "doubled", "leaving")
"""What nobody knows of a source that was not looked at."""
WORDS = {"leaving": "leave the next published version"}


def items_told(plan: Plan) -> list[dict[str, Any]]:
    """By source what became of its items, as JSON values: of each kind its count and the first names.

    Where a source was not looked at, what its listing would tell is None: nothing is taken for removed.
    """
    given = given_up(plan)
    return [{"source": source.key, **_told(source, given)} for source in different(plan.sources)]


def _told(source: Source, given: Sequence[GivenUp]) -> dict[str, Any]:
    life = life_of(source.scan)
    names = {
        "new": life.new,
        "changed": life.changed,
        "renamed": tuple(f"{before} -> {now}" for before, now in life.renamed),
        "removed": life.removed,
        "quarantined": tuple(one.item for one in given if same_panoramas(one.panoramas, source.stage)),
        "forgotten": life.forgotten,
        "doubled": tuple(" = ".join(same) for same in life.doubled),
        "leaving": life.leaving,
    }
    unseen = NEED_A_LOOK if source.scan.unlisted else ()
    return {word: None if word in unseen else _first(found) for word, found in names.items()}


def _first(names: Sequence[str]) -> dict[str, Any]:
    return {"count": len(names), "first": list(names[:SHOWN])}


def life_rows(told: Mapping[str, Any]) -> list[tuple[str, int, str]]:
    """Of one source, what there is any of: the word, how many, and the first names."""
    found = [(word, one) for word, one in told.items() if word != "source" and one and one["count"]]
    return [(WORDS.get(word, word), one["count"], _names(one)) for word, one in found]


def _names(one: Mapping[str, Any]) -> str:
    return ", ".join(one["first"]) + ", ..." * (one["count"] > len(one["first"]))


def life_sections(plan: Plan) -> list[Section]:
    """For a report: of each source whose items are not all as they were, what became of them."""
    kinds = {source.key: source.stage.name for source in plan.sources}
    columns = (Column("panoramas", text=True), Column("count", "d"), Column("the first", text=True))
    tables = {told["source"]: Table("life", "Panoramas", columns, tuple(life_rows(told))) for told in items_told(plan)}
    return [Section(key, kinds[key], [table]) for key, table in tables.items() if table.rows]
