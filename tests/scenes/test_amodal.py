"""An amodal mask is what a camera would see of an object in a world that holds nothing else."""

from dataclasses import replace

import numpy as np
import pytest

from geometry.directions import erp_directions
from scenes.amodal import amodal_masks, decode_run_lengths, run_lengths
from scenes.build import build_scene
from scenes.render import render_erp
from scenes.world import Scene


def alone(scene: Scene, instance: int) -> Scene:
    keep = scene.instances == instance
    return replace(
        scene,
        triangles=scene.triangles[keep],
        classes=scene.classes[keep],
        instances=scene.instances[keep],
        material=scene.material[keep],
    )


@pytest.mark.parametrize("kind", ["room", "street"])
def test_masks_are_those_of_objects_rendered_alone(kind: str) -> None:
    scene = build_scene(kind, 8)
    position = scene.free_position(np.random.default_rng(0))
    masks = amodal_masks(scene, position, erp_directions(48, 96))
    frame = render_erp(scene, position, 48, 96)
    assert set(np.unique(frame.instances[frame.instances > 0]).tolist()) <= masks.keys()
    hidden = 0
    for instance in np.unique(scene.instances[scene.instances > 0]).tolist():
        expected = ~render_erp(alone(scene, instance), position, 48, 96).sky
        mask = masks.get(instance, np.zeros_like(expected))
        np.testing.assert_array_equal(mask, expected)
        visible = frame.instances == instance
        assert not (visible & ~mask).any()
        hidden += int((mask & ~visible).sum())
        np.testing.assert_array_equal(decode_run_lengths(run_lengths(mask)), mask)
    assert hidden > 0, "something hides something"


def test_run_lengths_are_those_of_coco() -> None:
    # Column by column: 0 1 | 1 1 | 1 0, and zeros are counted first.
    mask = np.array([[0, 1, 1], [1, 1, 0]], bool)
    assert run_lengths(mask) == {"size": [2, 3], "counts": [1, 4, 1]}
    assert run_lengths(np.ones((2, 2), bool)) == {"size": [2, 2], "counts": [0, 4]}
    assert run_lengths(np.zeros((2, 2), bool)) == {"size": [2, 2], "counts": [4]}
