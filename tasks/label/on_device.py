"""Fusion on the device that teachers compute on: fields stay there, and one copy brings the labels back.

Teachers look at the next panorama in the thread that reads, in the device's default stream. This one's fields are fused, and its
labels copied, in a stream of their own by the thread that computes, so neither waits for the other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from numpy.typing import NDArray

from geometry.device.copies import to_host
from geometry.device.fields import upload_stored
from geometry.device.fuse import fuse_on_device
from geometry.fusion.fuse import FusionSettings, enforced
from tasks.ingest.observed import Observed
from tasks.label.arrays import decode_fields
from tasks.label.labellings import Labelling
from tasks.stage.devices import device_name
from tasks.stage.joined import Joined
from tasks.stage.upstream import Upstream

INSTANCES = "instances"
"""The field whose masks become instances on the CPU."""


class OnDevice:
    """The device's path of :mod:`tasks.label.paths`."""

    name = "device"

    def __init__(self, device: str) -> None:
        self._on = device
        self._stream = torch.cuda.Stream(device) if device.startswith("cuda") else None
        self.device = device_name(device)

    def fields(self, teacher: Upstream | Joined, slot: int) -> Mapping[str, Any]:
        """Of a teacher that is joined and can leave them there, tensors; else what is stored, uploaded as it is."""
        if isinstance(teacher, Joined) and teacher.stays:
            fields: Mapping[str, Any] = teacher.values(slot)
            return fields
        arrays, said = teacher.item(slot), teacher.about["fields"]
        masks = decode_fields(arrays, {"fields": {name: tags for name, tags in said.items() if name == INSTANCES}})
        return masks | {name: upload_stored(name, arrays, tags, self._on) for name, tags in said.items() if name != INSTANCES}

    def taken(self) -> torch.cuda.Event | None:
        """An event behind all that was started for the fields; nothing that is started for the next panorama is waited for."""
        return None if self._stream is None else torch.cuda.current_stream(self._on).record_event()

    def fuse(
        self, labellings: Sequence[Labelling], height: int, settings: FusionSettings, _metric: bool, observed: Observed, mark: Any
    ) -> dict[str, NDArray]:
        """ERP labels of the one labelling."""
        ((fields, cameras),) = labellings
        dense: dict[str, Any] = {name: field for name, field in fields.items() if name != INSTANCES}
        stream: AbstractContextManager[Any] = nullcontext() if self._stream is None else torch.cuda.stream(self._stream)
        with stream:
            if self._stream is not None:
                self._stream.wait_event(mark)
            labels = to_host(fuse_on_device(dense, cameras, height, 2 * height, settings, observed))
        if settings.enforce_normals and {"depth", "normals"} <= labels.keys():
            labels["depth"] = enforced(labels, settings.depth_edge)
        return labels
