"""predict: panoramas + a student -> ERP labels, in the form and in the place of those that ``fuse`` makes.

So whatever reads fused labels (evaluate, report, trace, publish, export, training) reads predictions too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from configs.settings import ConfigError
from geometry.fusion.sky import sky_class
from metrics.depth_normals import depth_normal_figures
from models.teachers.weights import digest_folder
from storage.items import Block, Item
from storage.receipts import Receipt
from tasks.ingest.images.resizing import resize_image
from tasks.ingest.observed import Observed, observed_of, require_observed, share
from tasks.ingest.panorama import decoded, load_panorama
from tasks.label.fuse import distances_to_store, encode_labels, fused_unit, require_labels
from tasks.predict.folder import FACES, model_type, refuse_no_student, student_about, student_folder, without_progress_bars
from tasks.predict.settings import Predict as Settings
from tasks.stage.block import run_block
from tasks.stage.devices import OutOfMemory, device_name, is_out_of_memory, resolve_device
from tasks.stage.job import BadItem, Job, Output
from tasks.stage.kind import Edge, Inputs, Kind, Stage
from tasks.stage.models import MODEL, about_models, model_url, outside_model

if TYPE_CHECKING:
    from models.student import StudentModel

VERSION = "5"

Arrays = dict[str, NDArray[Any]]
Say = Callable[[NDArray[np.uint8], Observed], tuple[Arrays, Mapping[str, float]]]
"""A panorama (H, W, 3) and what was photographed of it -> ERP labels, as ``fuse`` makes them, and more figures of the whole."""


def _weights(_settings: Settings, inputs: Inputs) -> dict[str, str]:
    outside = outside_model(inputs)
    return {} if outside is None else {"student": digest_folder(student_folder(outside))}


KIND = Kind(
    "predict",
    VERSION,
    Settings,
    {"panoramas": Edge("panoramas"), MODEL: Edge(MODEL, outside=True, anywhere=True)},
    "labels",
    make="tasks.predict.predict:predict_block",
    weights=_weights,
    facts=decoded,
    network=True,
    shows="tasks.label.shown:shows",
    check="tasks.predict.predict:refuse_misfit",
    summary="tasks.label.shown:summary",
    decode="tasks.label.values:values_of",
)


def refuse_misfit(stage: Stage, _blocks: Sequence[Block]) -> None:
    """Refuse a model from outside that is no student, before anything runs. ConfigError says what is wrong with it."""
    outside = outside_model(stage.inputs)
    if outside is not None:
        try:
            refuse_no_student(student_folder(outside))
        except ConfigError as error:
            raise ConfigError(f"stages.{stage.key}.{error}") from error


def predict_block(job: Job) -> Receipt:
    """Predict the labels of every panorama of a block."""
    settings: Settings = job.settings
    device = resolve_device(job.execution.device)
    folder = student_folder(model_url(job))
    weights, height = digest_folder(folder), rows_of(folder, settings)
    unit = fused_unit(student_about(folder).get("depth_unit", ""))
    network = cache(partial(load_network, folder, weights, device))
    if not job.all_copied:
        network()  # before any item is in hand: what is wrong with a model is no item's fault

    def read(_slot: int, item: Item) -> tuple[NDArray[np.uint8], Observed]:
        panorama = load_panorama(item, job.panoramas)
        return resize_image(panorama.pixels, height), observed_of(panorama, height)

    def predict_item(_item: Item, inputs: tuple[NDArray[np.uint8], Observed]) -> Output:
        image, observed = inputs
        require_observed(observed)
        labels, told = network()[1](image, observed)
        labels |= distances_to_store(labels, settings, metric=unit != "scale")
        require_labels(labels, observed)
        shares = {name: share(value, observed) for name, value in labels.items() if value.dtype == bool}
        figures = shares | depth_normal_figures(labels) | dict(told)
        return Output(labels, {name: round(value, 4) for name, value in figures.items()})

    def about() -> dict[str, Any]:
        own = {"classes": network()[0], "depth_unit": unit, "normals_frame": "world", "student": weights}
        return own | about_models(job)

    used = dict.fromkeys(job.identity.weights, weights)
    return run_block(job, predict_item, about, used, read, partial(encode_labels, settings=settings), device_name(device))


def load_network(folder: Path, weights: str, device: str) -> tuple[list[str], Say]:
    """The classes of the network in a folder, and what it says of panoramas. Raises as what loads it."""
    if model_type(folder) == FACES:
        from tasks.predict.faces import load_faces, said_of_faces

        return [], partial(said_of_faces, load_faces(folder, weights, device))
    model = load_student(folder, weights, device)
    return _classes(model), said_by_student(model, device)


def said_by_student(model: StudentModel, device: str) -> Say:
    """A student's labels of a panorama."""
    sky = sky_class(_classes(model))
    return lambda image, observed: (as_labels(predict(model, image, device), sky, observed), {})


