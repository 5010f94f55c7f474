"""The pipeline as a list: every stage in order, with what its output depends on and the function that makes a block of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from configs.schema import Config
from storage.fingerprint import Identity
from storage.receipts import Receipt
from tasks import audit, evaluate, fuse, label, project
from tasks.block import Job


@dataclass(frozen=True)
class Stage:
    """A stage as this config wants it."""

    identity: Identity
    make: Callable[[Job], Receipt]

    @property
    def name(self) -> str:
        """Name of the stage, such as ``project`` or ``label.geometry``."""
        return self.identity.stage


def stages(config: Config) -> list[Stage]:
    """All stages that work on blocks, in the order in which they run; ``ingest`` comes before them and makes the blocks."""
    labels = {label.stage_name(teacher): label.identity(config, teacher) for teacher in config.teachers}
    patches = {name: identity.fingerprint for name, identity in labels.items()}
    fused = fuse.identity(config, patches)
    audited = [Stage(audit.identity(config, fused.fingerprint, patches), audit.audit_block)] * config.audit.enabled
    return [
        Stage(project.identity(config), project.project_block),
        *(Stage(identity, label.label_block) for identity in labels.values()),
        Stage(fused, fuse.fuse_block),
        Stage(evaluate.identity(config, fused.fingerprint), evaluate.evaluate_block),
        *audited,
    ]
