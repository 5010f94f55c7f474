"""train: which network an entry of a pipeline trains; each has settings of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import ConfigDict

from configs.settings import Settings
from tasks.stage.kind import Edge, Kind, Part


class Train(Settings):
    """What every training says; the rest is the network's own: docs/student.md, docs/panoramic-models.md and docs/adapt.md have
    the tables."""

    model_config = ConfigDict(extra="allow")

    kind: Literal["student", "cubemap", "seamless"] = "student"
    """``student``: depth, normals and semantics, of labels. ``cubemap``: depth, normals and sky, of labels, by a network that
    sees six faces of a panorama at once. ``seamless``: whole objects, of labelled pinhole images."""


def parts(settings: Train, named: Mapping[str, Any]) -> list[Part]:
    """The one stage of that kind."""
    return [Part("", f"train.{settings.kind}", settings.model_extra or {}, named)]


KIND = Kind("train", "1", Train, {"labels": Edge("labels", anywhere=True, weighted=True)}, "model", expand=parts)