def _classes(model: StudentModel) -> list[str]:
    return list((model.config.id2label or {}).values()) if "semantics" in model.config.main_tasks else []


def rows_of(folder: Path, settings: Settings) -> int:
    """Rows at which a student sees panoramas. ConfigError if neither the settings nor its folder say."""
    height = settings.height or student_about(folder).get("height")
    if height is None:
        raise ConfigError(f"predict.height: {folder} does not say at how many rows it was trained; give them")
    return int(height)


def predict(model: StudentModel, image: NDArray[np.uint8], device: str) -> dict[str, NDArray[np.float32]]:
    """What a student says of one panorama.

    Parameters
    ----------
    model : StudentModel
    image : (H, W, 3) uint8
    device : str

    Returns
    -------
    dict
        Of its main tasks: ``depth`` (H, W), ``normals`` (H, W, 3) unit, ``semantics`` (H, W, classes) probabilities; float32.

    Raises
    ------
    BadItem
        The student says what is no number.
    ConfigError
        It does not take panoramas of this size, and so none of the run's.
    OutOfMemory
        The device is too small for one.
    """
    import torch

    pixels = torch.from_numpy(image).to(device).permute(2, 0, 1)[None].float() / 255
    with torch.inference_mode():
        try:
            output = model(pixels)
        except ValueError as error:
            raise ConfigError(f"height: {str(error).removeprefix('pixel_values: ')}") from error
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            raise OutOfMemory(
                f"the device ran out of memory with a panorama of {len(image)} rows; lower height, or free memory on it"
            ) from error
    said = {task: output[task][0].float() for task in model.config.main_tasks}
    if bad := [task for task, values in said.items() if not bool(values.isfinite().all())]:
        raise BadItem(f"the student's {', '.join(bad)} of this panorama is NaN or infinite")
    if "semantics" in said:
        said["semantics"] = said["semantics"].softmax(0)
    arrays = {task: values.permute(1, 2, 0).cpu().numpy() for task, values in said.items()}
    return arrays | ({"depth": arrays["depth"][..., 0]} if "depth" in arrays else {})


def as_labels(said: Mapping[str, NDArray[np.float32]], sky: int | None, observed: Observed = None) -> dict[str, NDArray[Any]]:
    """Predictions as ERP labels (H, W[, 3]) of the stage ``fuse``; ``sky`` is the class without distance and normal.

    One look makes them: ``views`` is one, and ``depth_consistency`` zero, which means that there is nothing to agree with.
    Where the panorama was not ``observed`` (H, W), what the student makes of black is no label: all is invalid, and zero.
    """
    size = next(iter(said.values())).shape[:2]
    labels: dict[str, NDArray[Any]] = {"views": np.ones(size, np.uint8)}
    if "semantics" in said:
        labels |= _semantics(said["semantics"])
        if sky is not None:
            labels["sky"] = labels["semantics"] == sky
    land = ~labels["sky"] if "sky" in labels else np.ones(size, bool)
    for task, trust, value in (("depth", "consistency", 0), ("normals", "agreement", 255)):
        if task in said:
            kept = land if said[task].ndim == 2 else land[..., None]
            labels |= {task: np.where(kept, said[task], 0), f"{task}_valid": land.copy()}
            labels[f"{task}_{trust}"] = np.full(size, value, np.uint8)
    if observed is not None:
        for array in labels.values():
            array[~observed] = 0
    return labels


def _semantics(probability: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
    order = np.argsort(-probability, axis=-1, kind="stable")
    dtype = np.uint8 if probability.shape[-1] <= 256 else np.uint16
    best = np.take_along_axis(probability, order[..., :1], -1)[..., 0]
    return {
        "semantics": order[..., 0].astype(dtype),
        "semantics_valid": np.ones(best.shape, bool),
        "semantics_confidence": np.round(best * 255).astype(np.uint8),
        "semantics_runner_up": order[..., min(1, order.shape[-1] - 1)].astype(dtype),
    }


@lru_cache(maxsize=2)
def load_student(folder: Path, weights: str, device: str) -> StudentModel:
    """A student for prediction, loaded once for its weights and device.

    Raises
    ------
    ValueError
        The folder holds another kind of model.
    """
    import torch
    from transformers import AutoModel

    from models.student import StudentModel

    with without_progress_bars():
        model = AutoModel.from_pretrained(folder)
    if not isinstance(model, StudentModel):
        raise ValueError(f"model: {folder} holds a {type(model).__name__}, not a student of `panolabel train`")
    student: StudentModel = model.eval()
    return student.to(torch.device(device))  # type: ignore[arg-type]
