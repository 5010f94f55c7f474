"""Fusion where views leave holes: every layout, method and unit gives what the views see, and nothing anywhere else."""

import itertools
import warnings

import numpy as np
import pytest

from geometry import layouts
from geometry.cameras import Camera
from geometry.directions import erp_directions
from geometry.fields import Field
from geometry.fusion.fuse import FusionSettings, fuse
from geometry.surfaces.auxiliaries import AUXILIARIES, derive_auxiliaries
from metrics.consistency import consistency_figures
from metrics.depth_normals import depth_normal_figures
from metrics.seams import seam_figures
from tests.geometry.fusion.test_fuse import depth_field, label_field, room

SIZE, HEIGHT, WIDTH = 32, 64, 128


def explicit(*views: tuple[float, float, float]) -> tuple[Camera, ...]:
    return layouts.explicit(SIZE, [(*np.radians(view), 0.0) for view in views])


LAYOUTS = {
    "one view": explicit((0, 0, 90)),
    "one pole": explicit((0, 90, 90)),
    "less than a pixel": explicit((3, -40, 0.5)),
    "two views": explicit((0, 0, 90), (180, 0, 60)),
    "apart, no row in common": explicit((0, 60, 30), (120, -60, 30)),
    "narrow cubemap": layouts.cubemap(SIZE, np.radians(40)),
    "rings without poles": layouts.rings(SIZE, poles=False),
    "everywhere": layouts.icosahedron_vertices(SIZE),
}
KINDS = ("all", "no view", "one pixel", "one of the views")


def valid_of(kind: str, shape: tuple[int, ...]) -> np.ndarray:
    valid = np.full(shape, kind == "all")
    if kind == "one pixel":
        valid[-1, SIZE // 2, SIZE // 2] = True
    if kind == "one of the views":
        valid[-1] = True
    return valid


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_method_and_unit_gives_what_is_seen_and_nothing_else(layout, kind):
    cameras = LAYOUTS[layout]
    depth, normals, classes = (np.stack(one) for one in zip(*(room(camera.directions()) for camera in cameras)))
    valid = valid_of(kind, depth.shape)
    said = {"metre": depth, "scale": depth, "inverse": 1 / depth}
    true = room(erp_directions(HEIGHT, WIDTH))[0]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for method, unit in itertools.product(("single", "blend", "align", "gradient"), said):
            fields = {
                "depth": depth_field(np.where(valid, said[unit], np.nan), unit, valid=valid),
                "normals": Field("normals", normals.astype(np.float32), valid, "unit", "world"),
                "semantics": label_field(classes),
                "sky": Field("sky", np.zeros(valid.shape, np.float32), valid, "probability"),
            }
            labels = fuse(fields, cameras, HEIGHT, WIDTH, FusionSettings(depth=method, enforce_normals=True, classes=16))
            known = labels["depth_valid"]
            assert not (known & (labels["views"] == 0)).any()
            for name in ("depth", "depth_consistency", "normals", "normals_agreement", "normals_consistency"):
                assert np.isfinite(labels[name]).all()
                assert not labels[name][~labels[f"{name.split('_')[0]}_valid"]].any(), (name, method, unit)
            assert not labels["semantics_confidence"][labels["views"] == 0].any()
            if known.any():
                ratio = labels["depth"][known] / true[known]
                off = ratio if unit == "metre" else ratio / np.median(ratio)
                assert np.median(np.abs(off - 1)) < 0.03, (method, unit)
            derived = derive_auxiliaries(AUXILIARIES, labels, np.zeros((HEIGHT, WIDTH, 3), np.uint8), 0.1)
            assert all(np.isfinite(array).all() for array in derived.values())
            seam_figures(labels["depth"], known)
            figures = {**depth_normal_figures(labels, 0.1), **consistency_figures(labels)}
            assert all(np.isfinite(value) for value in figures.values())


@pytest.mark.parametrize("method", ["single", "blend", "align", "gradient"])
def test_rings_without_poles_are_right_where_they_look(method):
    cameras = layouts.rings(64, poles=False)
    truth = np.stack([room(camera.directions())[0] for camera in cameras])
    labels = fuse({"depth": depth_field(truth)}, cameras, 96, 192, FusionSettings(depth=method))
    np.testing.assert_array_equal(labels["depth_valid"], labels["views"] > 0)
    assert 0.4 < labels["depth_valid"].mean() < 0.6
    error = np.abs(labels["depth"] / room(erp_directions(96, 192))[0] - 1)[labels["depth_valid"]]
    assert np.median(error) < 1e-3
    assert error.mean() < 0.01
