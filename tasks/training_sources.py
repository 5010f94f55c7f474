"""Where a student's labels come from: the stores, the weights of their teachers, their licences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from storage.credentials import mask_credentials
from storage.receipts import Receipt, block_url, read_dropped, read_receipt
from tasks.training_config import LabelSource
from tasks.training_data import LabelStore


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
            "teachers": _teachers(store.config.root, store.blocks[0][2]),
        }
        for store, source in zip(stores, sources, strict=True)
    ]


def _teachers(root: str, fused: Receipt) -> list[dict[str, Any]]:
    """Name, model and digest of all weights behind a fused block; those of labels whose receipt is gone are not known."""
    own = fused.made.get("identity", {})
    found = [{"name": name, "model": name, "weights": weights} for name, weights in own.get("weights", {}).items()]
    for stage, fingerprint in own.get("upstream", {}).items():
        url = block_url(root, stage, fingerprint, fused.block)
        receipt = read_receipt(url) or read_dropped(url) if stage.startswith("label.") else None
        identity = receipt.made["identity"] if receipt else {"weights": {}, "settings": {}}
        settings = identity["settings"].get("settings", {})
        model = str(settings.get("model") or settings.get("file") or identity["settings"].get("kind", ""))
        found += [{"name": name, "model": model, "weights": weights} for name, weights in identity["weights"].items()]
    return found


def depth_unit(stores: Sequence[LabelStore]) -> str:
    """The unit of all stores' distances.

    Raises
    ------
    ValueError
        Stores disagree: their distances cannot be learnt together.
    """
    units = {store.config.name: store.blocks[0][2].about.get("depth_unit", "") for store in stores}
    if len(set(units.values())) > 1:
        told = ", ".join(f"{name}: {unit or 'none'}" for name, unit in units.items())
        raise ValueError(f"the stores' distances have different units ({told}); train depth from stores of one unit")
    return next(iter(units.values()))
