"""The audit tables: all that receipts, manifests and run records say, as rows of Parquet tables below ``<root>/audit``.

They hold nothing of their own and may be removed at any time: :func:`refresh` makes them again from what is in the store.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from storage.fingerprint import canonical_json
from storage.manifest import SUFFIX, ManifestError, placed_parts, read_manifest
from storage.places import block_places, manifests
from storage.receipts import DROPPED, FILE, Receipt, block_url, read_dropped, read_receipt
from storage.records.forgotten import Forgotten, as_told, is_forgotten, read_forgotten
from storage.records.runs import read_run, run_names, run_url
from storage.tables import current_stamp, write_tables
from storage.urls import children, filesystem, join
from tasks.earlier import LABELS, blocks, product, sources, stage_read
from tasks.stage.models import READ

LAYOUT = "4"
"""Raised when tables or columns change, so that older editions are made anew."""


Row = tuple[str, Mapping[str, Any]]

_MADE_FROM = "stage fingerprint block"
_COLUMNS = {
    "runs": "run run_id config state reason user started seconds:float64 sources:list blocks:list",
    "stages": "run key stage fingerprint cached:int64 ran:int64 items:int64 quarantined:int64 seconds:float64 bytes:int64",
    "blocks": f"{_MADE_FROM} gives state run started:float64 seconds:float64 items:int64 quarantined:int64 bytes:int64 device "
    "version package code weights models",
    "items": f"{_MADE_FROM} item run started:float64 state reason digest figures uri split metadata",
    "weights": "stage fingerprint name digest",
    "upstream": "stage fingerprint from_stage from_fingerprint",
    "forgotten": "item source event reason user time removed",
    "labels": "item stage fingerprint block run digest files",
}
_TYPES = {"": pa.string(), "int64": pa.int64(), "float64": pa.float64(), "list": pa.list_(pa.string())}


def _schema(columns: str) -> pa.Schema:
    fields = (column.partition(":") for column in columns.split())
    return pa.schema([(name, _TYPES[kind]) for name, _, kind in fields])


SCHEMAS = {table: _schema(columns) for table, columns in _COLUMNS.items()}


def audit_url(root: str) -> str:
    """Where the audit tables lie."""
    return join(root, "audit")


def refresh(root: str) -> str:
    """Write the tables anew unless they are what receipts and run records say now; returns the stamp of the edition."""
    stamp = _stamp(root)
    if current_stamp(audit_url(root)) != stamp:
        write_tables(audit_url(root), stamp, SCHEMAS, _rows(root))
    return stamp


def _stamp(root: str) -> str:
    """A digest of the names and states (time, entity tag) of all files that the tables are made from."""
    found = hashlib.sha256(LAYOUT.encode())
    for url in _sources(root):
        files, path = filesystem(url)
        try:
            found.update(f"{path} {files.ukey(path)}\n".encode())
        except FileNotFoundError:
            continue
    return found.hexdigest()[:16]


def _sources(root: str) -> Iterator[str]:
    yield from (run_url(root, run) for run in run_names(root))
    for manifest in manifests(root):
        yield from (manifest, *placed_parts(manifest))
    yield from (join(root, "forgotten", name) for name in children(join(root, "forgotten")))
    for stage, fingerprint, block in block_places(root):
        yield join(block_url(root, stage, fingerprint, block), FILE)
        yield join(block_url(root, stage, fingerprint, block), DROPPED)


def _rows(root: str) -> Iterator[Row]:
    for run in run_names(root):
        try:
            yield from _run_rows(read_run(root, run))
        except (ValueError, KeyError, FileNotFoundError):
            continue  # a record that is no JSON, or was removed meanwhile
    records = read_forgotten(root)
    for record in records:
        yield from _forgotten_rows(record)
    for url in manifests(root):
        yield from _manifest_rows(url, records)
    told = set()
    for stage, fingerprint, block in block_places(root):
        url = block_url(root, stage, fingerprint, block)
        receipt = read_receipt(url)
        state = "done" if receipt else "dropped"
        receipt = receipt or read_dropped(url)
        if receipt is None:
            continue
        if (stage, fingerprint) not in told:
            told.add((stage, fingerprint))
            yield from _identity_rows(stage, fingerprint, receipt)
        yield from _receipt_rows(receipt, state)


def _run_rows(record: Mapping[str, Any]) -> Iterator[Row]:
    from flows.telling.lineage_events import masked, masked_text, run_id

    identities = record.get("identities", {})
    yield (
        "runs",
        {
            **{key: record.get(key) for key in ("run", "state", "user", "seconds")},
            "blocks": blocks(record),
            "run_id": run_id(record["run"]),
            "config": record["config"]["name"],
            "reason": masked_text(record.get("reason", "")),
            "started": datetime.fromisoformat(record["started"]).astimezone(UTC).isoformat(),
            "sources": [masked(source) for source in sources(record)],
        },
    )
    for stage in record.get("stages", ()):
        identity = identities[stage["stage"]]
        stored = {"stage": identity["stage"], "fingerprint": identity["fingerprint"]}
        yield "stages", {"run": record["run"], "key": stage["stage"], **stage, **stored}


def _forgotten_rows(record: Forgotten) -> Iterator[Row]:
    """A row for each time at which an item was forgotten or remembered; the last says when its labels had gone."""
    for number, event in enumerate(record.events, 1):
        removed = record.removed.get("at") if number == len(record.events) else None
        said = {"event": event.what, "reason": event.because, "user": event.by, "time": event.at}
        yield "forgotten", {"item": record.item, "source": record.source, **said, "removed": removed}


def _manifest_rows(url: str, records: Sequence[Forgotten]) -> Iterator[Row]:
    stage, fingerprint, name = url.rsplit("/", 3)[-3:]
    place = {"stage": stage, "fingerprint": fingerprint, "block": name.removesuffix(SUFFIX)}
    try:
        items = as_told(read_manifest(url), records, name.removesuffix(SUFFIX))
    except ManifestError:
        return
    for item in items:
        state = "forgotten" if is_forgotten(item) else "quarantined" if item.reason and item.block < 0 else "done"
        said = {"figures": canonical_json(item.figures), "metadata": canonical_json(item.metadata), "split": item.split}
        yield (
            "items",
            {**place, **said, **{key: getattr(item, key) for key in ("item", "uri", "reason", "digest")}, "state": state},
        )


def _identity_rows(stage: str, fingerprint: str, receipt: Receipt) -> Iterator[Row]:
    own, identity = {"stage": stage, "fingerprint": fingerprint}, receipt.made["identity"]
    for name, digest in {**identity["weights"], **receipt.about.get(READ, {})}.items():
        yield "weights", {**own, "name": name, "digest": digest}
    for name, other in identity["upstream"].items():
        yield "upstream", {**own, "from_stage": stage_read(name), "from_fingerprint": other}


def _receipt_rows(receipt: Receipt, state: str) -> Iterator[Row]:
    made, identity = receipt.made, receipt.made["identity"]
    gives = product(receipt.stage, made)
    own = {"stage": receipt.stage, "fingerprint": receipt.fingerprint, "block": receipt.block, "run": made["run"]}
    yield (
        "blocks",
        {
            **own,
            **{key: made.get(key) for key in ("started", "seconds", "device", "code")},
            "gives": gives,
            "state": state,
            "items": len(receipt.items),
            "quarantined": len(receipt.quarantined),
            "bytes": receipt.bytes,
            "version": identity["version"],
            "package": made["versions"].get("panolabel"),
            "weights": canonical_json(identity["weights"]),
            "models": canonical_json(receipt.about.get(READ, {})),
        },
    )
    files = canonical_json({name: entry["sha256"] for name, entry in receipt.files.items()})
    for row in receipt.items:
        found = {"item": row.item, "digest": row.digest or None}
        figures = canonical_json(row.figures)
        yield "items", {**own, **found, "started": made["started"], "state": row.state, "reason": row.reason, "figures": figures}
        if gives == LABELS and row.state == "done":
            yield "labels", {**own, **found, "files": files}
