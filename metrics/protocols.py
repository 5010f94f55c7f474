"""Evaluation protocols by name, so that a figure can be held against a peer's. A report names the one it used."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, replace

from metrics.depth import ALIGNMENTS


@dataclass(frozen=True)
class Protocol:
    """How figures are made.

    ``truth_range``: truth in metres that counts; ``clip``: range that truth is clipped to first, if any; ``pole_crop``: share of
    the height that is left out at the top and at the bottom; ``unmatched``: whether a predicted class without namesake in the
    truth is ``wrong`` or is to ``ignore``. Figures are always made image by image and then averaged over images, except mIoU,
    which pools the confusion of all images; a summary names, and gives, both.
    """

    name: str
    description: str
    alignment: str = "metric"
    by_area: bool = True
    truth_range: tuple[float, float] = (0.0, float("inf"))
    clip: tuple[float, float] | None = None
    pole_crop: float = 0.0
    unmatched: str = "wrong"

    def __post_init__(self) -> None:
        if self.alignment not in ALIGNMENTS:
            raise ValueError(f"protocol {self.name}: alignment {self.alignment!r} is not one of {', '.join(ALIGNMENTS)}")
        if self.unmatched not in ("wrong", "ignore"):
            raise ValueError(f"protocol {self.name}: unmatched {self.unmatched!r} is neither wrong nor ignore")


OURS = Protocol("panolabel", "metric depth, pixels weighted by solid angle")
PAGER = Protocol(
    "pager_metric",
    "PaGeR: metric depth, truth clipped to 0.01-75 m, pixels alike",
    by_area=False,
    truth_range=(0.0101, 74.25),
    clip=(0.01, 75.0),
)
_ALIGNED = [
    PAGER,
    replace(PAGER, name="pager_scale", description="PaGeR: one scale per image", alignment="scale"),
    replace(PAGER, name="pager_scale_and_shift", description="PaGeR: scale and shift per image", alignment="scale_and_shift"),
]
PROTOCOLS = {
    protocol.name: protocol
    for protocol in (
        OURS,
        replace(OURS, name="unweighted", description="metric depth, pixels alike", by_area=False),
        replace(OURS, name="panolabel_scale", description="one scale per image, by solid angle", alignment="scale"),
        *_ALIGNED,
        *(replace(one, name=f"{one.name}_matterport3d360", pole_crop=0.14) for one in _ALIGNED),
        *(replace(one, name=f"{one.name}_stanford2d3ds", pole_crop=0.15) for one in _ALIGNED),
        Protocol("da2", "DA2: median alignment, pixels alike", alignment="median", by_area=False),
    )
}


def protocol_named(name: str) -> Protocol:
    """A protocol by its name; ValueError names the nearest match."""
    if name not in PROTOCOLS:
        nearest = difflib.get_close_matches(name, PROTOCOLS, n=1)
        hint = f"did you mean {nearest[0]!r}?" if nearest else f"known: {', '.join(PROTOCOLS)}"
        raise ValueError(f"evaluate.protocol: {name!r} is not known; {hint}")
    return PROTOCOLS[name]


def for_unit(protocol: Protocol, unit: str) -> Protocol:
    """The protocol as distances of a unit allow it: those that are no metres are never judged as if they were.

    A metric protocol then compares depth after one scale per image, and its name says so wherever it is printed.
    """
    if protocol.alignment != "metric" or unit in ("metre", ""):
        return protocol
    told = f"{protocol.name}, but depth after one scale per image: the labels have none"
    return replace(protocol, name=told, alignment="scale")
