"""The table of the comparison, with what it shows, what it misses, and what is not there yet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.comparisons import Compared, over_seeds
from benchmarks.cubemap.arms import FULL, SHARE, THIRDS, unchanged
from benchmarks.cubemap.recipe import Recipe
from benchmarks.machine import machine
from metrics.audit.risk_coverage import spearman
from scenes import train_demo_teacher as demo

Array = NDArray[np.floating]
Row = Mapping[str, Any]
Records = Mapping[tuple[str, int], Sequence[Row]]
COLUMNS = {
    "abs_rel": "metric AbsRel", "abs_rel_scaled": "AbsRel, one scale", "delta1": "metric delta1", "normals": "normals mean (deg)",
    "coverage": "coverage",
}  # fmt: skip
SEAMS = {
    "seam_defect_density": "density", "seam_prevalence": "prevalence", "seam_severity": "severity", "wrap_seam": "wrap",
    "pole_seam": "pole",
}  # fmt: skip
FACES, ALIGN, BLEND = "default", "align", "blend"
NAMES = {FACES: "6 faces", ALIGN: "20 views, `align`", BLEND: "20 views, `blend`"}
HOW = """\
Both sides have as many weights (within 3 %) and saw as many pixels in training, of the same procedural scenes. All figures are
of labels that the pipeline's own functions make of unseen scenes, half of them rooms and half streets, at 512x256 from panoramas
of 1024x512, against exact truth; pixels count by solid angle, where there is no sky and the labels are valid. `align` has the
stage's own settings, `blend` those that `panolabel infer` writes for the demo network. Ratios are of AbsRel, panorama by
panorama: the mean of their logarithms, with its 95 % paired t interval over panoramas. An effect is called shown only where the
interval excludes none in every seed, with the same sign; full trainings have one seed, so that theirs says nothing of others.
"""


def report(records: Records, seeds: int, count: int, arms_count: int) -> str:
    """The page."""
    ours, theirs = (records.get((arm.name, 0), []) for arm in FULL)
    whole = min(len(ours), len(theirs))
    parts = [
        "# A network of six faces against the demo teacher's twenty views\n",
        f"`python -m benchmarks.cubemap.run --seeds {seeds} --count {count} --arms-count {arms_count}` after\n"
        f"`make cubemap-teacher`, {date.today()}, {machine()}.\n",
        HOW,
        _recipes(),
        *_full(ours[:whole], theirs[:whole]),
        *_scale_head(ours),
        *_thirds(records, seeds, arms_count),
        *_missing(records, seeds, count, arms_count),
    ]
    return "\n".join(parts)


def _recipes() -> str:
    ours, theirs = Recipe(), demo.Recipe()
    pixels = theirs.steps * theirs.batch * theirs.size**2
    told = [f"Training pixels: {ours.pixels / 1e6:.0f} million of six faces, {pixels / 1e6:.0f} million of single views."]
    changed = [arm.name for arm in FULL if arm.shipped is not None and arm.shipped.exists() and not unchanged(arm)]
    told += [f"The card of {name} tells another recipe than its script." for name in changed]
    return " ".join(told) + "\n"


def _full(ours: Sequence[Row], theirs: Sequence[Row]) -> list[str]:
    if not ours:
        return ["## Both sides in full\n\nNot there yet.\n"]
    rows, seams = [], []
    sides = [(f"cubemap, {NAMES[FACES]}", ours, FACES), *((f"demo, {NAMES[one]}", theirs, one) for one in (ALIGN, BLEND))]
    for name, found, fusion in sides:
        means = [figure(found, fusion, key).mean() for key in COLUMNS]
        rows.append([name, *(f"{mean:.3f}" for mean in means), f"{cpu_seconds(found, fusion).mean():.2f}"])
        seams.append([name, *(f"{np.nanmean(figure(found, fusion, f'seams.{key}')):.4f}" for key in SEAMS)])
    truth = [f"{np.nanmean(figure(ours, FACES, f'truth_seams.{key}')):.4f}" for key in SEAMS]
    kinds = []
    for kind in ("room", "street"):
        for name, found, fusion in sides:
            own = [row for row in found if row["kind"] == kind]
            kinds.append([f"{kind}s", name, *(f"{figure(own, fusion, key).mean():.3f}" for key in COLUMNS)])
    return [
        f"## Both sides in full, {len(ours)} panoramas\n",
        _table(["", *COLUMNS.values(), "CPU s a panorama"], rows),
        _table(["", "", *COLUMNS.values()], kinds),
        "Seams of the labels, and of the truth, which is their floor:\n",
        _table(["", *SEAMS.values()], [*seams, ["truth", *truth]]),
        "CPU s: cutting, network and fusion, of all threads. The demo network says classes too, which the other does not.\n",
        _table(["goal", "found", ""], goals(ours, theirs)),
    ]


def goals(ours: Sequence[Row], theirs: Sequence[Row]) -> list[list[str]]:
    """What was to be reached against ``align``, what was, and whether."""
    metric, scaled = (ratio(ours, FACES, theirs, ALIGN, key) for key in ("abs_rel", "abs_rel_scaled"))
    normals = over_seeds(figure(ours, FACES, "normals") - figure(theirs, ALIGN, "normals"))
    times = cpu_seconds(ours, FACES).mean() / cpu_seconds(theirs, ALIGN).mean()
    severity, wrap = (
        over_seeds(_known(figure(ours, FACES, f"seams.{key}") - figure(ours, FACES, f"truth_seams.{key}")))
        for key in ("seam_severity", "wrap_seam")
    )
    return [
        ["metric AbsRel at most 0.85x, interval below 1", _told(metric), _met(metric.mean <= 0.85 and metric.high < 1)],
        ["AbsRel after one scale at most 0.9x", _told(scaled), _met(scaled.mean <= 0.9)],
        ["normals at most 1 degree worse", _told(normals), _met(normals.mean <= 1)],
        ["CPU seconds at most a third", f"{times:.2f}", _met(times <= 1 / 3)],
        ["seam severity at most the truth's + 0.05", _told(severity), _met(severity.mean <= 0.05)],
        ["wrap seam at most the truth's + 0.01", _told(wrap, 4), _met(wrap.mean <= 0.01)],
    ]


def _scale_head(ours: Sequence[Row]) -> list[str]:
    if not ours:
        return []
    rows = []
    for kind in ("room", "street"):
        own = [row for row in ours if row["kind"] == kind]
        off = np.abs(figure(own, FACES, "log_scale_error"))
        ranks = spearman(np.array([row["notes"]["scale_spread"] for row in own]), off)
        rows.append([f"{kind}s", f"{np.median(off):.3f}", _met(np.median(off) <= 0.15), f"{ranks:.2f}", _met(ranks >= 0.3)])
    ways = [[way, f"{np.mean([row['scales'][way] for row in ours]):.3f}"] for way in ("median", "mean", "direct")]
    right = np.mean([(row["notes"]["p_outdoor"] > 0.5) == (row["kind"] == "street") for row in ours])
    return [
        "## The scale head\n",
        "Error: median over panoramas of |log s - log s*|, s* the factor that would bring the median of distance to the truth's\n"
        "(goal: at most 0.15). Spearman: of `scale_spread` with that error (goal: at least 0.3).\n",
        _table(["", "error", "", "Spearman", ""], rows),
        f"The sky tells rooms from streets in {right:.0%} of panoramas. Metric AbsRel on the faces, by how the head's map gives\n"
        "the factor: its median (as shipped), its mean, or the map itself in the place of depth:\n",
        _table(["", "AbsRel"], ways),
    ]


def _thirds(records: Records, seeds: int, arms_count: int) -> list[str]:
    """The arms at a third of the steps, seed by seed."""
    ours, plain, theirs = (arm.name for arm in THIRDS)
    rows, compared = [], []
    for name, fusions in ((ours, (FACES,)), (plain, (FACES,)), (theirs, (ALIGN, BLEND))):
        for fusion in fusions:
            for seed in range(seeds):
                if found := records.get((name, seed)):
                    means = [figure(found, fusion, key).mean() for key in COLUMNS]
                    rows.append([f"{name}, {NAMES[fusion]}", str(seed), str(len(found)), *(f"{mean:.3f}" for mean in means)])
    for other, fusion in ((plain, FACES), (theirs, ALIGN), (theirs, BLEND)):
        for key in ("abs_rel", "abs_rel_scaled", "normals"):
            found = [_seed(records, seed, ours, other, fusion, key) for seed in range(seeds)]
            if known := [one for one in found if one is not None]:
                cells = ["–" if one is None else _told(one) for one in found]
                verdict = _verdict(known, 0.0 if key == "normals" else 1.0) if len(known) == seeds else "not shown yet"
                compared.append([f"against {other}, {NAMES[fusion]}", COLUMNS[key], *cells, verdict])
    if not rows:
        return []
    return [
        f"## At a third of the steps ({round(Recipe().steps / SHARE)}, and {round(demo.Recipe().steps / SHARE)} of the demo "
        f"teacher's), {arms_count} panoramas\n",
        _table(["arm", "seed", "panoramas", *COLUMNS.values()], rows),
        "The cubemap arm against the others: ratio of AbsRel (below 1 it is better), and difference in degrees (below 0).\n",
        _table(["", "", *(f"seed {seed}" for seed in range(seeds)), ""], compared),
    ]


def _seed(records: Records, seed: int, ours: str, other: str, fusion: str, key: str) -> Compared | None:
    one, two = records.get((ours, seed), []), records.get((other, seed), [])
    both = min(len(one), len(two))
    if both < 2:
        return None
    if key == "normals":
        return over_seeds(figure(one[:both], FACES, key) - figure(two[:both], fusion, key))
    return ratio(one[:both], FACES, two[:both], fusion, key)


def _missing(records: Records, seeds: int, count: int, arms_count: int) -> list[str]:
    wanted = [(arm.name, 0, count) for arm in FULL]
    wanted += [(arm.name, seed, arms_count) for arm in THIRDS for seed in range(seeds)]
    lacking = [
        f"{name}, seed {seed} ({len(records.get((name, seed), []))} of {number})"
        for name, seed, number in wanted
        if len(records.get((name, seed), [])) < number
    ]
    return [f"**Not there yet:** {'; '.join(lacking)}.\n"] if lacking else []


def figure(rows: Sequence[Row], fusion: str, key: str) -> Array:
    """One figure of every panorama; NaN where there is none."""
    values = [row["fused"][fusion][key] for row in rows]
    return np.array([np.nan if value is None else value for value in values], np.float64)


def cpu_seconds(rows: Sequence[Row], fusion: str) -> Array:
    """Of cutting, asking and fusing each panorama."""
    return np.array([row["seconds"]["cut"] + row["seconds"]["network"] + row["seconds"][fusion] for row in rows])


def ratio(ours: Sequence[Row], mine: str, theirs: Sequence[Row], fusion: str, key: str) -> Compared:
    """By what our figure is theirs multiplied, panoramas paired."""
    found = over_seeds(np.log(figure(ours, mine, key) / figure(theirs, fusion, key)))
    return Compared(*(float(np.exp(one)) for one in (found.mean, found.low, found.high)), found.chance)


def _verdict(found: Sequence[Compared], nothing: float) -> str:
    """Whether every interval lies on the same side of no effect, and on which."""
    if all(one.high < nothing for one in found):
        return "better, shown"
    return "worse, shown" if all(one.low > nothing for one in found) else "not shown"


def _known(values: Array) -> Array:
    return values[np.isfinite(values)]


def _told(one: Compared, digits: int = 3) -> str:
    return f"{one.mean:.{digits}f} [{one.low:.{digits}f}, {one.high:.{digits}f}]"


def _met(is_met: bool) -> str:
    return "met" if is_met else "**missed**"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *rows)) + "\n"
