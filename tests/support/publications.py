"""Published versions whose labels follow from their names, so that any process can write them and any can check them.

``python -m tests.support.publications URL VERSION COUNT`` publishes one, for tests that kill their publishers.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from types import ModuleType

import numpy as np
import zarr
from numpy.typing import NDArray

from storage.published import icechunk as published_icechunk


def labels(version: str, count: int = 3) -> list[dict[str, NDArray]]:
    """The labels of a version: noise, seeded by its name."""
    generator = np.random.default_rng(list(version.encode()))
    return [{"depth": generator.random((24, 48)), "sky": generator.random((24, 48)) < 0.5} for _ in range(count)]


def put(
    url: str,
    version: str,
    count: int = 3,
    kind: ModuleType = published_icechunk,
    items: Iterable[Mapping[str, NDArray]] | None = None,
) -> None:
    """Publish a version; ``items`` take the place of its labels."""
    rows = [{"item": f"p{number}", "valid": number != 1} for number in range(count)]
    about = {"created": datetime.now(UTC).isoformat(), "run": f"run-{version}", "complete": True}
    kind.write_version(url, version, items or labels(version, count), rows, {**about, "fingerprints": {"fuse": f"f-{version}"}})


def shows(group: zarr.Group, version: str, count: int = 3) -> bool:
    """Whether a group holds a version, to the bit."""
    wanted = labels(version, count)
    same = all(np.array_equal(group[name][:], np.stack([one[name] for one in wanted])) for name in ("depth", "sky"))
    return same and group.attrs["version"] == version and group["item"].shape == (count,)


if __name__ == "__main__":
    print("ready", flush=True)
    put(sys.argv[1], sys.argv[2], int(sys.argv[3]))
