"""Tags of Prefect runs: what the UI filters by, and what concurrency limits act on."""

from __future__ import annotations

from prefect import get_client
from prefect.runtime import flow_run

from flows.artifacts import harmless

STORAGE, GPU = "storage", "gpu"


def config_tag(config: str) -> str:
    """Tag of everything that a config of this name runs."""
    return f"config:{config}"


def stage_tags(stage: str) -> list[str]:
    """Tags of a stage's subflow: ``stage:label`` and ``teacher:dense`` for ``label.dense`` and ``label.dense.rotation1``."""
    kind, teacher, *_ = [*stage.split("."), ""]
    return [f"stage:{kind}"] + ([f"teacher:{teacher}"] if teacher else [])


def block_tags(stage: str) -> list[str]:
    """Tags of a block's task run: every block reads and writes the store, those of teachers also want a GPU."""
    return [STORAGE, GPU] if stage.startswith("label.") else [STORAGE]


@harmless
def tag_this_run(*tags: str) -> None:
    """Add tags to the flow run that is going on; its own are fixed before its parameters are known."""
    if flow_run.id is None:
        return
    with get_client(sync_client=True) as client:
        client.update_flow_run(flow_run.id, tags=sorted({*flow_run.tags, *tags}))
