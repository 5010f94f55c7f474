"""The figures over a rendered clip: its truth has no error in any of them, and known errors have their values."""

import re
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from geometry.directions import erp_directions
from geometry.video.flow import bearings_to_flow, moved_along, rigid_bearings
from metrics.video.flicker import flicker, true_flicker
from metrics.video.seams import flow_seam_ratios, seam_ratios
from metrics.video.static import CANNOT_TELL, MOVING, STATIC, static_figures
from metrics.video.tracks import after_birth, point_figures, strata, track_figures
from metrics.video.trajectory import Trajectory, absolute_error, relative_error
from scenes.clips import write_clips
from scenes.filming import Filmed, Tracks, film, true_tracks
from scenes.moving import build_clip

TIMES = [number / 10 for number in range(10)]
HEIGHT = 64


@cache
def clip() -> tuple[list[Filmed], Tracks, Trajectory]:
    """A room of things that move, and a camera that walks and turns through it; tracks of points all round."""
    scene = build_clip("room", 3, "walk_turn", things=3, seconds=1.0)
    frames = list(film(scene, TIMES, HEIGHT))
    poses = [one.pose for one in frames]
    path = Trajectory(np.array(TIMES), np.stack([one.rotation for one in poses]), np.stack([one.shift for one in poses]))
    return frames, true_tracks(scene, TIMES, erp_directions(16, 32).reshape(-1, 3)), path


def moving_points() -> np.ndarray:
    _, tracks, _ = clip()
    return np.ptp(tracks.point, axis=1).max(axis=-1) > 1e-6


def test_the_path() -> None:
    frames, _, path = clip()
    depth = float(np.median([one.frame.depth for one in frames]))
    found = absolute_error(path, path, depth)
    assert found.path > 0.05 * depth
    assert (found.ate, found.scale, found.reason) == (pytest.approx(0, abs=1e-12), pytest.approx(1), "")
    turn = Rotation.from_rotvec(np.outer(np.arange(10), np.radians([0, 0.5, 0]))).as_matrix()
    off = Trajectory(path.seconds, path.rotation @ turn, path.position)
    assert relative_error(off, path, 0.3, depth).rotation == pytest.approx(1.5, rel=1e-6)
    assert relative_error(off, path, 0.3, depth).translation > 0  # what it moves by is told in its own frame


def test_the_tracks() -> None:
    _, tracks, path = clip()
    counted = after_birth(np.zeros(len(tracks.point), int), len(TIMES))
    parts = strata(tracks.bearing, tracks.visible, moving_points(), counted)
    assert all(part.any() for part in parts.values())
    off = moved_along(tracks.bearing, np.broadcast_to([0.0, np.radians(0.7)], (*counted.shape, 2)))
    for part in parts.values():
        perfect = track_figures(tracks.bearing, tracks.visible, tracks.bearing, tracks.visible, part)
        assert perfect.pop("median") == 0
        assert set(perfect.values()) == {1.0}
        known = track_figures(off, tracks.visible, tracks.bearing, tracks.visible, part)
        assert known["median"] == pytest.approx(0.7)
        assert (known["average_jaccard"], known["occlusion_accuracy"]) == (pytest.approx(3 / 5), 1)
    farther = path.position + 1.05 * (tracks.point - path.position)
    assert point_figures(farther, tracks.point, path.position, counted)["point_abs_rel"] == pytest.approx(0.05)
    assert point_figures(tracks.point, tracks.point, path.position, counted)["point_abs_rel"] == 0


def test_what_moves() -> None:
    frames, _, _ = clip()
    moving = np.stack([one.moving for one in frames])
    assert static_figures(np.where(moving, MOVING, STATIC), moving)["static_f1"] == 1
    unsure = static_figures(np.where(moving, CANNOT_TELL, STATIC), moving)
    assert (unsure["static_f1"], unsure["moving_recall"]) == (1, 0)
    assert unsure["cannot_tell"] == pytest.approx(moving.mean())


def test_the_flicker() -> None:
    frames, _, path = clip()
    depth, still = np.stack([one.frame.depth for one in frames]), ~np.stack([one.moving for one in frames])
    assert true_flicker(depth, depth, path, still)["flicker"] == 0
    own = flicker(depth, path, still)
    assert own["flicker"] < 2e-3
    assert own["motion"] > 1
    alternating = np.exp(0.02 * (-1.0) ** np.arange(10))[:, None, None]
    found = true_flicker(depth * alternating, depth, path, still)
    assert found["flicker"] == pytest.approx(0.04, abs=1e-6)
    assert found["flicker_per_second"] == pytest.approx(0.4, abs=1e-5)
    assert flicker(depth * alternating, path, still)["flicker"] == pytest.approx(0.04, rel=0.2)


def test_the_seams() -> None:
    frames, _, path = clip()
    assert all(seam_ratios(one.frame.image)["wrap_ratio"] < 2 for one in frames)
    back = path.rotation[0].T
    relative = back @ path.rotation[1], back @ (path.position[1] - path.position[0])
    flow = bearings_to_flow(rigid_bearings(frames[0].frame.depth, *relative)[0])
    assert flow_seam_ratios(flow)["wrap_ratio"] < 2
    cut = flow + [0.5, 0] * (np.arange(2 * HEIGHT) < HEIGHT)[None, :, None]
    assert flow_seam_ratios(cut)["wrap_ratio"] > 3


def test_the_page_says_what_they_are(tmp_path: Path) -> None:
    page = (Path(__file__).parents[3] / "docs/video.md").read_text()
    found = re.search("^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert found is not None
    write_clips(tmp_path, "room", 1, 0, 32, seconds=0.8, processes=1)
    told: dict[str, Any] = {}
    exec(found[1].replace("work/video", str(tmp_path)), told)
    assert told["flicker"]["flicker"] == pytest.approx(np.log(1.1), abs=1e-6)
    assert (told["absolute"].ate, told["relative"].rotation) == pytest.approx((0, 0), abs=1e-5)
    assert [row.metric for row in told["values"]] == ["ate", "flicker", "flicker_per_second", "judged", "motion"]
