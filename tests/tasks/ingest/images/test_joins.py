"""What is clearly not one equirectangular picture is quarantined; what may be one never is."""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from tasks.ingest.check import check_entry
from tasks.ingest.entries import Entry
from tasks.ingest.images.decode import decode_panorama, open_panorama
from tasks.ingest.images.joins import join_figures, refusal
from tasks.ingest.settings import Ingest

SETTINGS = Ingest()
DATA = Path(os.environ.get("PANOLABEL_DATA", "../shared"))
REAL = sorted((DATA / "panoramas").glob("*.hdr")) + sorted((DATA / "panoramas").glob("*.jpg"))
needs_panoramas = pytest.mark.skipif(not REAL, reason="no real panoramas; set PANOLABEL_DATA")


def waves(longitude: np.ndarray, latitude: np.ndarray, fine: float = 1.0) -> np.ndarray:
    """Texture that is a function of the direction, so that edges join and poles are points: (..., 3) uint8."""
    x, y, z = fine * np.array([np.cos(latitude) * np.sin(longitude), np.sin(latitude), np.cos(latitude) * np.cos(longitude)])
    channels = [np.sin(17 * x + 5 * y) * np.cos(23 * z), np.sin(31 * y + 11 * z), np.cos(29 * x - 13 * z) * np.sin(19 * y + 1)]
    return np.round(np.stack(channels, axis=-1) * 100 + 128).astype(np.uint8)


