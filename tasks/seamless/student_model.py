"""Students of ``panolabel train`` as source models: folders that transformers wrote, in and out."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError

from models.seamless.saved import CONFIG, WEIGHTS, SeamlessModel
from models.seamless.semantic import SemanticNetwork
from models.student import StudentConfig, StudentModel
from storage.urls import exists, join, read_bytes
from tasks.predict.folder import ABOUT, FACES, without_progress_bars

KEPT = ("depth_unit", "normals_frame")


def is_student(files: Mapping[str, bytes]) -> bool:
    """Whether the files of a model's folder are those of a student."""
    return _model_type(files) == StudentConfig.model_type


def knows_faces(files: Mapping[str, bytes]) -> bool:
    """Whether they are those of a network that sees six faces, which is no source model."""
    return _model_type(files) == FACES


def kept_of_student(url: str) -> dict[str, Any]:
    """What a student's folder says that holds after an adaptation too: the unit of its distances and the frame of its normals."""
    told = json.loads(read_bytes(join(url, ABOUT))) if exists(join(url, ABOUT)) else {}
    return {name: told[name] for name in KEPT if name in told}


def student_of_files(files: Mapping[str, bytes]) -> SeamlessModel:
    """The student as a network of classes alone, on the CPU and in evaluation mode.

    Raises
    ------
    ValueError
        The files do not fit together, or the student says no semantics.
    """
    with tempfile.TemporaryDirectory() as folder:
        for name in (CONFIG, WEIGHTS):
            Path(folder, name).write_bytes(files[name])
        try:
            with without_progress_bars():
                student, loaded = _loaded(folder)
        except (OSError, RuntimeError, TypeError, KeyError, StrictDataclassError, SafetensorError) as error:
            raise ValueError(f"this is no saved student: {str(error)[:300]}") from error
    if missing := sorted(loaded["missing_keys"]):
        raise ValueError(f"this is no whole student: {len(missing)} of its weights are missing, {missing[0]} the first")
    network = SemanticNetwork(student.eval()).eval()
    # A student normalises its images itself.
    return SeamlessModel(network, tuple((student.config.id2label or {}).values()), (0.0,) * 3, (1.0,) * 3)


def _model_type(files: Mapping[str, bytes]) -> Any:
    try:
        return json.loads(files[CONFIG]).get("model_type")
    except (ValueError, AttributeError):
        return None


def _loaded(folder: str) -> tuple[StudentModel, Mapping[str, Any]]:
    return StudentModel.from_pretrained(folder, output_loading_info=True)  # type: ignore[return-value]


def student_files(network: SemanticNetwork, about: Mapping[str, Any]) -> dict[str, bytes]:
    """The files of a student's folder by name; ``about`` is what is told beside the weights, ``height`` for one."""
    with tempfile.TemporaryDirectory() as folder:
        with without_progress_bars():
            network.student.save_pretrained(folder)
        files = {name: Path(folder, name).read_bytes() for name in (CONFIG, WEIGHTS)}
    return {**files, ABOUT: (json.dumps(about, indent=1, ensure_ascii=False) + "\n").encode()}
