"""Where a student's labels come from: the stores, the weights of their teachers, their licences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from storage.credentials import mask_credentials
from tasks.label.fuse import fused_unit
from tasks.label.teachers.licences import UNKNOWN, stated_licence
from tasks.stage.kind import Outside, Stage
from tasks.train.labels.data import LabelStore


def about_labels(stores: Sequence[LabelStore], licences: Mapping[str, str]) -> list[dict[str, Any]]:
    """For every store: name, root, fingerprint of its labels, panoramas, weight, licence, and the weights that made them."""
    return [
        {
            "name": store.stage.key,
            "root": mask_credentials(store.stage.root),
            "source": mask_credentials(store.stage.origin.settings.source.url),
            "fingerprint": store.stage.identity.fingerprint,
            "blocks": len(store.blocks),
            "panoramas": sum(receipt.done for _, _, receipt in store.blocks),
            "weight": store.weight,
            "licence": licences.get(store.stage.key, UNKNOWN),
            "teachers": _teachers(store.stage),
        }
        for store in stores
    ]


def _teachers(stage: Stage) -> list[dict[str, Any]]:
    """Name, model, digest and licence of all weights behind a stage's output."""
    settings = {"kind": getattr(stage.settings, "kind", ""), **getattr(stage.settings, "settings", {})}
    read = [one for found in stage.inputs.values() for one in found]
    model = next((one.reference for one in read if isinstance(one, Outside)), None)
    settings |= {"model": model} if model is not None else {}
    own = [_teacher(name, weights, settings) for name, weights in stage.identity.weights.items()]
    behind = [teacher for one in read if isinstance(one, Stage) for teacher in _teachers(one)]
    return [*own, *(teacher for teacher in behind if teacher not in own)]


def _teacher(name: str, weights: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    place = str(settings.get("model") or settings.get("file") or settings.get("weights") or "")
    licence = stated_licence(place, settings.get("revision")) if place else UNKNOWN
    model = mask_credentials(place or str(settings.get("kind", "")))
    return {"name": name, "model": model, "weights": weights, "licence": licence}


def depth_unit(stores: Sequence[LabelStore]) -> str:
    """The unit of all stores' distances.

    Raises
    ------
    ValueError
        Stores disagree: their distances cannot be learnt together.
    """
    units = [fused_unit(store.about.get("depth_unit", "")) for store in stores]
    if len(set(units)) > 1:
        told = ", ".join(f"{store.stage.key}: {unit or 'none'}" for store, unit in zip(stores, units))
        raise ValueError(f"the stores' distances have different units ({told}); train depth from stores of one unit")
    return units[0]
