"""The two paths by which patch labels become ERP labels: numpy on the CPU, and kernels on the device that teachers compute on.

Both say the same within the tolerances of :mod:`geometry.device.fuse`, so the path enters no fingerprint; the receipt names it.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.util import find_spec
from typing import Any, Protocol

from numpy.typing import NDArray

from geometry.fusion.fuse import FusionSettings
from geometry.observed import views_of
from tasks.ingest.observed import Observed
from tasks.label import project
from tasks.label.arrays import decode_fields
from tasks.label.labellings import Labelling, fuse_labellings
from tasks.label.layouts import Random
from tasks.label.settings import Fuse
from tasks.stage.devices import resolve_device
from tasks.stage.job import Job
from tasks.stage.joined import Joined
from tasks.stage.kind import Stage
from tasks.stage.upstream import Upstream

logger = logging.getLogger(__name__)

MOST_SEEN = 8
"""Views of one pixel that kernels hold in registers; layouts in which more meet are fused by numpy."""


class FusePath(Protocol):
    """How fields of a panorama are read and fused; ``name`` and ``device`` are for the receipt."""

    name: str
    device: str

    def fields(self, teacher: Upstream | Joined, slot: int) -> Mapping[str, Any]:
        """What a teacher says of an item, in the form that :meth:`fuse` takes; BadItem if it was given up."""

    def taken(self) -> Any:
        """A mark behind all that was done for the fields of an item, which :meth:`fuse` waits for."""

    def fuse(
        self, labellings: Sequence[Labelling], height: int, settings: FusionSettings, metric: bool, observed: Observed, mark: Any
    ) -> dict[str, NDArray]:
        """ERP labels, as :func:`tasks.label.labellings.fuse_labellings` gives them."""


class Numpy:
    """On the CPU, of stored arrays."""

    name, device = "numpy", "cpu"

    def fields(self, teacher: Upstream | Joined, slot: int) -> Mapping[str, Any]:
        return decode_fields(teacher.item(slot), teacher.about)

    def taken(self) -> None:
        return None

    def fuse(
        self, labellings: Sequence[Labelling], height: int, settings: FusionSettings, metric: bool, observed: Observed, _mark: Any
    ) -> dict[str, NDArray]:
        return fuse_labellings(labellings, height, settings, metric, observed)


def fuse_path(job: Job, read: Sequence[Stage]) -> FusePath:
    """The path of a job that fuses the labels of the stages that it ``read``."""
    device = _device(job.execution.device)
    if device is None or not _fits(job.settings, read, job.stage.stages("views")):
        return Numpy()
    from tasks.label.on_device import OnDevice  # torch and Triton, which the other path need not have

    return OnDevice(device)


def _device(wanted: str) -> str | None:
    """The device of the kernels; None where there is no GPU for them, nor Triton's interpreter was asked for.

    ``TRITON_INTERPRET=1`` is Triton's own word for running kernels on the CPU, slowly: what the GPU would say, for tests.
    """
    if find_spec("triton") is None:
        return None
    import torch

    device = resolve_device(wanted) if torch.cuda.is_available() else "cpu"
    interpreted = os.environ.get("TRITON_INTERPRET") == "1"
    return device if device.startswith("cuda") != interpreted and not _refused(device) else None


@cache
def _refused(device: str) -> bool:
    """Whether no kernel can be started on the device, or one fuses otherwise than numpy, which is said once a process."""
    from geometry.device.launching import refusal
    from geometry.device.trial import disagreement

    if reason := refusal(device):
        logger.warning(
            "labels are fused by numpy: no kernel can be started on %s (%s). Triton needs a C compiler (apt-get install gcc "
            "libc6-dev, or CC) and a folder to write to (TRITON_CACHE_DIR)",
            device,
            reason,
        )
    elif label := disagreement(device):
        logger.warning(
            "labels are fused by numpy: %s fuses %s of a small panorama otherwise than numpy does. Please report it, with what "
            "`panolabel doctor` prints",
            device,
            label,
        )
    else:
        return False
    return True


def _fits(settings: Fuse, read: Sequence[Stage], views: Sequence[Stage]) -> bool:
    """Whether the kernels do all that is asked: one labelling, no gradients of depth, and few views of a pixel."""
    from geometry.device.gathering import most_seen

    dense = {field for stage in read for field in stage.settings.fields} - {"instances"}
    turned = any(stage.settings.rotation for stage in read)
    if not dense or turned or settings.depth == "gradient" or any(isinstance(one.settings.layout, Random) for one in views):
        return False
    size = settings.height, 2 * settings.height
    return all(most_seen(views_of(project.choose_views(one.settings, ""), *size)) <= MOST_SEEN for one in views)
