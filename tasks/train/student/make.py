"""A student made for labels, and saved as a folder with its model card."""

from __future__ import annotations

import json
import tempfile
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError

from configs.settings import ConfigError
from models.student import StudentConfig, StudentModel
from models.student.configuration import tiny_config
from models.teachers.weights import digest_folder
from storage.entries import Entries, write_file
from tasks.predict.folder import ABOUT, without_progress_bars
from tasks.stage.job import Job
from tasks.stage.models import MODEL
from tasks.train.student.model_card import model_card
from tasks.train.student.settings import TrainStudent


def make_student(config: TrainStudent, classes: tuple[str, ...]) -> StudentModel:
    """A student for these labels; its first weights follow from the seed, those of the backbone are not loaded yet.

    Raises
    ------
    ConfigError
        Unknown or contradictory settings, or rows that the student cannot take.
    """
    chosen, known = config.settings, {field.name for field in fields(StudentConfig)}
    if unknown := sorted(set(chosen) - known):
        raise ConfigError(f"settings: unknown {', '.join(unknown)}; docs/student.md has the table of the switches")
    names = classes if "semantics" in config.tasks else ()
    torch.manual_seed(config.seed)
    try:
        if config.size == "tiny":
            made = tiny_config(config.backbone, names, **{"main_tasks": config.tasks, **chosen})
        else:
            made = StudentConfig(id2label=dict(enumerate(names)), **{"main_tasks": config.tasks, **chosen})
        model = StudentModel(made)
    except (ValueError, TypeError, StrictDataclassError) as error:
        raise ConfigError(f"settings: {error}") from error
    step = model.backbone.multiple
    if config.height % step:
        nearest = max(step, round(config.height / step) * step)
        raise ConfigError(f"height: {config.height} rows are not a multiple of this student's {step}; write height: {nearest}")
    return model


def save_student(model: StudentModel, job: Job, about: dict[str, Any]) -> tuple[str, Entries]:
    """Write the transformers folder with model card; returns the weights' digest, and the entries of its files."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        with without_progress_bars():
            model.save_pretrained(folder)
        weights = digest_folder(folder)
        told = {**about, "weights": weights, "name": job.stage.key, "fingerprint": job.identity.fingerprint}
        (folder / ABOUT).write_text(json.dumps(told, indent=1, ensure_ascii=False), encoding="utf-8")
        (folder / "README.md").write_text(model_card(told, job.settings), encoding="utf-8")
        entries: Entries = {}
        for path in sorted(folder.iterdir()):
            entries |= write_file(job.url, f"{MODEL}/{path.name}", path.read_bytes())
    return weights, entries
