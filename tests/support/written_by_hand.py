"""A store as docs/concepts.md says, written without this project's own code: an oracle for whoever reads stores."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

CLASSES = ["wall", "chair", "sky"]
H, W = 4, 8


def arrays() -> dict[str, NDArray]:
    """The labels of one panorama of 4 x 8 pixels: two chairs, the second of which the first hides in part."""
    depth = np.full((H, W), 2.5, np.float16)
    depth[0, 0] = 0
    normals = np.zeros((H, W, 3), np.int8)
    normals[..., 2] = -127
    normals[1, 1] = (0, 90, 90)
    ids = np.zeros((H, W), np.uint16)
    ids[2, 6:], ids[2, :2] = 1, 1  # over the seam
    ids[3, 4] = 2
    return {
        "depth": depth,
        "depth_valid": depth > 0,
        "depth_consistency": np.where(depth > 0, 51, 0).astype(np.uint8),
        "normals": normals,
        "normals_valid": np.arange(H * W).reshape(H, W) != 31,
        "semantics": np.where(ids > 0, 1, 0).astype(np.uint8),
        "semantics_valid": np.arange(H * W).reshape(H, W) != 5,
        "semantics_confidence": np.full((H, W), 204, np.uint8),
        "sky": np.zeros((H, W), bool),
        "views": np.full((H, W), 3, np.uint8),
        "instances": ids,
        "instance_class": np.array([1, 1, 0, 0], np.uint16),
        "instance_score": np.array([0.75, 0.5, 0, 0], np.float32),
        "instance_agreement": np.array([1, 0.25, 0, 0], np.float32),
        "instance_area": np.array([0.5, 0.125, 0, 0], np.float32),
        "instance_direction": np.array([[0, 0, -1], [1, 0, 0], [0, 0, 0], [0, 0, 0]], np.float32),
        "instance_seam": np.array([True, False, False, False]),
        "instance_pole": np.zeros(4, bool),
        "instance_views": np.array([[True, True], [False, True], [False, False], [False, False]]),
        "instance_runs": np.array([[3 * W + 3, 3], [0, 0]], np.uint32),  # the second chair, whole: row 3, columns 3 to 5
        "instance_offsets": np.array([0, 0, 1, 1, 1], np.uint32),
    }


def write_block(
    root: Path,
    fingerprint: str,
    items: Sequence[str],
    stored: Sequence[Mapping[str, NDArray]],
    block: str = "000000-0123456789ab",
    started: float = 1.0,
    given_up: Mapping[str, str] | None = None,
    **about: Any,
) -> Path:
    """A block of the stage ``fuse`` and its receipt; ``given_up`` maps items to reasons. Returns its folder."""
    folder, reasons = root / "stages" / "fuse" / fingerprint / block, given_up or {}
    group = zarr.create_group(str(folder / "data.zarr"), zarr_format=3)
    for name in stored[0]:
        group.create_array(name, data=np.stack([one[name] for one in stored]), config={"write_empty_chunks": True})
    files = {}
    for path in sorted(one for one in folder.rglob("*") if one.is_file()):
        data = path.read_bytes()
        files[path.relative_to(folder).as_posix()] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    receipt = {
        "stage": "fuse",
        "fingerprint": fingerprint,
        "block": block,
        "items": [
            {"item": item, "state": "quarantined" if item in reasons else "done", "reason": reasons.get(item, ""), "figures": {}}
            for item in items
        ],
        "files": files,
        "about": {"classes": CLASSES, "depth_unit": "metre", "normals_frame": "world", **about},
        "made": {"run": "r", "gives": "labels", "started": started, "seconds": 1.0, "device": "cpu", "versions": {}},
    }
    (folder / "receipt.json").write_text(json.dumps(receipt))
    return folder
