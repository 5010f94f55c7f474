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
from storage.fingerprint import digest
from storage.urls import join, write_bytes
from tasks.predict.folder import ABOUT, without_progress_bars
from tasks.train.student.model_card import model_card
from tasks.train.student.settings import TrainingConfig


def make_student(config: TrainingConfig, classes: tuple[str, ...]) -> StudentModel:
    """A student for these labels; its first weights follow from the seed, those of the backbone are not loaded yet.

    Raises
    ------
    ConfigError
        Unknown or contradictory settings, or rows that the student cannot take.
    """
    chosen, known = config.model.settings, {field.name for field in fields(StudentConfig)}
    if unknown := sorted(set(chosen) - known):
        raise ConfigError(f"model.settings: unknown {', '.join(unknown)}; docs/student.md has the table of the switches")
    names = classes if "semantics" in config.tasks else ()
    torch.manual_seed(config.training.seed)
    try:
        if config.model.size == "tiny":
            made = tiny_config(config.model.backbone, names, **{"main_tasks": config.tasks, **chosen})
        else:
            made = StudentConfig(id2label=dict(enumerate(names)), **{"main_tasks": config.tasks, **chosen})
        model = StudentModel(made)
    except (ValueError, TypeError, StrictDataclassError) as error:
        raise ConfigError(f"model: {error}") from error
    step = model.backbone.multiple
    if config.height % step:
        nearest = max(step, round(config.height / step) * step)
        raise ConfigError(f"height: {config.height} rows are not a multiple of this student's {step}; write height: {nearest}")
    return model


def save_student(
    model: StudentModel, url: str, about: dict[str, Any], config: TrainingConfig, fingerprint: str
) -> tuple[str, dict[str, dict[str, Any]]]:
    """Write the transformers folder with model card; returns the weights' digest, and size and sha256 of its files."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        with without_progress_bars():
            model.save_pretrained(folder)
        weights = digest_folder(folder)
        told = {**about, "weights": weights, "name": config.name, "fingerprint": fingerprint}
        (folder / ABOUT).write_text(json.dumps(told, indent=1, ensure_ascii=False), encoding="utf-8")
        (folder / "README.md").write_text(model_card(told, config), encoding="utf-8")
        entries = {}
        for path in sorted(folder.iterdir()):
            data = path.read_bytes()
            write_bytes(join(url, path.name), data)
            entries[f"model/{path.name}"] = {"bytes": len(data), "sha256": digest(data)}
    return weights, entries
