"""Where a student's labels come from: the stores, the weights of their teachers, their licences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from storage.credentials import mask_credentials
from storage.receipts import block_url, read_dropped, read_receipt
from tasks.label.fuse import fused_unit
from tasks.train.labels.data import LabelStore
from tasks.train.student.licences import UNKNOWN, stated_licence
from tasks.train.student.settings import LabelSource


def about_labels(stores: Sequence[LabelStore], sources: Sequence[LabelSource]) -> list[dict[str, Any]]:
    """For every store: name, root, fingerprint of its labels, panoramas, weight, licence, and the weights that made them."""
    return [
        {
            "name": store.config.name,
            "root": mask_credentials(store.config.root),
            "source": mask_credentials(store.config.source.url),
            "fingerprint": store.blocks[0][2].fingerprint,
            "blocks": len(store.blocks),
            "panoramas": sum(row.state == "done" for _, _, receipt in store.blocks for row in receipt.items),
            "weight": store.weight,
            "licence": source.licence,
            "teachers": _teachers(store),
        }
        for store, source in zip(stores, sources, strict=True)
    ]


def _teachers(store: LabelStore) -> list[dict[str, Any]]:
    """Name, model, digest and licence of all weights behind a store's labels; those whose receipt is gone are not known."""
    fused = store.blocks[0][2]
    own = fused.made.get("identity", {})
    student = "" if store.config.student is None else store.config.student.model
    found = [_teacher(name, weights, {"model": student or name}) for name, weights in own.get("weights", {}).items()]
    for stage, fingerprint in own.get("upstream", {}).items():
        url = block_url(store.config.root, stage, fingerprint, fused.block)
        receipt = read_receipt(url) or read_dropped(url) if stage.startswith("label.") else None
        identity = receipt.made["identity"] if receipt else {"weights": {}, "settings": {}}
        settings = {"kind": identity["settings"].get("kind", ""), **identity["settings"].get("settings", {})}
        found += [_teacher(name, weights, settings) for name, weights in identity["weights"].items()]
    return found


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
        told = ", ".join(f"{store.config.name}: {unit or 'none'}" for store, unit in zip(stores, units))
        raise ValueError(f"the stores' distances have different units ({told}); train depth from stores of one unit")
    return units[0]
