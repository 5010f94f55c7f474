"""The whole chain in one small file: labels of a source, a student of them, another place, and the student adapted to that."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from configs.pipeline import Config
from configs.trial import Trial
from flows.plan import Plan, make_plan
from tasks.ingest import ingest
from tasks.ingest.check import check
from tasks.pipeline import sources
from tests.support.pipelines import write_panoramas

LABELLING = ("project", "geometry", "classes", "fuse", "evaluate")
STUDENT = ("student", "student_score")
ADAPTATION = ("adapt.predict", "adapt.scores", "adapt.thresholds", "adapt.omni", "adapt")
ADAPTED = ("adapted", "adapted_score")
STAGES = (*LABELLING, "train", *STUDENT, *ADAPTATION, *ADAPTED)
BLOCKS = dict.fromkeys(LABELLING, 2) | {"train": 1} | dict.fromkeys((*STUDENT, *ADAPTATION, *ADAPTED), 2)
BLOCKS |= {"adapt.thresholds": 1, "adapt": 1}
"""Of each stage, over four panoramas of the source and three of the target."""


def write_chain(folder: Path, count: int = 4, targets: int = 3, **changes: dict[str, Any]) -> Path:
    """Panoramas ``p00``, ... of the source and ``t00``, ... of the target, and the chain's file, which is returned.

    ``changes`` are laid over the stages of those keys.
    """
    write_panoramas(folder / "images", [f"p{number:02d}" for number in range(count)])
    write_panoramas(folder / "target", [f"t{number:02d}" for number in range(targets)])
    for name in ("geometry", "classes"):
        (folder / f"{name}.json").write_text(json.dumps({"factor": 2.0}))
    stages = {
        "ingest": {"source": {"url": "images"}, "block_size": 2},
        "project": {"patch_size": 24, "layout": {"kind": "cubemap", "fov_degrees": 100}},
        "geometry": _teacher("geometry", ["depth", "normals"]),
        "classes": _teacher("classes", ["semantics"]),
        "fuse": {"height": 32},
        "evaluate": {},
        "train": {
            "size": "tiny", "backbone": "convnext", "settings": {"bottlenecks": 1, "bridges": False, "auxiliaries": False},
            "held_out": None, "height": 32, "batch": 2, "steps": 4, "learning_rate": 1e-3, "frozen_steps": 0,
            "log_every": 1, "checkpoint_every": 2,
        },
        "target": {"stage": "ingest", "source": {"url": "target"}, "block_size": 2},
        "student": {"stage": "predict", "model": "train", "panoramas": "target"},
        "student_score": {"stage": "evaluate", "labels": "student"},
        "adapt": {
            "model": "train", "panoramas": "target", "height": 32, "checkpoint_every": 1,
            "training": {
                "steps": 3, "batch_size": 2, "crop": [32, 64], "mixing": "none", "learning_rate": 1e-3, "rates": {},
            },
        },
        "adapted": {"stage": "predict", "model": "adapt", "panoramas": "target"},
        "adapted_score": {"stage": "evaluate", "labels": "adapted"},
    }  # fmt: skip
    laid = {key: {**values, **changes.get(key, {})} for key, values in stages.items()}
    execution = {"runner": {"workers": 2}, "pictures": 1, "device": "cpu"}
    path = folder / "chain.yaml"
    path.write_text(yaml.safe_dump({"name": "chain", "root": "store", "stages": laid, "execution": execution}, sort_keys=False))
    return path


def carry_out(config: Config, trial: Trial | None = None, retry: bool = False) -> Plan:
    """Read all sources, and make what a plan owes, stage by stage, in this process; the plan that was carried out."""
    for source in sources(config):
        scan = ingest.scan(source)
        ingest.save(source, scan.known, [check(entry, source.settings, None) for entry in scan.to_read])
    return carry_out_plan(config, make_plan(config, retry, trial=trial or Trial()))


def carry_out_plan(config: Config, plan: Plan) -> Plan:
    """Make what a plan owes of panoramas that are read."""
    for step in plan.chosen:
        for block in plan.owed_blocks(step):
            plan.receipts.keep(step.stage, step.stage.make(plan.job(step, block, "direct", config.execution)))
    return plan


def _teacher(name: str, fields: list[str]) -> dict[str, Any]:
    settings = {"weights": f"./{name}.json"}
    return {"stage": "label", "kind": "tests.support.brightness:load", "fields": fields, "settings": settings}
