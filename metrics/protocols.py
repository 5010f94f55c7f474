"""Evaluation protocols by name, so that a figure can be held against a peer's. A report names the one it used.

Sources: PaGeR (prs-eth/PaGeR, ``evaluation/`` and ``src/metrics``, arXiv 2605.26368); DA2 (EnVision-Research/DA-2, ``eval/`` at
bf39e6e: all three of its data sets count truth between 1 mm and 5 m, and clip aligned predictions to that); MoGe (microsoft/MoGe,
``moge/test/metrics.py`` at 637e23e). What is left out of them, and where ours differs, stands in docs/quality.md.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass, replace

from metrics.depth import ALIGNMENTS
from metrics.normals import THRESHOLDS

DEPTH = ("depth.abs_rel", "depth.rmse", "depth.delta1")
NORMALS = ("normals.mean", "normals.median", *(f"normals.{name}" for name in THRESHOLDS))
CUBE_SEAMS = ("seams.seam_defect_density", "seams.seam_prevalence", "seams.seam_severity")
SEAMS = (*CUBE_SEAMS, "seams.wrap_seam", "seams.pole_seam")


@dataclass(frozen=True)
class Protocol:
    """How figures are made.

    ``truth_range``: truth in metres that counts; ``clip``: range that truth is clipped to first, if any; ``prediction_clip``:
    range that aligned predictions are clipped to, if any; ``pole_crop``: share of the height that is left out at the top and at
    the bottom; ``unmatched``: whether a predicted class without namesake in the truth is ``wrong`` or is to ``ignore``;
    ``figures``: places of those that a table of several protocols shows of this one: what its source reports. Figures are always
    made image by image and then averaged over images, except mIoU, which pools the confusion of all images; a summary names, and
    gives, both.
    """

    name: str
    description: str
    alignment: str = "metric"
    by_area: bool = True
    truth_range: tuple[float, float] = (0.0, float("inf"))
    clip: tuple[float, float] | None = None
    pole_crop: float = 0.0
    unmatched: str = "wrong"
    prediction_clip: tuple[float, float] | None = None
    figures: tuple[str, ...] = (*DEPTH, *NORMALS, *SEAMS)

    @property
    def is_judge(self) -> bool:
        """Whether it holds labels against truth, rather than look at them alone."""
        return any(not key.startswith("seams.") for key in self.figures)

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
    figures=(*DEPTH, "normals.mean", "normals.rmse", "normals.within_5", "normals.within_22_5", *CUBE_SEAMS),
)
DA2 = Protocol("da2", "DA2: median alignment, pixels alike", alignment="median", by_area=False, figures=DEPTH)
MOGE = Protocol("moge_metric", "MoGe: metric depth, pixels alike", by_area=False, figures=("depth.abs_rel", "depth.delta1"))
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
        DA2,
        replace(
            DA2,
            name="da2_5m",
            description="DA2 as it evaluates: median alignment, truth and prediction in 1 mm to 5 m, pixels alike",
            truth_range=(1e-3, 5.0),
            prediction_clip=(1e-3, 5.0),
        ),
        MOGE,
        replace(MOGE, name="moge_scale", description="MoGe: one robust scale per image", alignment="robust_scale"),
        replace(MOGE, name="moge_disparity", description="MoGe: scale and shift of inverse depth", alignment="inverse"),
        Protocol("seams", "seams at a cube's edges (PaGeR's), at the wrap and at the poles; without truth", figures=SEAMS),
    )
}
GIVEN_SCALE = ", but depth after one scale per image: the labels have none"


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
    if protocol.alignment != "metric" or unit in ("metre", "") or not protocol.is_judge:
        return protocol
    return replace(protocol, name=protocol.name + GIVEN_SCALE, alignment="scale")


def asked_for(told: str) -> str:
    """The name that a protocol was asked for by, of what :func:`for_unit` calls it."""
    return told.removesuffix(GIVEN_SCALE)
