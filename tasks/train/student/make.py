"""A student made for labels, and saved as a folder with its model card."""

from __future__ import annotations

import tempfile
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError

from configs.settings import ConfigError
from models.student import StudentConfig, StudentModel
from models.student.configuration import tiny_config
from storage.entries import Entries
from tasks.label.teachers.licences import stated_licence
from tasks.predict.folder import without_progress_bars
from tasks.stage.job import Job
from tasks.train.student.folder import stored_folder
from tasks.train.student.model_card import STUDENT
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
        return stored_folder(folder, job, about, STUDENT, _backbone(job.settings))


def _backbone(config: TrainStudent) -> str:
    """Where the first weights come from, for the model card."""
    kind = config.settings.get("backbone_config", {}).get("model_type", config.backbone)
    if config.pretrained is None:
        return f"{kind}, from scratch"
    licence = config.licence or stated_licence(config.pretrained)
    return f"{kind}, from the weights in `{config.pretrained}`; licence: {licence}"
