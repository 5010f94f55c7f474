"""The folder of a saved student, or of a cubemap network that was trained here, found wherever it lies."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from configs.settings import ConfigError
from storage.fingerprint import digest
from storage.urls import children, exists, is_local, join, read_bytes

STUDENT = "panolabel_student"
"""What the config of a student says of its kind."""
FACES = "panolabel_cubemap"
"""The same of a network that sees six faces."""
ABOUT = "panolabel.json"
"""File beside the weights: what they were trained on, and how they want to be used."""


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


def refuse_no_student(folder: Path) -> None:
    """Look, without loading it, whether a folder can be a student's.

    Raises
    ------
    ConfigError
        Its config is that of no model that predicts, or its weights are no safetensors.
    """
    said = model_type(folder)
    if said not in (STUDENT, FACES):
        raise ConfigError(
            f"model: {folder} holds no student (model_type in config.json is {said!r}, not {STUDENT!r} or {FACES!r})"
        )
    for weights in sorted(folder.glob("*.safetensors")):
        try:
            with safe_open(weights, "numpy"):
                pass
        except (SafetensorError, OSError) as error:
            raise ConfigError(f"model: {weights} is damaged ({error}); copy or train the student again") from error


def model_type(folder: Path) -> str | None:
    """What the config in a folder says of the kind of its model; None if it says nothing."""
    try:
        config = json.loads((folder / "config.json").read_bytes())
    except ValueError:
        return None
    return config.get("model_type") if isinstance(config, dict) else None


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


@contextmanager
def without_progress_bars() -> Iterator[None]:
    """Keep transformers from drawing bars where it reads and writes weights."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()
