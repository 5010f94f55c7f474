"""Which blocks of another pipeline's stage are read: all that it will have, those that are there, or the newest model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from storage.fingerprint import Identity
from storage.receipts import FILE, Receipt, blocks_with_receipts, existing_receipts
from storage.urls import children, info, join
from tasks.ingest.stamps import changed_at
from tasks.stage.grain import of_unknown
from tasks.stage.kind import Step
from tasks.stage.models import MODEL


def those_there(step: Step) -> Step:
    """The stage with those of its blocks that are finished; with all of them if none is, so that they are missed."""
    stage = step.stage
    there = set(blocks_with_receipts(stage.root, stage.name, stage.identity.fingerprint))
    blocks = tuple(block for block in step.blocks if block.name in there)
    return replace(step, blocks=blocks or step.blocks)


def newest(step: Step) -> Step:
    """The stage as it was when it made its newest model, whatever its pipeline says now; as it is now if it made none."""
    found = max(_models(step), key=lambda one: one[0], default=None)
    if found is None:
        return step
    made = {name: value for name, value in found[1].made["identity"].items() if name != "fingerprint"}
    return Step(replace(step.stage, identity=Identity(**made)), (of_unknown(found[1].block),))


def _models(step: Step) -> Iterator[tuple[tuple[float, str], Receipt]]:
    """Receipts of all models that the stage made under any fingerprint, each with when that was."""
    folder = join(step.stage.root, "stages", step.stage.name)
    for fingerprint in children(folder):
        for block, receipt in existing_receipts(step.stage.root, step.stage.name, fingerprint).items():
            if "identity" in receipt.made and any(name.startswith(f"{MODEL}/") for name in receipt.files):
                written = changed_at(info(join(folder, fingerprint, block, FILE)) or {})
                yield (written or 0.0, receipt.made["run"]), receipt
