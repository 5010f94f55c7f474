"""The pipeline as a list: every stage in order, with what its output depends on and the function that makes a block of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from configs.adapt import AdaptConfig
from configs.schema import Config, TeacherSettings
from storage.fingerprint import Identity
from storage.manifest import Block
from storage.receipts import Receipt
from tasks.evaluate import audit, evaluate
from tasks.label import fuse, label, project
from tasks.label.rotations import fuse_work, rotation_of
from tasks.stage.block import Job


@dataclass(frozen=True)
class Stage:
    """A stage as this config wants it.

    ``like`` is a stage that does the same work, where one is expected to have been measured first; ``work`` is how much an item
    takes, in items of the stage in its plainest form. ``network``: whether it runs one, and so wants a GPU, though its output
    does not depend on weights that are known beforehand.
    """

    identity: Identity
    make: Callable[[Job], Receipt]
    like: Identity | None = None
    work: int = 1
    network: bool = False

    @property
    def name(self) -> str:
        """Name of the stage, such as ``project`` or ``label.geometry``."""
        return self.identity.stage

    @property
    def wants_gpu(self) -> bool:
        """Whether a block of it runs a network."""
        return self.network or bool(self.identity.weights)


@dataclass(frozen=True)
class Step:
    """A stage and its blocks: those of the manifest, or others that stand for them (tasks/stage/grain.py)."""

    stage: Stage
    blocks: tuple[Block, ...]

    @property
    def name(self) -> str:
        """Name of the stage."""
        return self.stage.name


def steps(config: Config, blocks: Sequence[Block]) -> list[Step]:
    """The stages of a labelling or of an adaptation over the blocks of a manifest, in the order in which they run."""
    if isinstance(config, AdaptConfig):
        from tasks.adapt import recipe as adaptation  # here, since it imports networks
        from tasks.seamless.model import model_digest

        return adaptation.steps(config, model_digest(config.model), blocks)
    return [Step(stage, tuple(blocks)) for stage in stages(config)]


def stages(config: Config) -> list[Stage]:
    """All stages that work on blocks, in the order in which they run; ``ingest`` comes before them and makes the blocks."""
    if config.student is not None:
        from tasks.predict import predict  # here, since it reads a network's folder

        predicted = Stage(predict.identity(config), predict.predict_block)
        return [predicted, Stage(evaluate.identity(config, predicted.identity.fingerprint), evaluate.evaluate_block)]
    labels = [stage for teacher in config.teachers for stage in _label_stages(config, teacher)]
    fused = fuse.identity(config, {stage.name: stage.identity.fingerprint for stage in labels})
    own = {stage.name: stage.identity.fingerprint for stage in labels if not rotation_of(stage.name)}
    audited = [Stage(audit.identity(config, fused.fingerprint, own), audit.audit_block)] * config.audit.enabled
    return [
        Stage(project.identity(config), project.project_block),
        *labels,
        Stage(fused, fuse.fuse_block, work=fuse_work(max(rotation_of(stage.name) for stage in labels))),
        Stage(evaluate.identity(config, fused.fingerprint), evaluate.evaluate_block),
        *audited,
    ]


def _label_stages(config: Config, teacher: TeacherSettings) -> list[Stage]:
    """A teacher's stage, and one more for each of ``label.rotations``: not for instances alone, which come from the first."""
    own = label.identity(config, teacher)
    rotations = 0 if set(teacher.fields) == {"instances"} else config.label.rotations
    turned = [label.identity(config, teacher, rotation) for rotation in range(1, rotations + 1)]
    return [Stage(own, label.label_block), *(Stage(identity, label.label_block, like=own) for identity in turned)]
