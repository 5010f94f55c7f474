"""Small charts as SVG text, for pages that need nothing beside them. Colours are the page's CSS variables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

WIDTH = 460
COLOURS = {
    "ink": "#1d2126", "soft": "#626a74", "line": "#d5d9de", "warn": "#b35c00", "floor": "#9aa3ad", "teacher": "#2f6fde",
    "way-back": "#8a5bd6", "fusion": "#1f9d7a", "total": "#d9822b", "fused": "#d9822b",
}  # fmt: skip
"""The colours of a chart that stands on no page of ours."""


def waterfall(steps: Sequence[tuple[str, float, float | None, float | None]], unit: str = "") -> str:
    """Parts that add up, each bar beginning where the last one ended, with the interval of each; the last step is the sum.

    Parameters
    ----------
    steps : (name, value, low, high) of every part, in order, and of their sum
    unit : str
        Written after every value.
    """
    row, left, right = 26, 92, 96
    starts = [0.0, *np.cumsum([value for _, value, _, _ in steps[:-2]]), 0.0]
    reached = [start + end for start, (_, value, low, high) in zip(starts, steps) for end in (0, value, low or 0, high or 0)]
    least, most = min(0.0, *reached), max(0.0, *reached)
    scale = (WIDTH - left - right) / max(most - least, 1e-12)

    def x(value: float) -> float:
        return left + (value - least) * scale

    marks = []
    for number, (start, (name, value, low, high)) in enumerate(zip(starts, steps, strict=True)):
        y, colour = number * row + 4, f"var(--{name.replace(' ', '-')})"
        marks.append(_text(left - 8, y + 12, name, "end"))
        marks.append(_box(x(min(start, start + value)), y, abs(value) * scale, row - 10, colour))
        if low is not None and high is not None:
            marks.append(_line([(x(start + low), y + 8), (x(start + high), y + 8)], "var(--ink)", 1))
        marks.append(_text(WIDTH - 2, y + 12, f"{value:+.4f}{unit}" if number < len(steps) - 1 else f"{value:.4f}{unit}", "end"))
    marks.append(_line([(x(0), 0), (x(0), len(steps) * row)], "var(--soft)", 1))
    return _svg(len(steps) * row + 4, marks)


def band_chart(rows: Sequence[Mapping[str, Any]], series: Mapping[str, str], ends: tuple[str, str] = ("low", "high")) -> str:
    """Values by band, one line for each series, with an interval at the first series.

    Parameters
    ----------
    rows : one for each band: ``band``, a value (or None) for each series, and the interval under the names ``ends``
    series : key in a row -> name of its colour
    """
    height, left, bottom, top = 150, 50, 22, 8
    highest = max([row[key] for row in rows for key in (*series, ends[1]) if row.get(key) is not None], default=0.0)
    most = max(highest, 1e-12) * 1.05

    def place(number: int, value: float) -> tuple[float, float]:
        step = (WIDTH - left - 10) / max(len(rows), 1)
        return left + step * (number + 0.5), top + (height - top - bottom) * (1 - value / most)

    marks = [
        _line([(left, place(0, most * share)[1]), (WIDTH, place(0, most * share)[1])], "var(--line)", 1) for share in (0, 0.5, 1)
    ]
    marks += [_text(left - 6, place(0, most * share)[1] + 4, f"{most * share:.3g}", "end") for share in (0, 0.5, 1)]
    for number, row in enumerate(rows):
        marks.append(_text(place(number, 0)[0], height - 6, str(row["band"]), "middle"))
        low, high = (row.get(end) for end in ends)
        if low is not None and high is not None:
            marks.append(_line([place(number, low), place(number, high)], "var(--soft)", 1))
    for key, colour in series.items():
        points = [place(number, row[key]) for number, row in enumerate(rows) if row.get(key) is not None]
        marks.append(_line(points, f"var(--{colour})", 1.5))
        marks += [f'<circle cx="{px:.1f}" cy="{py:.1f}" r="3" fill="var(--{colour})"/>' for px, py in points]
    return _svg(height, marks)


def histogram(values: Sequence[float], mark: float = 0.0, bins: int = 20) -> str:
    """How many of ``values``, which lie in [0, 1], fall in each of equal ranges; a line at ``mark`` if it is positive."""
    height, left, bottom = 130, 30, 20
    counts, _ = np.histogram(np.clip(values, 0, 1), bins, (0, 1))
    step, most = (WIDTH - left - 10) / bins, max(int(counts.max()), 1)
    marks = []
    for number, count in enumerate(counts):
        tall = (height - bottom - 12) * count / most
        marks.append(_box(left + number * step + 1, height - bottom - tall, step - 2, tall, "var(--fused)"))
    marks += [_text(left + share * step * bins, height - 4, f"{share:g}", "middle") for share in (0, 0.25, 0.5, 0.75, 1)]
    marks.append(_text(left - 4, 16, str(most), "end"))
    if mark > 0:
        marks.append(_line([(left + mark * step * bins, 4), (left + mark * step * bins, height - bottom)], "var(--warn)", 2))
    return _svg(height, marks)


def curve(points: Sequence[tuple[float, float]]) -> str:
    """A line through points (x, y) in order, from 0 on upwards, such as a loss by step; what is no number is left out."""
    height, left, bottom, top = 150, 50, 22, 8
    known = [(x, y) for x, y in points if np.isfinite(y)]
    first, last = (known[0][0], known[-1][0]) if known else (0.0, 1.0)
    most = max([y for _, y in known], default=0.0) * 1.05 or 1.0

    def place(x: float, y: float) -> tuple[float, float]:
        along = (x - first) / max(last - first, 1e-12)
        return left + (WIDTH - left - 10) * along, top + (height - top - bottom) * (1 - max(y, 0.0) / most)

    marks = [
        _line([place(first, most * share), (WIDTH, place(first, most * share)[1])], "var(--line)", 1) for share in (0, 0.5, 1)
    ]
    marks += [_text(left - 6, place(first, most * share)[1] + 4, f"{most * share:.3g}", "end") for share in (0, 0.5, 1)]
    marks += [_text(place(x, 0)[0], height - 6, f"{x:g}", "middle") for x in dict.fromkeys((first, last))]
    marks.append(_line([place(x, y) for x, y in known], "var(--fused)", 1.5))
    return _svg(height, marks)


def heat_picture(sums: NDArray[np.floating], scale: int) -> tuple[NDArray[np.uint8], float]:
    """Mean error by place as an RGB picture, and the value of its brightest colour.

    Parameters
    ----------
    sums : (2, rows, columns)
        Weighted errors, and weights; cells without weight are grey.
    scale : int
        Pixels of a cell.

    Returns
    -------
    (rows * scale, columns * scale, 3) uint8, and the 99th percentile of the means (1 if all are 0)
    """
    known = sums[1] > 0
    mean = np.divide(sums[0], sums[1], out=np.zeros(known.shape), where=known)
    most = float(np.percentile(mean[known], 99)) if known.any() else 0.0
    most = most if most > 0 else 1.0
    shade = np.round(np.clip(mean / most, 0, 1) * 255).astype(np.uint8)
    picture = np.asarray(cv2.applyColorMap(shade, cv2.COLORMAP_INFERNO), np.uint8)[..., ::-1]
    picture = np.where(known[..., None], picture, np.uint8(96))
    return np.asarray(np.kron(picture, np.ones((scale, scale, 1), np.uint8)), np.uint8), most


def standalone(svg: str) -> str:
    """A chart that brings its colours along."""
    for name, colour in COLOURS.items():
        svg = svg.replace(f"var(--{name})", colour)
    return svg


def _svg(height: float, marks: Sequence[str]) -> str:
    return f'<svg viewBox="0 0 {WIDTH} {height:g}" role="img" xmlns="http://www.w3.org/2000/svg">{"".join(marks)}</svg>'


def _text(x: float, y: float, words: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'


def _box(x: float, y: float, width: float, height: float, colour: str) -> str:
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="2" fill="{colour}"/>'


def _line(points: Sequence[tuple[float, float]], colour: str, width: float) -> str:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{width:g}"/>'
