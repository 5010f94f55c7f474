"""What is compared: each arm names its labels, how they teach, and its network. All else is the same for all arms."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from benchmarks.comparisons import NUDGE
from models.student.tasks import MAIN_TASKS

MARGIN = 0.10
"""Non-inferiority, stated before any run: labels count as good as the truth for a task if, with 95 % confidence, the student of
these labels is worse by less than this share of what the student of the truth reaches (AbsRel, degrees, mIoU)."""


@dataclass(frozen=True)
class Labels:
    """A store to learn from, the part of its panoramas that is used, and how often they come in an epoch."""

    store: str
    part: Literal["all", "few", "rest"] = "all"
    weight: float = 1.0


@dataclass(frozen=True)
class Arm:
    """One way to train. ``one_view`` are the tasks that one random patch a step teaches; ``settings`` are the student's;
    ``factor``: all first weights are multiplied with it."""

    name: str
    labels: tuple[Labels, ...] = (Labels("truth"),)
    confidence: bool = False
    one_view: tuple[str, ...] = ()
    network: Literal["student", "dpt", "cross-task"] = "student"
    tasks: tuple[str, ...] = MAIN_TASKS
    settings: Mapping[str, Any] = field(default_factory=dict)
    factor: float = 1.0

    @property
    def key(self) -> str:
        """The name as a file name."""
        return "".join(letter if letter.isalnum() else "_" for letter in self.name)


TRUTH = Arm("ground truth")
NUDGED = Arm("ground truth, first weights nudged", factor=NUDGE)
"""The same training but for rounding: what lies between this and the truth's student is no effect of an idea."""
PSEUDO = (Labels("pseudo"),)
FEW = Labels("truth", "few", 5.0)
"""The truth of few panoramas, each as often as five others: about a fifth of what a student of both sees."""

NOISY = Arm("truth, noisy view scales, merged", (Labels("noise"),))
MERGED = Arm("pseudo, merged", PSEUDO)
DECISIVE = (
    TRUTH,
    NUDGED,
    Arm("truth, round trip", (Labels("round_trip"),)),
    NOISY,
    MERGED,
    Arm("pseudo, one view per step", PSEUDO, one_view=("depth",)),
    Arm("pseudo, aligned and fused", (Labels("pseudo_aligned"),)),
    Arm("pseudo, confidence-weighted", PSEUDO, confidence=True),
    Arm("5 % truth + pseudo, merged", (FEW, Labels("pseudo", "rest"))),
    Arm("5 % truth alone", (FEW,)),
)

NOISY_VIEW = Arm("truth, noisy view scales, one view per step", (Labels("noise"),), one_view=("depth",))
NOISY_ALIGNED = Arm("truth, noisy view scales, aligned", (Labels("noise_aligned"),))
VIEW = Arm("pseudo, one view per step, all tasks", PSEUDO, one_view=MAIN_TASKS)
VIEWS = (TRUTH, NUDGED, NOISY, NOISY_VIEW, NOISY_ALIGNED, MERGED, VIEW)
"""Views that contradict each other in scale: MTPano's reason to learn from one of them a step."""

OFF = {
    "streams": "shared", "mixer": "plain", "modulation": "constant", "bridges": False, "truncation": "none", "auxiliaries": False,
}  # fmt: skip
"""Every idea off, by the switch that keeps the parameters where there is one."""
STEPS = (
    ("+ two streams", {"streams": "split"}),
    ("+ mixer", {"mixer": "erp"}),
    ("+ modulation", {"modulation": "rays"}),
    ("+ bridges", {"bridges": True}),
    ("+ truncation", {"truncation": "both"}),
)


def _nested() -> tuple[Arm, ...]:
    """Arms that each add one idea to the arm before; with the auxiliaries, the last one is the student of the decisive test."""
    settings: dict[str, Any] = dict(OFF)
    arms = [Arm("plain multi-task", settings=dict(settings))]
    for name, switch in STEPS:
        settings |= switch
        arms.append(Arm(name, settings=dict(settings)))
    return tuple(arms)


SINGLE = tuple(Arm(f"single-task: {task}", tasks=(task,), settings=OFF) for task in MAIN_TASKS)
ABLATION = (*SINGLE, *_nested(), TRUTH, NUDGED)
PEERS = (
    TRUTH,
    NUDGED,
    Arm("plain DPT multi-task", network="dpt"),
    Arm("cross-task attention (InvPT-like)", network="cross-task"),
)


TESTS = {"decisive": DECISIVE, "ablation": ABLATION, "peers": PEERS, "views": VIEWS}


def distinct(arms: Iterable[Arm]) -> tuple[Arm, ...]:
    """Every arm once, in the order of its first appearance."""
    return tuple({arm.name: arm for arm in arms}.values())


def all_arms() -> tuple[Arm, ...]:
    """The arms of all tests."""
    return distinct(arm for arms in TESTS.values() for arm in arms)