def directions(height: int, turn: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    rows, columns = (np.mgrid[0:height, 0 : 2 * height] + 0.5) / height * np.pi
    return columns - np.pi + turn, np.pi / 2 - rows


def said(pixels: np.ndarray, observed: np.ndarray | None = None) -> str:
    seen = np.ones(pixels.shape[:2], bool) if observed is None else observed
    return refusal(join_figures(pixels, seen), SETTINGS)


PANORAMA = waves(*directions(256))


@pytest.mark.parametrize("turn", [0, 1, 2, 3, 4, 5])
def test_a_panorama_passes_however_it_is_turned(turn: int) -> None:
    pixels = waves(*directions(256, turn))
    figures = join_figures(pixels, np.ones(pixels.shape[:2], bool))
    assert figures["seam"] < 1.25
    assert figures["poles"] < 0.1
    assert not refusal(figures, SETTINGS)


def fisheyes(side: int) -> np.ndarray:
    """Two equidistant lenses of 190 degrees, black around them."""
    x, y = np.meshgrid(np.linspace(-1, 1, side), np.linspace(-1, 1, side))
    radius, angle = np.hypot(x, y), np.arctan2(-y, x)
    away = radius * np.radians(95)
    eyes = []
    for turn in (0, np.pi):
        longitude = np.arctan2(np.sin(away) * np.cos(angle), np.cos(away)) + turn
        eyes.append(np.where(radius[..., None] > 1, 0, waves(longitude, np.arcsin(np.sin(away) * np.sin(angle)))))
    return np.hstack(eyes).astype(np.uint8)


def view() -> np.ndarray:
    """A pinhole camera of 90 degrees, 2:1."""
    x, y = np.meshgrid(np.linspace(-1, 1, 600), np.linspace(0.5, -0.5, 300))
    return waves(np.arctan2(x, 1) + 1, np.arctan2(y, np.hypot(x, 1)), fine=3)


def squeezed(upright: bool) -> np.ndarray:
    one, other = PANORAMA, waves(*directions(256, 0.03))
    return cv2.resize(np.hstack([one, other]) if upright else np.vstack([one, other]), (512, 256), interpolation=cv2.INTER_AREA)


NOT_ONE = {
    "perspective": (view(), "not equirectangular"),
    "middle of a panorama": (cv2.resize(PANORAMA[64:192, 100:356], (512, 256)), "not equirectangular"),
    "side by side": (squeezed(True), "stereo pair"),
    "one above the other": (squeezed(False), "stereo pair"),
    "two lenses": (fisheyes(256), "two lenses"),
}


@pytest.mark.parametrize("name", NOT_ONE)
def test_other_2_to_1_pictures_are_refused(name: str) -> None:
    pixels, reason = NOT_ONE[name]
    assert reason in said(pixels)


def with_logo() -> np.ndarray:
    """A disc of 40 degrees at the nadir, of sectors, one of whose edges is the seam."""
    sectors = (np.arange(512) // 64 % 2 * 255).astype(np.uint8)[:, None]
    return np.where((np.arange(256) > 256 * 140 / 180)[:, None, None], sectors, PANORAMA).astype(np.uint8)


def corridor() -> np.ndarray:
    """Two walls, a floor and a ceiling without end; front and back are alike, and left and right."""
    longitude, latitude = directions(256)
    sides = np.abs([np.cos(latitude) * np.sin(longitude), np.sin(latitude)])
    away = np.abs(np.cos(latitude) * np.cos(longitude)) / np.maximum(sides.max(axis=0), 1e-6)
    shade = np.where(sides[0] > sides[1], 200, np.where(latitude > 0, 240, 110)) * np.exp(-away / 6)
    grain = np.random.default_rng(0).normal(0, 1.5, (256, 512, 3))
    return np.clip((shade * np.where(np.sin(away * 3) > 0.9, 0.6, 1))[..., None] + grain, 0, 255).astype(np.uint8)


def plain_room() -> np.ndarray:
    """Grey with the noise of a sensor, and a door whose left edge is the seam."""
    shade = np.full((256, 512, 1), 180.0)
    shade[100:180, :60] = 90
    return np.clip(shade + np.random.default_rng(1).normal(0, 3, (256, 512, 3)), 0, 255).astype(np.uint8)


PASSING = {
    "a logo at the nadir": with_logo(),
    "a corridor": corridor(),
    "a corridor, turned": np.roll(corridor(), 77, axis=1),
    "an exposure that differs over the seam": (PANORAMA * np.linspace(0.8, 1, 512)[None, :, None]).astype(np.uint8),
    "a wall's edge at the seam, and noise": plain_room(),
    "flat": np.full((256, 512, 3), 90, np.uint8),
    "noise": np.random.default_rng(0).integers(0, 256, (256, 512, 3)).astype(np.uint8),
    "small noise": np.random.default_rng(0).integers(0, 256, (16, 32, 3)).astype(np.uint8),
    "black rows": np.where((np.abs(np.arange(256) - 128) < 50)[:, None, None], PANORAMA, 0).astype(np.uint8),
    "a seam of bad stitching": np.hstack([PANORAMA[:, :5] // 2, PANORAMA[:, 5:]]),
}


@pytest.mark.parametrize("name", PASSING)
def test_what_may_be_a_panorama_passes(name: str) -> None:
    assert said(PASSING[name]) == ""


def test_only_what_was_seen_is_measured() -> None:
    """Edges and poles that nobody photographed tell nothing; black would join black."""
    observed = np.zeros((256, 512), bool)
    observed[60:200, 40:470] = True
    assert not {"seam", "poles", "halves", "corners"} & set(join_figures(PANORAMA * observed[..., None], observed))
    observed[:, :] = True
    observed[:60] = False
    band = join_figures(PANORAMA * observed[..., None], observed)
    assert band["seam"] < 1.25
    assert band["poles"] < 0.2, "the south pole is seen"


@needs_panoramas
def test_no_real_panorama_is_refused() -> None:
    turns = np.random.default_rng(0)
    for path in REAL:
        panorama = open_panorama(path.read_bytes(), SETTINGS)
        figures = join_figures(panorama.pixels, panorama.observed)
        print(path.name, figures)
        assert not refusal(figures, SETTINGS), path.name
        small = cv2.resize(panorama.pixels, (1024, 512), interpolation=cv2.INTER_AREA)
        for turn in turns.integers(0, 1024, 3):
            assert not said(np.roll(small, turn, axis=1)), path.name


@pytest.mark.skipif(not (DATA / "labels").is_dir(), reason="no photographs; set PANOLABEL_DATA")
def test_most_photographs_cut_to_2_to_1_are_refused() -> None:
    refused = []
    for path in sorted((DATA / "labels").rglob("*.jpg")):
        photograph = cv2.imread(str(path))
        height = min(photograph.shape[0], photograph.shape[1] // 2)
        if height >= 192:
            refused.append(bool(said(photograph[:height, : 2 * height])))
    print(f"{sum(refused)} of {len(refused)}")
    assert np.mean(refused) > 0.7


def test_ingest_keeps_the_figures_and_the_reason(tmp_path: Path) -> None:
    for name, pixels in (("pano", PANORAMA), ("photo", NOT_ONE["perspective"][0])):
        cv2.imwrite(str(tmp_path / f"{name}.png"), pixels)
    good, bad = (check_entry(Entry(name, str(tmp_path / f"{name}.png"), 1, ""), SETTINGS) for name in ("pano", "photo"))
    assert good.reason == ""
    assert good.figures == join_figures(PANORAMA, np.ones((256, 512), bool))
    assert bad.reason.startswith("2:1, but not equirectangular")
    assert bad.figures["seam"] > 1.25
    lenient = check_entry(Entry("photo", str(tmp_path / "photo.png"), 1, ""), Ingest(most_seam=1000))
    assert lenient.reason == ""
    assert decode_panorama((tmp_path / "photo.png").read_bytes(), SETTINGS).shape == (300, 600, 3)
