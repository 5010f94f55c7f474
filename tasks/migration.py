"""Configs as panolabel 0.1 wrote them, in the form of today: one file of stages."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from configs.places import path_from, seen_from, with_paths
from configs.reading import folder_of, read_settings
from configs.settings import ConfigError

OLD_KEYS = ("source", "teachers", "student", "project", "fuse", "label", "evaluate", "audit", "model", "stores", "data")
"""Top-level keys of files before there were stages."""
NOTE = "# Relative paths start where this file lies. Not carried over: comments, and where a trained model was put."
FRAME = ("name", "root", "execution")
APART_FROM_TRAIN = ("name", "root", "stores", "model", "training", "log_level")


def refuse_old_form(path: str | Path, values: Mapping[str, Any]) -> None:
    """Raise ConfigError, with the form of today ready to paste, if a file says what panolabel 0.1 wrote."""
    old = [key for key in OLD_KEYS if key in values]
    if old and "stages" not in values:
        raise ConfigError(
            f"config {path}: has no stages, but {', '.join(sorted(old))} as panolabel 0.1 wrote them; "
            f"`panolabel migrate {shlex.quote(str(path))}` prints it in the form of today:\n\n{_text(path, values)}"
        )


def migrated_file(path: str | Path) -> str:
    """The YAML text of a file in the form of today; its paths, which were those of the working directory, as the file sees them.

    Raises
    ------
    ConfigError
        It cannot be read, or its values are not those of an old config either.
    """
    return _text(path, read_settings(path))


def _text(path: str | Path, values: Mapping[str, Any]) -> str:
    try:
        new = migrated(values, folder_of(path))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"config {path}: has no stages, and is no config of panolabel 0.1 either; give it stages") from error
    return f"{NOTE}\n{yaml.safe_dump(new, sort_keys=False, allow_unicode=True, width=120)}"


def migrated(old: Mapping[str, Any], folder: str = "") -> dict[str, Any]:
    """The values of an old config as a pipeline: of a labelling, of predictions, of an adaptation, or of a training."""
    if "stages" in old:
        return dict(old)
    if "stores" in old:
        return _training(old, folder)
    if "data" in old and "output" in old:
        return _source_training(old, folder)
    stages = {"ingest": _ingest(old, folder)}
    if "model" in old and not old.get("teachers"):
        stages |= _adaptation(old, folder)
    elif old.get("student"):
        stages |= _prediction(old, folder)
    else:
        stages |= _labelling(old, folder)
    return _framed(old, folder, stages)


def _framed(old: Mapping[str, Any], folder: str, stages: dict[str, Any]) -> dict[str, Any]:
    frame = {key: old[key] for key in FRAME if key in old and key != "root"}
    root = {"root": seen_from(folder, old["root"])} if isinstance(old.get("root"), str) else {}
    execution = dict(frame.pop("execution", None) or {})
    if execution.pop("keep_patch_labels", True) is False:
        stages = {key: {**said, "keep": "until_read"} if said.get("stage") == "label" else said for key, said in stages.items()}
    if "blocks_per_flow_run" in execution:
        execution["task_runs_per_flow_run"] = execution.pop("blocks_per_flow_run")
    return {**frame, **root, "stages": stages, **({"execution": execution} if execution else {})}


def _ingest(old: Mapping[str, Any], folder: str) -> dict[str, Any]:
    places = ("url", "root", "truth")
    source = {
        key: seen_from(folder, value) if key in places and isinstance(value, str) else value
        for key, value in dict(old.get("source") or {}).items()
    }
    block_size = {"block_size": old["block_size"]} if "block_size" in old else {}
    return {"source": source, **block_size, **dict(old.get("ingest") or {})}


def _labelling(old: Mapping[str, Any], folder: str) -> dict[str, Any]:
    rotations = dict(old.get("label") or {})
    described = with_paths(list(old.get("teachers") or ()), partial(path_from, folder))
    teachers = {
        one["name"]: {"stage": "label", **{key: value for key, value in one.items() if key != "name"}, **rotations}
        for one in described
    }
    audit = dict(old.get("audit") or {})
    audited = {"audit": {key: value for key, value in audit.items() if key != "enabled"}} if audit.get("enabled") else {}
    return {
        "project": dict(old.get("project") or {}),
        **teachers,
        "fuse": dict(old.get("fuse") or {}),
        "evaluate": dict(old.get("evaluate") or {}),
        **audited,
    }


def _prediction(old: Mapping[str, Any], folder: str) -> dict[str, Any]:
    stored = {key: value for key, value in dict(old.get("fuse") or {}).items() if key in ("depth_dtype", "normals_dtype")}
    student = {key: value for key, value in old["student"].items() if value is not None}
    own = {**student, "model": path_from(folder, student["model"]), **stored}
    return {"predict": own, "evaluate": dict(old.get("evaluate") or {})}


def _adaptation(old: Mapping[str, Any], folder: str) -> dict[str, Any]:
    own = {key: old[key] for key in ("height", "omni", "pool", "training", "checkpoint_every") if key in old}
    stages: dict[str, Any] = {}
    labels = {}
    if old.get("predictions"):
        stages["labels"] = {"stage": "from", "config": seen_from(folder, old["predictions"]), "of": "fuse"}
        labels = {"labels": "labels"}
    stages["adapt"] = {"model": path_from(folder, str(old["model"])), **labels, **own}
    if dict(old.get("source") or {}).get("truth"):
        stages["compare"] = dict(old.get("scoring") or {})
    return stages


def _training(old: Mapping[str, Any], folder: str) -> dict[str, Any]:
    stages: dict[str, Any] = {}
    shares: dict[str, float] = {}
    licences: dict[str, str] = {}
    for one in old["stores"]:
        key = _key(Path(one["config"]).stem, stages)
        more = {name: value for name, value in (("set", one.get("set")), ("incomplete", one.get("allow_incomplete"))) if value}
        stages[key] = {"stage": "from", "config": seen_from(folder, one["config"]), "of": "fuse", **more}
        shares[key] = one.get("weight", 1.0)
        licences |= {key: one["licence"]} if "licence" in one else {}
    own = {key: value for key, value in old.items() if key not in APART_FROM_TRAIN}
    training = dict(old.get("training") or {})
    device = training.pop("device", None)
    student = dict(old.get("model") or {})
    if isinstance(student.get("pretrained"), str):
        student["pretrained"] = seen_from(folder, student["pretrained"])
    labels: Any = shares if len(set(shares.values())) > 1 else list(shares)
    stages["train"] = {"labels": labels, **({"licences": licences} if licences else {}), **own, **student, **training}
    execution = ({"device": device} if device else {}) | ({"log_level": old["log_level"]} if "log_level" in old else {})
    return _framed({**old, **({"execution": execution} if execution else {})}, folder, stages)


def _source_training(old: Mapping[str, Any], folder: str) -> dict[str, Any]:
    own = {key: value for key, value in old.items() if key not in ("output", "device")}
    for key in ("data", "validation"):
        if isinstance(own.get(key), Mapping) and isinstance(own[key].get("root"), str):
            own[key] = {**own[key], "root": seen_from(folder, own[key]["root"])}
    device = {"execution": {"device": old["device"]}} if "device" in old else {}
    name = re.sub(r"[^a-z0-9_]+", "_", Path(str(old["output"])).name.lower()).strip("_") or "network"
    return {"name": name, "root": seen_from(folder, old["output"]), "stages": {"train": {"kind": "seamless", **own}}, **device}


def _key(name: str, taken: Mapping[str, Any]) -> str:
    """A key for a label set, made of its file's name."""
    plain = re.sub(r"[^a-z0-9_]+", "_", name.lower()).strip("_")
    key = plain if re.match(r"[a-z]", plain) else f"labels_{plain}".rstrip("_")
    while key in taken or key == "train":
        key += "_2"
    return key
