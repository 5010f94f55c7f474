"""Tables and curves of ``benchmarks.labels.confidence``."""

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import numpy as np
import scipy
from numpy.typing import NDArray
from scipy.stats import pearsonr, rankdata

from metrics.intervals import column_means, jackknife_intervals

Array = NDArray[np.floating]
ERRORS = {"depth": "relative error", "normals": "angle, degrees", "semantics": "share wrong"}
ITEM_PAIRS = (
    ("depth", "consistency_depth"),
    ("depth", "rotation_consistency_depth"),
    ("depth", "depth_normal_agreement"),
    ("depth", "consistency"),
    ("depth, metric", "consistency_depth"),
    ("normals", "consistency_normals"),
    ("normals", "rotation_consistency_normals"),
    ("normals", "depth_normal_agreement"),
    ("normals", "consistency"),
    ("semantics", "consistency_semantics"),
    ("semantics", "rotation_consistency_semantics"),
    ("semantics", "consistency"),
)
PANEL, MARGIN = (250, 170), 46
OUTLINE = 'paint-order="stroke" stroke="white" stroke-width="3"'
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")


@dataclass
class Found:
    """What was measured with one teacher: by (task, confidence) one entry for each panorama; figures and errors of each."""

    setting: str
    correlation: dict[tuple[str, str], list[float]] = field(default_factory=dict)
    gain: dict[tuple[str, str], list[float]] = field(default_factory=dict)
    curves: dict[tuple[str, str], list[Array]] = field(default_factory=dict)
    figures: list[dict[str, float]] = field(default_factory=list)
    errors: list[dict[str, float]] = field(default_factory=list)

    def add_pixels(self, task: str, name: str, correlation: float, gain: float, curve: Array, oracle: Array) -> None:
        """One panorama's per-pixel results of one confidence."""
        self.correlation.setdefault((task, name), []).append(correlation)
        self.gain.setdefault((task, name), []).append(gain)
        self.curves.setdefault((task, name), []).append(curve)
        if name == f"`{task}_consistency`":
            self.curves.setdefault((task, "oracle"), []).append(oracle)


def merged(parts: Sequence[Found]) -> Found:
    """What was measured panorama by panorama, together."""
    whole = Found(parts[0].setting)
    for part in parts:
        for name in ("correlation", "gain", "curves"):
            for key, values in getattr(part, name).items():
                getattr(whole, name).setdefault(key, []).extend(values)
        whole.figures += part.figures
        whole.errors += part.errors
    return whole


def report(found: Sequence[Found], biased: Sequence[Found], places: str, command: str) -> None:
    """Print all tables."""
    print(f"# Confidence without ground truth: {places}\n")
    print(
        "Spearman: rank correlation of the doubt (the confidence, negated) with the true error; 0 says nothing, 1 orders as the\n"
        "truth would. Gain: share of what the oracle's order would take off the area under the risk-coverage curve (AURC); 0 is\n"
        "a random order, 1 the oracle's. Brackets: 95 % interval over panoramas (t; of correlations over panoramas, Fisher's).\n"
        "Depth errors are relative, after one factor per panorama. Only pixels that the confidence can judge count, by their\n"
        "solid angle.\n"
    )
    print("## Per pixel\n")
    print("| teacher | task | confidence | mean error | Spearman | gain |\n|---|---|---|---|---|---|")
    for one in found:
        for (task, name), correlations in one.correlation.items():
            mean = np.mean([curve[-1] for curve in one.curves[task, name]])
            cells = [one.setting, task, name, f"{mean:.3g}", interval(correlations), interval(one.gain[task, name])]
            print(f"| {' | '.join(cells)} |")
    print("\n## Per panorama\n")
    print("| error of | figure |" + "".join(f" {one.setting} |" for one in found))
    print("|---|---|" + "---|" * len(found))
    for task, figure in ITEM_PAIRS:
        cells = [item_correlation(one, task, figure) for one in found]
        print(f"| {task} | `{figure}` | {' | '.join(cells)} |")
    print(
        "\nSpearman of the negated figure with the panorama's mean error.\n\n## What it cannot see: errors that all views share\n"
    )
    names = ("consistency_depth", "rotation_consistency_depth", "consistency_semantics", "rotation_consistency_semantics")
    print("| teacher | AbsRel, metric | share of classes wrong |" + "".join(f" `{name}` |" for name in names))
    print("|---|---|---|" + "---|" * len(names))
    for one in biased:
        wrong = [np.mean([row[name] for row in one.errors]) for name in ("depth, metric", "semantics")]
        agreed = [np.mean([row[name] for row in one.figures]) for name in names]
        cells = [*(f"{value:.3f}" for value in wrong), *(f"{value:.4f}" for value in agreed)]
        print(f"| {one.setting} | {' | '.join(cells)} |")
    print(
        f"\n{len(os.sched_getaffinity(0))} CPU cores, no GPU. {date.today()}, Python {platform.python_version()}, numpy "
        f"{np.__version__}, scipy {scipy.__version__}.\nCommand: `{command}`"
    )


