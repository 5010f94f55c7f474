"""Publishing: finished labels as one immutable version under a stable name."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from configs.schema import Config, ConfigError
from flows.finished import Finished, finished_labels
from storage.fingerprint import canonical_json
from storage.manifest import unsafe_name
from storage.published import is_published, point_at, version_of, versions, write_version
from storage.urls import join


def published_folder(config: Config, name: str | None = None) -> str:
    """URL of a publication; named like the config if no name is given. ConfigError if the name cannot be a folder's."""
    wanted = config.name if name is None else name
    if unsafe_name(wanted) or "/" in wanted or wanted.startswith("."):
        raise ConfigError(f"--name {wanted!r}: must be one plain folder name, without slashes or a leading dot")
    return join(config.root, "published", wanted)


def publish(config: Config, name: str | None = None, allow_incomplete: bool = False) -> dict[str, Any]:
    """Publish the finished labels of a config and make them the latest version.

    Publishing the same labels twice changes nothing. What dies on the way leaves the former version in place.

    Returns
    -------
    dict
        The version's record, with its ``url`` and whether it is ``new``.

    Raises
    ------
    NotFinished
        Blocks are owed, or damaged.
    ConfigError
        ``name`` cannot be a folder's name.
    """
    folder = published_folder(config, name)
    finished = finished_labels(config, allow_incomplete)
    rows = _rows(finished)
    version = version_of([_facts(finished), rows, [[block.name, receipt.files] for _, block, receipt in finished.blocks]])
    new = not is_published(folder, version)
    if new:
        attributes = {
            **_facts(finished),
            "created": datetime.now(UTC).isoformat(timespec="microseconds"),
            "config": config.model_dump(mode="json"),
            "run": max(receipt.made["run"] for _, _, receipt in finished.blocks),
        }
        write_version(folder, version, finished.arrays(), rows, attributes)
    point_at(folder, version)
    record = next(one for one in versions(folder) if one["version"] == version)
    return {**record, "url": join(folder, version), "new": new}


def _facts(finished: Finished) -> dict[str, Any]:
    """What holds for all panoramas, and follows from the labels alone."""
    return {
        "fingerprints": {stage.name: stage.identity.fingerprint for stage in finished.plan.definitions},
        "complete": not finished.owed,
        "owed": dict(finished.owed),
        "normals_scale": 127 if finished.fuse.settings["normals_dtype"] == "int8" else 1,
        **finished.blocks[0][2].about,
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
