"""``panolabel try``: one item of one stage made and held against what is stored; or some, to see that labels have not moved."""

from __future__ import annotations

import random
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from configs.pipeline import Config
from configs.settings import ConfigError
from flows.invocation import typed
from flows.trying.attempt import Tryout, tryout
from flows.trying.difference import Difference, decoded
from flows.trying.pictures import encoded, sheet
from flows.trying.rows import Row, stored_rows
from storage.fingerprint import differences

PICTURES = (".jpg", ".jpeg", ".png", ".webp")
DONE = "done"


def try_item(config: Config, key: str, item: str, out: str | None = None) -> dict[str, Any]:
    """Make one item of a stage from its stored inputs, draw it, and hold it against what is stored of it.

    Parameters
    ----------
    config : Config
    key : of the stage
    item : its name, or SOURCE/ITEM
    out : file of the picture; by default one in the working directory

    Returns
    -------
    dict
        JSON values: ``stage``, ``item``, ``state``, ``reason``, ``figures``, ``tried``, ``stored`` (None if nothing is),
        ``difference`` from that, and ``picture``, empty if nothing of the item is a map.

    Raises
    ------
    ConfigError
        The stage or the item cannot be tried; the message says what to do.
    """
    out = out or "try-{}-{}.jpg".format(key, re.sub(r"[^\w.-]+", "-", item))
    if Path(out).suffix.lower() not in PICTURES:
        raise ConfigError(f"--out {out}: must end in one of {', '.join(PICTURES)}")
    own = tryout(config, key, item)
    name = own.name(item)
    stored = next((rows[name] for rows in stored_rows(config, own.plan, own.items) if name in rows), None)
    with tempfile.TemporaryDirectory(prefix="panolabel-try-") as scratch:
        (row,) = own.made([name], config.execution, scratch)
        tried = Tried(own, row, stored)
        return {**tried.as_json(), "picture": tried.draw(out)}


def golden(config: Config, key: str, count: int, seed: int) -> dict[str, Any]:
    """Make stored items of a stage again, chosen by the seed, and hold each against what is stored of it.

    Returns
    -------
    dict
        JSON values: ``stage``, ``fingerprint`` of what is stored, ``compared`` and ``same`` (counts), and ``differ``: of each
        item that is not the same to the last bit what :func:`try_item` says of it.

    Raises
    ------
    ConfigError
        Nothing is stored of the stage, or what it is made from is not there.
    """
    own = tryout(config, key)
    stored: Mapping[str, Row] = {}
    for rows in stored_rows(config, own.plan, own.items):
        stored = stored or {name: row for name, row in rows.items() if row.told.state == DONE}
    if not stored:
        raise ConfigError(f"--golden: nothing of {key} is stored that could be compared; make it with {typed('run')}")
    names = sorted(random.Random(seed).sample(sorted(stored), min(count, len(stored))))
    differ = []
    with tempfile.TemporaryDirectory(prefix="panolabel-try-") as scratch:
        for row in own.made(names, config.execution, scratch):
            said = Tried(own, row, stored[row.told.item]).as_json()
            differ += [] if said["difference"]["same"] else [said]
    fingerprint = next(iter(stored.values())).receipt.fingerprint
    same = len(names) - len(differ)
    return {"stage": key, "fingerprint": fingerprint, "compared": len(names), "same": same, "differ": differ}


@dataclass(frozen=True, eq=False)
class Tried:
    """A row that was made and is not stored, and the stored one that it is held against, if there is any."""

    own: Tryout
    row: Row
    stored: Row | None

    def as_json(self) -> dict[str, Any]:
        """All of it but the picture as JSON values."""
        told, stage = self.row.told, self.own.step.stage
        said = {"stage": stage.key, "item": told.item, "state": told.state, "reason": told.reason, "figures": told.figures}
        if self.stored is None:
            return {**said, "tried": _made(self.row), "stored": None, "difference": None}
        before = self.stored.receipt.made.get("identity")
        changes = [str(change) for change in differences(before, stage.identity.as_json(), stage.key)] if before else []
        stored = {**_made(self.stored), "state": self.stored.told.state, "changes": changes}
        difference = Difference(stage, self.stored, self.row).as_json()
        return {**said, "tried": _made(self.row), "stored": stored, "difference": difference}

    def draw(self, out: str) -> str:
        """Where the picture was written; nowhere if nothing of the item is a map."""
        stage, stored = self.own.step.stage, self.stored if self.stored and self.stored.told.state == DONE else None
        picture = sheet(decoded(stage, self.row), decoded(stage, stored) if stored else None)
        if picture is None:
            return ""
        Path(out).write_bytes(encoded(picture, Path(out).suffix))
        return out


def _made(row: Row) -> dict[str, Any]:
    made = row.receipt.made
    told = {name: made.get(name) for name in ("run", "code", "device", "versions")}
    return {"fingerprint": row.receipt.fingerprint, "block": row.receipt.block, **told}
