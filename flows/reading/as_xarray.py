"""Labels as an xarray.Dataset, with names for axes, units and classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.label.values import INSTANCES

try:
    import xarray
except ModuleNotFoundError as error:
    message = "labels become a Dataset by xarray; install it with: pip install 'panolabel[xarray]'"
    raise ModuleNotFoundError(message, name="xarray") from error

AXES = {3: ("axis", ["x", "y", "z"]), 2: ("tangent", ["right", "down"])}
"""Vectors by their length: the name of their dimension, and of what stands along it."""


def dataset_of(labels: Any) -> xarray.Dataset:
    """All arrays of a panorama's labels, as values, over its rows and columns; those of instances are left to ``instances``.

    Parameters
    ----------
    labels : flows.reading.labels.Labels

    Returns
    -------
    xarray.Dataset
        Dimensions ``latitude`` (H) and ``longitude`` (W), whose coordinates are those of pixel centres in radians; ``axis``
        (x, y, z) of vectors, ``tangent`` (right, down) of gradients. Variables have ``units`` where they have any; classes have
        ``flag_values`` and ``flag_meanings`` as CF says.
    """
    names = [name for name in labels if name not in INSTANCES[1:]]
    arrays = {name: labels[name] for name in names}
    height, width = next(iter(arrays.values())).shape[:2]
    found = {name: _variable(name, array, labels) for name, array in arrays.items()}
    coordinates = {
        "latitude": ("latitude", (0.5 - (np.arange(height) + 0.5) / height) * np.pi, {"units": "radian"}),
        "longitude": ("longitude", ((np.arange(width) + 0.5) / width - 0.5) * 2 * np.pi, {"units": "radian"}),
    }
    sizes = {array.shape[2] for array in arrays.values() if array.ndim == 3}
    axes = {AXES[size][0]: AXES[size][1] for size in sizes}
    about = {"item": labels.item, "stage": labels.stage, "version": labels.version}
    return xarray.Dataset(found, {**coordinates, **axes}, {**about, "normals_frame": "x right, y down, z forward"})


def _variable(name: str, array: NDArray, labels: Any) -> xarray.Variable:
    attributes: Mapping[str, Any] = {}
    if name in ("depth", "points"):
        attributes = {"units": labels.about.get("depth_unit") or "metre"}
    elif name in labels.about.get("auxiliaries", {}):
        attributes = {"units": labels.about["auxiliaries"][name]["unit"]}
    elif name in ("semantics", "semantics_runner_up", "panoptic") and labels.classes:
        meanings = " ".join(one.replace(" ", "_") for one in labels.classes)
        attributes = {"flag_values": np.arange(len(labels.classes), dtype=array.dtype), "flag_meanings": meanings}
    plane = ["latitude", "longitude"]
    if array.ndim == 2:
        return xarray.Variable(plane, array, attributes)
    return xarray.Variable([*plane, AXES[array.shape[2]][0]], array, attributes)
