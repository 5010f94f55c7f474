"""A small real pipeline in a folder: panoramas, config, runs through the real flow."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml

from configs.pipeline import Config
from tasks.ingest import ingest
from tasks.ingest.check import check_entry
from tasks.migration import migrated
from tasks.pipeline import load as load_pipeline
from tasks.pipeline import sources
from tasks.stage.job import Job


def write_panoramas(folder: Path, names: list[str], height: int = 48) -> None:
    """Smooth random panoramas, seeded by their names."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        generator = np.random.default_rng(list(name.encode()))
        coarse = generator.integers(0, 256, (6, 12, 3)).astype(np.uint8)
        cv2.imwrite(str(folder / f"{name}.png"), cv2.resize(coarse, (2 * height, height), interpolation=cv2.INTER_CUBIC))


def write_pipeline(folder: Path, count: int = 5, **changes: Any) -> Path:
    """Panoramas ``p00``, ``p01``, ..., two teachers (``geometry`` and ``classes``), and a config; returns the config's path."""
    write_panoramas(folder / "images", [f"p{number:02d}" for number in range(count)])
    for name in ("geometry", "classes"):
        (folder / f"{name}.json").write_text(json.dumps({"factor": 2.0}))
    data = {
        "name": "small",
        "root": str(folder / "store"),
        "source": {"url": str(folder / "images")},
        "block_size": 2,
        "project": {"patch_size": 24, "layout": {"kind": "cubemap", "fov_degrees": 100}},
        "teachers": [
            _teacher(folder, "geometry", ["depth", "normals"]),
            _teacher(folder, "classes", ["semantics"]),
        ],
        "fuse": {"height": 32},
        "execution": {"runner": {"workers": 2}, "pictures": 1},
    }
    path = folder / "small.yaml"
    path.write_text(yaml.safe_dump(migrated({**data, **changes}), sort_keys=False))
    return path


def _teacher(folder: Path, name: str, fields: list[str]) -> dict[str, Any]:
    settings = {"weights": str(folder / f"{name}.json")}
    return {"name": name, "kind": "tests.support.brightness:load", "fields": fields, "settings": settings}


def run_pipeline(config: Config, retry: bool | list[str] = False, only: dict[str, list[str]] | None = None) -> dict[str, Any]:
    """Run the real flow on the server that ``PREFECT_API_URL`` names, and return the record of the run."""
    from flows.pipeline import pipeline
    from flows.stores.record import new_run_name

    return pipeline(config, new_run_name(config.name), retry, only)


def make_owed(config: Config) -> dict[str, int]:
    """Make what is owed, without Prefect's server, which adds nothing to it and takes seconds; blocks made, by stage."""
    from flows.plan import make_plan

    for source in sources(config):
        scan = ingest.scan(source)
        if scan.to_read:
            ingest.save(source, scan.known, [check_entry(entry, source.settings) for entry in scan.to_read])
    plan, made = make_plan(config), {}
    for step in plan.steps:
        for block in plan.owed_blocks(step):
            step.stage.make(Job(step.stage, block, "test", config.execution))
            made[step.key] = made.get(step.key, 0) + 1
    return made


def make_all(config: Config) -> dict[str, int]:
    """:func:`make_owed` of stages whose items others tell as they are made: each is planned once those before it are made."""
    from flows.plan import make_plan

    for source in sources(config):
        scan = ingest.scan(source)
        if scan.to_read:
            ingest.save(source, scan.known, [check_entry(entry, source.settings) for entry in scan.to_read])
    made: dict[str, int] = {}
    while True:
        plan = make_plan(config)
        step = next((step for step in plan.steps if plan.owed_blocks(step)), None)
        if step is None:
            return made
        for block in plan.owed_blocks(step):
            step.stage.make(plan.job(step, block, "test", config.execution))
            made[step.key] = made.get(step.key, 0) + 1


def keep(path: Path) -> None:
    """Keep a pipeline's folder as it is now, beside it."""
    shutil.copytree(path.parent, path.parent.with_suffix(".kept"))


def restore(path: Path) -> Path:
    """The pipeline's folder as it was kept, at the same place, since fingerprints hold paths: cheaper than another run."""
    shutil.rmtree(path.parent)
    shutil.copytree(path.parent.with_suffix(".kept"), path.parent)
    return path


def load(path: Path, **overrides: Any) -> Config:
    """The config with dotted overrides; double underscores stand for dots; ``source``, ``block_size``: those of ``ingest``."""
    dotted = {key.replace("__", "."): value for key, value in overrides.items()}
    own = {f"ingest.{key}" if key.split(".")[0] in ("source", "block_size") else key: value for key, value in dotted.items()}
    return load_pipeline(path, own)


def without_fingerprints(root: Path) -> dict[str, bytes]:
    """:func:`data_bytes` by stage, block and file: fingerprints hold paths, which differ between two folders."""
    return {f"{name.split('/')[1]}/{'/'.join(name.split('/')[3:])}": data for name, data in data_bytes(root).items()}


def data_bytes(root: Path) -> dict[str, bytes]:
    """Every stored data file of every block that has a receipt, without what killed writers left: relative path -> bytes."""
    files = {}
    for receipt in sorted((root / "stages").rglob("receipt.json")):
        for path in sorted(receipt.parent.rglob("*")):
            own = ("receipt.json", "attempts.json")  # a run killed after its receipt leaves its attempt
            if path.is_file() and path.name not in own and not path.name.startswith(".") and path.suffix != ".partial":
                files[str(path.relative_to(root))] = path.read_bytes()
    return files
