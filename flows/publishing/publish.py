"""Publishing: finished labels as one immutable version under a stable name, as plain Zarr or in an Icechunk repository."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from types import ModuleType
from typing import Any, TypedDict, Unpack

from configs.pipeline import Config
from configs.settings import ConfigError
from flows.stores.finished import Finished, fingerprints, finished_labels
from storage.fingerprint import canonical_json
from storage.names import unsafe_name
from storage.published import plain as published
from storage.published.contents import ICECHUNK, version_of
from storage.urls import join

KINDS = ("zarr", "icechunk")


def published_folder(config: Config, name: str | None = None, to: str = "zarr") -> str:
    """URL of a publication of one of ``KINDS``; named like the config if no name is given. ConfigError if that cannot be."""
    if to not in KINDS:
        raise ConfigError(f"--to {to!r}: must be one of {', '.join(KINDS)}")
    wanted = config.name if name is None else name
    if unsafe_name(wanted) or "/" in wanted or wanted.startswith(".") or wanted.endswith(ICECHUNK):
        raise ConfigError(f"--name {wanted!r}: must be one plain folder name, without slashes, a leading dot, or {ICECHUNK}")
    return join(config.root, "published", f"{wanted}{ICECHUNK}" if to == "icechunk" else wanted)


def published_versions(config: Config, name: str | None = None, to: str = "zarr") -> list[dict[str, Any]]:
    """The records of what is published, oldest first; see :func:`storage.published.plain.versions`."""
    return _keeper(to).versions(published_folder(config, name, to))


@dataclass(frozen=True)
class Prepared:
    """A version as it would be published: ``folder`` it goes to, what it is made of, its name and what is known of it."""

    config: Config
    to: str
    folder: str
    finished: Finished
    rows: Sequence[Mapping[str, str | bool]]
    version: str

    @property
    def is_latest(self) -> bool:
        """Whether it is what readers see now, so that publishing it changes nothing."""
        return any(one["latest"] and one["version"] == self.version for one in _keeper(self.to).versions(self.folder))


class Wanted(TypedDict, total=False):
    """What is published, and how: ``name`` of the publication (the config's own if none is given), ``stage`` that gives the
    labels (by default the only one), ``to`` one of :data:`KINDS` (zarr), what is finished though blocks are owed
    (``allow_incomplete``), and panoramas that are in the source no more (``keep_removed``)."""

    name: str | None
    allow_incomplete: bool
    to: str
    stage: str | None
    keep_removed: bool


def publish(config: Config, **wanted: Unpack[Wanted]) -> dict[str, Any]:
    """Publish the finished labels of a config and make them the latest version.

    Publishing the same labels twice changes nothing. What dies on the way leaves the former version in place. Panoramas that
    are in the source no more are left out, unless ``keep_removed``; the attribute ``kept_removed`` then names them.

    Returns
    -------
    dict
        The version's record, with its ``url``, whether it is ``new``, and the panoramas ``left_out`` and ``kept_removed``.

    Raises
    ------
    NotFinished
        Blocks are owed, or damaged.
    PublishConflict
        Another publisher was faster (``to="icechunk"``).
    ConfigError
        ``name`` cannot be a folder's name, or ``to`` is none of ``KINDS``, or icechunk is not installed.
    """
    return write(prepare(config, **wanted))


def prepare(config: Config, **wanted: Unpack[Wanted]) -> Prepared:
    """What :func:`publish` would publish, without doing so; raises what it raises."""
    to = wanted.get("to", "zarr")
    folder = published_folder(config, wanted.get("name"), to)
    _keeper(to)
    kept = wanted.get("keep_removed", False)
    finished = finished_labels(config, wanted.get("allow_incomplete", False), stage=wanted.get("stage"), keep_removed=kept)
    rows = _rows(finished)
    version = version_of([_facts(finished), rows, [[block.name, receipt.files] for _, block, receipt in finished.blocks]])
    return Prepared(config, to, folder, finished, rows, version)


def write(prepared: Prepared, approval: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Publish a version; see :func:`publish`. ``approval``, who allowed it and why, becomes an attribute of a new one."""
    folder, version, finished, keeper = prepared.folder, prepared.version, prepared.finished, _keeper(prepared.to)
    new = not keeper.is_published(folder, version)
    if new:
        attributes = {
            **_facts(finished),
            "created": datetime.now(UTC).isoformat(timespec="microseconds"),
            "config": prepared.config.model_dump(mode="json"),
            "run": max(receipt.made["run"] for _, _, receipt in finished.blocks),
            **({"approval": dict(approval)} if approval else {}),
        }
        keeper.write_version(folder, version, finished.arrays(), prepared.rows, attributes)
    else:
        keeper.point_at(folder, version)
    record = next(one for one in keeper.versions(folder) if one["version"] == version)
    told = {"left_out": sorted(finished.left_out), "kept_removed": list(finished.kept)}
    return {**record, "url": folder if prepared.to == "icechunk" else join(folder, version), "new": new, **told}


def _keeper(to: str) -> ModuleType:
    """The module that keeps publications of one of ``KINDS``: all have the same functions."""
    if to != "icechunk":
        return published
    try:
        from storage.published import icechunk as published_icechunk  # an optional library
    except ModuleNotFoundError as error:
        raise ConfigError(str(error)) from error
    return published_icechunk


def _facts(finished: Finished) -> dict[str, Any]:
    """What holds for all panoramas, and follows from the labels alone."""
    kept = {"kept_removed": list(finished.kept)} if finished.kept else {}
    return {
        **kept,
        "fingerprints": fingerprints(finished),
        "complete": not finished.owed,
        "owed": dict(finished.owed),
        "normals_scale": 127 if finished.stage.settings.normals_dtype == "int8" else 1,
        "errors": finished.stage.settings.errors,
        **finished.about,
    }


def _rows(finished: Finished) -> list[dict[str, str | bool]]:
    return [
        {
            "item": item.item,
            "split": item.split,
            "uri": item.uri,
            "digest": item.digest,
            "valid": row.state == "done",
            "reason": row.reason,
            "figures": canonical_json(row.figures),
        }
        for item, row in finished.rows()
    ]
