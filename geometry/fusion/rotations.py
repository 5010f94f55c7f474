"""Views turned about the vertical, and how far labellings that were made through them agree.

A teacher that is sure of what it says says the same through other views. Each labelling is fused by itself; the disagreement
of two of them is measured as that of two views of one weight, see :mod:`geometry.fusion.consistency`.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from geometry.fusion.consistency import MIN_RIVALRY, angle_consistency, as_bytes, deviation, divergence, pair_angle, rivalry

Labels = Mapping[str, NDArray]
Bytes = NDArray[np.uint8]


def rotation_consistency(labellings: Sequence[Labels], consistency_scale: float, metric: bool) -> dict[str, Bytes]:
    """How far labellings of one panorama agree, pixel by pixel.

    Parameters
    ----------
    labellings : two or more outputs of :func:`geometry.fusion.fuse.fuse`, of one size
    consistency_scale : float
        Standard deviation of log distance at which the consistency of depth has dropped to 1/e.
    metric : bool
        Distances are in metres. If not, each labelling has a scale of its own, which is taken out first.

    Returns
    -------
    dict of (H, W) uint8
        ``depth_rotation_consistency``, ``normals_rotation_consistency``, ``semantics_rotation_consistency``, as far as several
        labellings have such labels: 255 where all of these say the same, 0 where fewer than two are valid.
    """
    depth = partial(_depth, scale=consistency_scale, metric=metric)
    measures: dict[str, Callable[..., Bytes]] = {"depth": depth, "normals": _normals, "semantics": _semantics}
    having = {task: [one for one in labellings if task in one] for task in measures}
    return {f"{task}_rotation_consistency": measures[task](own) for task, own in having.items() if len(own) > 1}


def _depth(labellings: Sequence[Labels], scale: float, metric: bool) -> Bytes:
    valid = np.stack([one["depth_valid"] for one in labellings])
    logs = np.log(np.where(valid, np.stack([one["depth"] for one in labellings]), 1))
    if not metric:
        for log, own in zip(logs[1:], valid[1:], strict=True):
            both = own & valid[0]
            log -= np.median((log - logs[0])[both]) if both.any() else 0
    count = valid.sum(axis=0, dtype=np.float32)
    mean = (logs * valid).sum(axis=0) / np.maximum(count, 1)
    variance = (valid * (logs - mean) ** 2).sum(axis=0) / np.maximum(count, 1)
    rivals = rivalry(count, count)
    spread = deviation(variance.astype(np.float32), rivals)
    return as_bytes(np.exp(spread / np.float32(-scale)), rivals >= MIN_RIVALRY)


def _normals(labellings: Sequence[Labels]) -> Bytes:
    count = np.stack([one["normals_valid"] for one in labellings]).sum(axis=0, dtype=np.float32)
    total = np.sum([np.where(one["normals_valid"][..., None], one["normals"], 0) for one in labellings], axis=0)
    rivals = rivalry(count, count)
    angle = pair_angle(np.linalg.norm(total, axis=-1) / np.maximum(count, 1), rivals)
    return as_bytes(angle_consistency(angle), rivals >= MIN_RIVALRY)


def _semantics(labellings: Sequence[Labels]) -> Bytes:
    """Each labelling votes for one class: its own entropy is zero, and that of the weights is the logarithm of their number."""
    valid = np.stack([one["semantics_valid"] for one in labellings])
    labels = np.stack([one["semantics"] for one in labellings])
    count = valid.sum(axis=0, dtype=np.float32)
    weights = np.log(np.maximum(count, 1))
    alike = np.zeros(count.shape, np.float32)  # sum over labellings of the logarithm of how many say the same
    for label, own in zip(labels, valid, strict=True):
        alike += np.where(own, np.log(np.maximum(((labels == label) & valid).sum(axis=0, dtype=np.float32), 1)), 0)
    mixture = weights - alike / np.maximum(count, 1)
    return as_bytes(1 - divergence(mixture, np.zeros_like(mixture), weights), count > 1)
