"""The stages of a pipeline that labels pictures with one model, as a short command writes them."""

from __future__ import annotations

from typing import Any

import yaml

from configs.settings import ConfigError
from models.teachers import wanted_views
from models.teachers.panoramic.cubemap import given_fields

DEMO = "demo"
VIEWS = {"patch_size": 192, "layout": {"kind": "icosahedron", "fov_degrees": 90}}


def inferring_stages(model: str, revision: str | None, scene: str, height: int) -> dict[str, Any]:
    """``project`` to ``fuse``: labels of the small network that ships with panolabel, or geometry of a cubemap network and its
    classes.

    Parameters
    ----------
    model : ``demo``; ``cubemap``, or the folder or hub id of another cubemap network
    revision : commit of a hub id
    scene : ``auto``, ``indoor`` or ``outdoor``: which scale head of a cubemap network gives the metres
    height : rows of the labels

    Raises
    ------
    ConfigError
        The weights are not there or do not fit, or a scene is named for the small network.
    """
    demo = {"stage": "label", "kind": "transformers", "settings": {"model": DEMO}}
    if model == DEMO:
        if scene != "auto":
            raise ConfigError(f"--scene {scene}: the network that ships with panolabel has one scale; drop it, or name a --model")
        own = demo | {"fields": ["depth", "normals", "semantics"]}
        return {"project": VIEWS, "labels": own, "fuse": {"height": height, "depth": "blend", "depth_edge": 0.3}}
    settings = {"model": model, "scene": scene, **({"revision": revision} if revision else {})}
    try:
        wanted, fields = wanted_views("cubemap", settings), list(given_fields(settings))
    except (ValueError, OSError) as error:
        raise ConfigError(f"--model {model}: {error}") from error
    faces = {"stage": "project", **yaml.safe_load(f"{{{wanted.words}}}")}
    geometry = {"stage": "label", "kind": "cubemap", "fields": fields, "views": "faces", "settings": settings}
    classes = demo | {"fields": ["semantics"], "views": "project"}
    return {"faces": faces, "geometry": geometry, "project": VIEWS, "classes": classes, "fuse": {"height": height}}
