"""A student as a folder: made for labels, saved with its model card, opened again."""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import fields
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from huggingface_hub.errors import StrictDataclassError
from transformers import AutoModel

from configs.schema import ConfigError
from models.student import StudentConfig, StudentModel
from models.student.configuration import tiny_config
from models.teachers.weights import digest_folder
from storage.fingerprint import digest
from storage.urls import children, exists, is_local, join, read_bytes, write_bytes
from tasks.model_card import model_card
from tasks.training_config import TrainingConfig

if TYPE_CHECKING:
    from tasks.train import Training

ABOUT = "panolabel.json"
"""File beside the weights: what they were trained on, and how they want to be used."""


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
    model: StudentModel, url: str, about: dict[str, Any], training: Training
) -> tuple[str, dict[str, dict[str, Any]]]:
    """Write the transformers folder with model card; returns the weights' digest, and size and sha256 of its files."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        model.save_pretrained(folder)
        weights = digest_folder(folder)
        told = {**about, "weights": weights, "name": training.config.name, "fingerprint": training.identity.fingerprint}
        (folder / ABOUT).write_text(json.dumps(told, indent=1, ensure_ascii=False), encoding="utf-8")
        (folder / "README.md").write_text(model_card(told, training.config), encoding="utf-8")
        entries = {}
        for path in sorted(folder.iterdir()):
            data = path.read_bytes()
            write_bytes(join(url, path.name), data)
            entries[f"model/{path.name}"] = {"bytes": len(data), "sha256": digest(data)}
    return weights, entries


def student_folder(url: str) -> Path:
    """A student's folder on the local disk; one from elsewhere is copied to the temporary folder, under its weights' digest.

    Raises
    ------
    FileNotFoundError
        There is no saved student.
    """
    if not exists(join(url, "config.json")) or not any(name.endswith(".safetensors") for name in children(url)):
        raise FileNotFoundError(f"model: {url} holds no student; give the folder `model` that `panolabel train` names at its end")
    if is_local(url):
        return Path(url)
    return _copied(url, digest(read_bytes(join(url, ABOUT)) if exists(join(url, ABOUT)) else url.encode()))


@lru_cache(maxsize=8)
def _copied(url: str, content: str) -> Path:
    target = Path(tempfile.gettempdir()) / f"panolabel-student-{content[:16]}"
    if not target.exists():
        part = Path(tempfile.mkdtemp(dir=target.parent))
        for name in children(url):
            (part / name).write_bytes(read_bytes(join(url, name)))
        if not target.exists():
            part.rename(target)
        else:
            shutil.rmtree(part)
    return target


def student_about(folder: Path) -> dict[str, Any]:
    """What a student's folder says of it; empty for one that was saved by hand."""
    return json.loads((folder / ABOUT).read_text(encoding="utf-8")) if (folder / ABOUT).exists() else {}


@lru_cache(maxsize=2)
def load_student(folder: Path, weights: str, device: str) -> StudentModel:
    """A student for prediction, loaded once for its weights and device.

    Raises
    ------
    ValueError
        The folder holds another kind of model.
    """
    model = AutoModel.from_pretrained(folder)
    if not isinstance(model, StudentModel):
        raise ValueError(f"model: {folder} holds a {type(model).__name__}, not a student of `panolabel train`")
    student: StudentModel = model.eval()
    return student.to(torch.device(device))  # type: ignore[arg-type]