def interval(values: Sequence[float]) -> str:
    """Mean over panoramas and its interval; panoramas in which it is not defined (no error at all) are left out."""
    table = np.array(values)[:, None]
    low, high = jackknife_intervals(*column_means(table))
    return f"{np.nanmean(table):.2f} [{low[0]:.2f}, {high[0]:.2f}]"


def item_correlation(one: Found, task: str, figure: str) -> str:
    """Rank correlation over panoramas, with Fisher's interval."""
    known = [row.get(figure, np.nan) for row in one.figures]
    doubt, error = -np.array(known), np.array([row[task] for row in one.errors])
    if not np.isfinite(doubt).all():
        return "–"
    found = pearsonr(rankdata(doubt), rankdata(error))
    low, high = found.confidence_interval()
    return f"{found.statistic:.2f} [{low:.2f}, {high:.2f}]"


def draw(found: Sequence[Found], grid: Array, path: Path) -> None:
    """Risk-coverage curves, mean over panoramas, as SVG: a row for each teacher, a column for each task."""
    tasks = list(ERRORS)
    size = [len(tasks) * (PANEL[0] + MARGIN) + MARGIN, len(found) * (PANEL[1] + 2 * MARGIN) + 10]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{size[0]}" height="{size[1]}" viewBox="0 0 {size[0]} {size[1]}" '
        'font-family="sans-serif" font-size="11"><rect width="100%" height="100%" fill="white"/>'
    ]
    for row, one in enumerate(found):
        for column, task in enumerate(tasks):
            left, top = MARGIN + column * (PANEL[0] + MARGIN), MARGIN + row * (PANEL[1] + 2 * MARGIN)
            curves = {name: np.mean(own, axis=0) for (of, name), own in one.curves.items() if of == task}
            parts += _panel(f"{one.setting}: {task} ({ERRORS[task]})", curves, grid, left, top)
    path.write_text("\n".join([*parts, "</svg>\n"]))


def _panel(title: str, curves: dict[str, Array], grid: Array, left: float, top: float) -> list[str]:
    """One pair of axes with its curves and their names; the dotted line is a random order, the grey one the oracle's."""
    width, height = PANEL
    most = max(float(curve.max()) for curve in curves.values()) * 1.05

    def place(coverage: Array, risk: Array) -> str:
        return " ".join(f"{left + width * x:.1f},{top + height * (1 - y / most):.1f}" for x, y in zip(coverage, risk))

    mean = next(iter(curves.values()))[-1]
    parts = [
        f'<text x="{left}" y="{top - 8}" font-weight="bold">{title}</text>',
        f'<rect x="{left}" y="{top}" width="{width}" height="{height}" fill="none" stroke="#999"/>',
        f'<polyline points="{place(np.arange(2), np.full(2, mean))}" fill="none" stroke="#555" stroke-dasharray="2 3"/>',
        *(
            f'<text x="{left - 4}" y="{top + y}" text-anchor="end">{text}</text>'
            for y, text in ((10, f"{most:.2g}"), (height, "0"))
        ),
        *(f'<text x="{left + x}" y="{top + height + 14}" text-anchor="middle">{x / width:g}</text>' for x in (0, width)),
        f'<text x="{left + width / 2}" y="{top + height + 14}" text-anchor="middle">coverage</text>',
    ]
    colours = iter(COLOURS)
    for number, (name, curve) in enumerate(sorted(curves.items(), key=lambda pair: pair[0] == "oracle")):
        colour = "#aaa" if name == "oracle" else next(colours)
        parts.append(f'<polyline points="{place(grid, curve)}" fill="none" stroke="{colour}" stroke-width="1.6"/>')
        y = top + height - 8 - 13 * (len(curves) - 1 - number)
        label = name.strip("`").replace(f"{title}_", "")
        parts.append(f'<text x="{left + width - 6}" y="{y}" text-anchor="end" fill="{colour}" {OUTLINE}>{label}</text>')
    return parts
