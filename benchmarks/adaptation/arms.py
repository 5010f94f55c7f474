"""The arms of the experiment: what each does to a source model, given nothing but unlabelled panoramas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from benchmarks.adaptation.labels import OMNI, Labelling
from benchmarks.comparisons import NUDGE
from models.adaptation.thresholds import POOL, Rule

NUDGED = "OPLL, first weights nudged"
"""The same training but for rounding: what lies between this and OPLL is no effect of an idea."""
MAIN = "OPLL + ADCL"
"""The whole method, around which the sweep turns."""


@dataclass(frozen=True)
class Arm:
    """``how``: nothing, the running statistics of batch normalisation alone, the product's training, or the peer's.

    ``renewed``: start from the source model with renewed statistics, whose predictions then are what is learned from.
    ``training``: what differs from the settings that all arms share, see ``configs/adapt.py``. ``pool``: what may be pasted.
    ``factor``: the source model's weights are multiplied with it before training.
    """

    how: Literal["nothing", "statistics", "training", "prototypes"] = "training"
    labels: Labelling = OMNI
    training: Mapping[str, Any] = field(default_factory=dict)
    pool: Rule = POOL
    renewed: bool = False
    factor: float = 1.0


PLAIN = Labelling(tuned=False, veto=None, uncertain=False)
"""What reaches a fixed threshold, the rest is background: self-training as everybody does it."""
EVERYTHING = Labelling(Rule(0, 0), Rule(0, 0), Rule(0, 0), tuned=False, veto=None, uncertain=False)
SURE = replace(PLAIN, semantic=Rule(0.968, 0), instances=Rule(0.7, 0), amodals=Rule(0.7, 0))
"""The fixed thresholds of DAFormer (arXiv 2111.14887) for pixels and of Unbiased Teacher (arXiv 2102.09480) for objects."""
SURE_OMNI = replace(OMNI, semantic=Rule(0.968, 0.8, 0.0), instances=Rule(0.7, 0.3), amodals=Rule(0.7, 0.5))
"""OPLL from these thresholds on."""
DOUBT_IGNORED = {"ignore_uncertain": True}
WHOLE = replace(OMNI, veto="objects")
ARMS: dict[str, Arm] = {
    "source": Arm("nothing"),
    "statistics": Arm("statistics"),
    "pseudo-labels": Arm(labels=PLAIN),
    "OPLL": Arm(),
    NUDGED: Arm(factor=NUDGE),
    MAIN: Arm(training={"mixing": "zero"}),
    "statistics, pseudo-labels": Arm(labels=PLAIN, renewed=True),
    "statistics, OPLL": Arm(renewed=True),
    f"statistics, {MAIN}": Arm(training={"mixing": "zero"}, renewed=True),
    "OPLL + instance": Arm(training={"mixing": "instance"}),
    "OPLL + amodal": Arm(training={"mixing": "amodal"}),
    "OPLL + AoMix": Arm(training={"mixing": "aomix"}),
    "OPLL + random": Arm(training={"mixing": "random"}),
    "OPLL + ClassMix": Arm(training={"classmix": 1.0}),
    "OPLL + anchor": Arm(training={"anchor": 10.0}),
    "prototypes": Arm("prototypes"),
    "ADCL": Arm(labels=PLAIN, training={"mixing": "zero"}),
    "all predictions": Arm(labels=EVERYTHING),
    "statistics, OPLL, no veto": Arm(labels=replace(OMNI, veto=None), renewed=True),
    "statistics, OPLL, doubt ignored": Arm(renewed=True, training=DOUBT_IGNORED),
}
"""With an encoder of batch normalisation, whose statistics alone do much. In the order in which they are run for each seed."""
FIRST = ("source", "pseudo-labels", "OPLL", NUDGED, MAIN)
STEADY_ARMS: dict[str, Arm] = {
    **{name: ARMS[name] for name in FIRST},
    "pseudo-labels, high thresholds": Arm(labels=SURE),
    "OPLL, high thresholds": Arm(labels=SURE_OMNI),
    "OPLL, high thresholds, whole objects, doubt ignored": Arm(labels=replace(SURE_OMNI, veto="objects"), training=DOUBT_IGNORED),
    "OPLL, whole objects, doubt ignored": Arm(labels=WHOLE, training=DOUBT_IGNORED),
    "OPLL, no veto": Arm(labels=replace(OMNI, veto=None)),
}
"""With an encoder that keeps no statistics: what pseudo-labels are to be."""
FIXED = "OPLL, fixed thresholds, whole objects, doubt ignored"
FULL_ARMS: dict[str, Arm] = {
    **{name: ARMS[name] for name in FIRST},
    "OPLL, whole objects, doubt ignored": Arm(labels=WHOLE, training=DOUBT_IGNORED),
    FIXED: Arm(labels=replace(WHOLE, tuned=False), training=DOUBT_IGNORED),
    "ADCL": ARMS["ADCL"],
    "all predictions": ARMS["all predictions"],
}
"""With such an encoder, in the fuller world: the parts of the method."""
SWEPT: dict[str, tuple[Sequence[float], Sequence[float]]] = {
    "semantic": ((0.3, 0.7), (0.6, 0.9)),
    "instances": ((0.3, 0.7), (0.1, 0.5)),
    "amodals": ((0.1, 0.5), (0.3, 0.7)),
    "pool": ((0.8, 0.95), (0.05, 0.3)),
}
"""Fixed thresholds and shares of each rule, besides the paper's, that the sweep tries, one at a time."""


def sweep() -> dict[str, Arm]:
    """The whole method with one threshold rule changed."""
    arms = {}
    for part, (fixed, shares) in SWEPT.items():
        for name, values in (("fixed", fixed), ("share", shares)):
            for value in values:
                arms[f"{part} {name} {value:g}"] = _changed(part, **{name: value})
    return arms


def _changed(part: str, **values: float) -> Arm:
    main = ARMS[MAIN]
    if part == "pool":
        return replace(main, pool=replace(main.pool, **values))
    return replace(main, labels=replace(main.labels, **{part: replace(getattr(main.labels, part), **values)}))
