"""adapt: the stages that one entry of a pipeline stands for, from what the source model says to the model that learned from it.

What was learned from a data set holds for that data set: stages after ``thresholds`` have the name of the block that stands for
all panoramas in their fingerprints. Another panorama makes them anew; predictions and histograms stay.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tasks.adapt.settings import Adapt
from tasks.stage.kind import Edge, Kind, Part


def parts(settings: Adapt, named: Mapping[str, Any]) -> list[Part]:
    """All stages, the one that learns last. Without mixing there is no pool."""
    model = {name: value for name, value in named.items() if name == "model"}
    found = "adapt.translate" if "labels" in named else "adapt.predict"
    learning = {"height": settings.height, "checkpoint_every": settings.checkpoint_every, "processes": settings.processes}
    pool = [Part("pool", "adapt.pool", settings.pool.model_dump())] if settings.training.mixing != "none" else []
    return [
        Part("predict", found, {"height": settings.height}, named),
        Part("scores", "adapt.scores", {}),
        Part("thresholds", "adapt.thresholds", settings.omni.model_dump()),
        Part("omni", "adapt.omni", settings.omni.model_dump()),
        *pool,
        Part("", "adapt.learn", settings.training.model_dump() | learning, model),
    ]


KIND = Kind(
    "adapt",
    "1",
    Adapt,
    {
        "panoramas": Edge("panoramas"),
        "model": Edge("model", outside=True, anywhere=True),
        "labels": Edge("labels", maybe=True),
    },
    "model",
    expand=parts,
)
