"""Source and adapted models in the store: read from any URL, known by the digest of their files."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from models.seamless.saved import CONFIG, WEIGHTS, SeamlessModel, model_files, model_of_files
from models.seamless.semantic import SemanticNetwork
from storage.entries import Entries, write_file
from storage.fingerprint import canonical_json, digest
from storage.urls import join, read_bytes
from tasks.seamless.student_model import is_student, knows_faces, student_files, student_of_files
from tasks.stage.job import Job
from tasks.stage.kind import Inputs, Stage
from tasks.stage.models import MODEL, made_model, model_url, outside_model

FILES = (CONFIG, WEIGHTS)


class BadModel(ValueError):
    """A folder that holds no seamless network and no student; the message says what is wrong with it."""


def model_digest(url: str) -> str:
    """sha256 over the model's files.

    Raises
    ------
    BadModel
        A file is missing.
    """
    return _digest(_read(url))


def read_model(url: str, planned: str) -> SeamlessModel:
    """The model in a folder, on the CPU.

    Raises
    ------
    BadModel
        It cannot be read.
    RuntimeError
        Its files are not those of the ``planned`` digest.
    """
    files = _read(url)
    if knows_faces(files):
        raise BadModel(f"{url}: holds a network of six faces, which says geometry and no classes, and these alone are adapted")
    if (found := _digest(files)) != planned:
        raise RuntimeError(f"{url}: the model changed since the run was planned ({planned[:12]} -> {found[:12]}); run again")
    try:
        return student_of_files(files) if is_student(files) else model_of_files(files)
    except ValueError as error:
        raise BadModel(f"{url}: {error}") from error


@lru_cache(maxsize=2)
def loaded_model(url: str, planned: str, device: str) -> SeamlessModel:
    """:func:`read_model` on a device, kept for the next block. Nobody may train it."""
    model = read_model(url, planned)
    model.network.to(device).eval()
    return model


def outside_weights(_settings: Any, inputs: Inputs) -> dict[str, str]:
    """The digest of a source model from outside the pipeline, for fingerprints."""
    outside = outside_model(inputs)
    return {} if outside is None else {MODEL: model_digest(outside)}


def source_model(job: Job) -> tuple[str, str]:
    """Folder and digest of the model that a job reads, whoever made it."""
    if outside_model(job.stage.inputs) is not None:
        return model_url(job), job.identity.weights[MODEL]
    read = job.input(MODEL)
    return model_of_block(read, job.stage.block_of(read, job.block.name))


def model_of_block(stage: Stage, block: str) -> tuple[str, str]:
    """Folder and digest of the model that a stage made as one of its blocks."""
    url, receipt = made_model(stage, block)
    return url, digest(canonical_json({name: receipt.files[f"{MODEL}/{name}"]["sha256"] for name in FILES}))


def write_model(url: str, name: str, model: SeamlessModel, about: Mapping[str, Any]) -> tuple[str, Entries]:
    """Write a model's folder ``name`` below a block's; returns its digest, and its files for the receipt.

    ``about`` is told beside a student's weights.
    """
    network = model.network
    files = student_files(network, about) if isinstance(network, SemanticNetwork) else model_files(model)
    entries: Entries = {}
    for file, data in files.items():
        entries |= write_file(url, f"{name}/{file}", data)
    return _digest({file: files[file] for file in FILES}), entries


def _read(url: str) -> dict[str, bytes]:
    try:
        return {name: read_bytes(join(url, name)) for name in FILES}
    except FileNotFoundError as error:
        raise BadModel(f"model {url}: must be a folder that holds {' and '.join(FILES)} ({error})") from error


def _digest(files: dict[str, bytes]) -> str:
    return digest(canonical_json({name: digest(data) for name, data in files.items()}))
