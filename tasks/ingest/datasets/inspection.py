"""Does a data set on disk fit its description? A first look at what is there, and at one panorama's truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from metrics.depth_normals import depth_normal_angles
from metrics.normals import weighted_median
from metrics.weights import row_weights
from tasks.ingest.datasets import DATA_SETS
from tasks.ingest.datasets.listing import list_data_set
from tasks.ingest.datasets.reading import read_data_set_truth
from tasks.ingest.datasets.truth import Arrays
from tasks.ingest.settings import Source
from tasks.stage.job import BadItem

LARGEST_ANGLE = 20.0
"""Degrees, median between normals and those that follow from depth. In the right frame, and with radial depth, it is a few."""


@dataclass(frozen=True)
class Inspection:
    """What was seen, in words, and what does not fit."""

    seen: str
    problems: tuple[str, ...]


def inspect(source: Source) -> Inspection:
    """Count the files of truth of a data set, and read those of its first panorama.

    Raises
    ------
    SourceError
        There are no panoramas.
    """
    listing = list_data_set(source)
    problems = [f"{count} panoramas have no {name}" for name, count in listing.lacking.items() if 0 < count < listing.found]
    first = listing.entries[0]
    try:
        arrays, digests = read_data_set_truth(source, first.uri)
    except BadItem as error:
        return Inspection(f"truth of {first.item}", (*problems, str(error)))
    if not arrays:
        expected = ", ".join(DATA_SETS[source.kind].layout.truth(source.url, first.uri).values())
        return Inspection(f"{first.item} has no truth", (*problems, f"expected {expected}"))
    facts = _facts(arrays)
    if (angle := normals_against_depth(arrays)) is not None:
        facts.append(f"normals within {angle:.1f} degrees of those from depth (median)")
        if angle > LARGEST_ANGLE:
            problems.append("normals and depth contradict each other: one of them is in another frame, or depth is not radial")
    return Inspection(f"{first.item}: {', '.join(digests)}; {'; '.join(facts)}", tuple(problems))


def normals_against_depth(arrays: Arrays) -> float | None:
    """Median angle in degrees, by solid angle, between the normals and those that depth implies; None without both.

    ``arrays`` hold ``depth`` (H, W) float32, ``normals`` (H, W, 3) float32, and the ``*_valid`` (H, W) bool of each.
    """
    if "depth" not in arrays or "normals" not in arrays:
        return None
    angles, compared = depth_normal_angles(arrays)
    area = np.broadcast_to(row_weights(len(angles), True)[:, None], angles.shape)
    return float(np.degrees(weighted_median(angles[compared], area[compared]))) if compared.any() else None


def _facts(arrays: Arrays) -> list[str]:
    facts = [f"{name} on {arrays[f'{name}_valid'].mean():.0%}" for name in ("depth", "normals", "semantics") if name in arrays]
    if "depth" in arrays and arrays["depth_valid"].any():
        low, high = np.quantile(arrays["depth"][arrays["depth_valid"]], [0.01, 0.99])
        facts.append(f"distances {low:.2f} to {high:.2f} m (1 to 99 %)")
    return facts
