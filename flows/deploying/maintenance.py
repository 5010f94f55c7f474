"""Flows for schedules that look after a store: read back what it holds, remove what nothing needs."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from prefect import flow, tags
from prefect.artifacts import create_table_artifact

from flows.running.parameters import ConfigParameter
from flows.stores.garbage import collect, find_garbage
from flows.stores.items import verify_store
from flows.stores.verification import verify_others
from flows.telling.artifacts import MOST_ROWS, artifact_key, harmless
from flows.telling.tags import config_tag, tag_this_run


class DamageFound(RuntimeError):
    """Stored bytes are not what their receipts say."""


@flow(name="panolabel-verify", flow_run_name="verify {config.name}")
def verify(config: ConfigParameter) -> dict[str, int]:
    """Check every stored byte against its receipt; a broken block is owed again.

    Raises
    ------
    DamageFound
        Some block is broken: the flow run fails, so that somebody looks. The next run of the pipeline makes it again.
    """
    tag_this_run(config_tag(config.name), "maintenance")
    with tags(config_tag(config.name)):
        checked = [*verify_store(config), *verify_others(config)]
        broken = [damage for _, damage in checked if damage is not None]
        _publish(
            artifact_key(config.name, "broken"),
            [{"stage": d.stage, "block": d.block, "problems": "; ".join(d.problems[:3])} for d in broken],
        )
    if broken:
        named = ", ".join(f"{damage.stage} {damage.block}" for damage in broken[:5])
        raise DamageFound(
            f"{len(broken)} of {len(checked)} blocks are broken ({named}); those of stages are made again by the next run"
        )
    return {"blocks": len(checked), "bytes": sum(count for count, _ in checked)}


@flow(name="panolabel-gc", flow_run_name="gc {config.name}")
def gc(config: ConfigParameter, keep_runs: int = 1, older_than_hours: float = 1.0, dry_run: bool = True) -> dict[str, int]:
    """Remove what nothing needs; with ``dry_run`` only list it."""
    tag_this_run(config_tag(config.name), "maintenance")
    found = find_garbage(config, keep_runs, older_than_hours)
    if not dry_run:
        collect(config, found)
    _publish(artifact_key(config.name, "garbage"), [asdict(one) for one in found])
    return {"things": len(found), "bytes": sum(one.bytes for one in found)}


@harmless
def _publish(key: str, rows: list[dict[str, Any]]) -> None:
    if rows:
        create_table_artifact(rows[:MOST_ROWS], key=key, description=f"{len(rows)} in all")
