"""Files whose pixels are damaged are refused, where their format can tell; sound ones of all kinds pass."""

import io
import os
import random
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from configs.schema import Ingest
from tasks import jpeg
from tasks.images import BadImage, decode_panorama

SETTINGS = Ingest(min_width=16)
DATA = Path(os.environ.get("PANOLABEL_DATA", "../shared"))


def picture(height: int, noise: int, seed: int = 0) -> np.ndarray:
    y, x = np.mgrid[0:height, 0 : 2 * height] / height
    waves = np.stack([np.sin(7 * x + 3 * y) * 60, np.cos(5 * y) * 60 + x * 20, np.sin(11 * (x - y)) * 60], -1) + 100
    added = np.random.default_rng(seed).integers(-noise, noise + 1, waves.shape)
    return np.clip(waves + added, 0, 255).astype(np.uint8)


def saved(pixels: np.ndarray, kind: str, mode: str = "RGB", **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(buffer, kind, **options)
    return buffer.getvalue()


def jpegs(count: int, seed: int) -> list[bytes]:
    """Baseline and progressive ones, of all subsamplings, with and without restart markers, odd sizes, grey and CMYK."""
    draw, files = random.Random(seed), []
    for number in range(count):
        mode = draw.choice(["RGB", "RGB", "L", "CMYK"])
        files.append(
            saved(
                picture(draw.choice([63, 128, 250]), draw.choice([0, 3, 20]), number),
                "JPEG",
                mode,
                quality=draw.choice([50, 75, 92, 97]),
                progressive=draw.random() < 0.4,
                subsampling=0 if mode == "CMYK" else draw.choice([0, 1, 2]),  # others of CMYK are read, but not looked through
                restart_marker_blocks=draw.choice([0, 0, 4]),
            )
        )
    return files


def test_sound_jpegs_pass() -> None:
    for data in jpegs(60, 1):
        assert jpeg.damage(data) == ""
        decode_panorama(data, SETTINGS)


@pytest.mark.parametrize("after", [b"", bytes(100), b"\xff\xd8\xff\xe0 a second picture", b"MotionPhoto_Data" * 50])
@pytest.mark.parametrize("before_the_end", [b"", bytes(7), b"\xff\xff"])
def test_what_cameras_add_to_a_jpeg_is_no_damage(before_the_end: bytes, after: bytes) -> None:
    exif = Image.Exif()
    exif[0x010E] = "a description"
    data = saved(picture(64, 5), "JPEG", exif=exif, comment=b"\xff\xda is no marker here")
    np.testing.assert_array_equal(
        decode_panorama(data[:-2] + before_the_end + data[-2:] + after, SETTINGS), decode_panorama(data, SETTINGS)
    )


def test_two_pictures_in_one_jpeg_are_no_damage() -> None:
    first, second = (Image.fromarray(picture(64, 5, seed)) for seed in (1, 2))
    buffer = io.BytesIO()
    first.save(buffer, "MPO", save_all=True, append_images=[second])
    assert jpeg.damage(buffer.getvalue()) == ""
    assert decode_panorama(buffer.getvalue(), SETTINGS).shape == (64, 128, 3)


@pytest.mark.parametrize("path", sorted((DATA / "panoramas").glob("*.jpg")), ids=lambda path: path.name)
def test_real_jpegs_pass(path: Path) -> None:
    assert jpeg.damage(path.read_bytes()) == ""


@pytest.mark.parametrize(("size", "least"), [(0, 0.97), (4096, 0.97), (256, 0.88)])
def test_nearly_all_damaged_jpegs_are_refused(size: int, least: float) -> None:
    """Cut and closed by an end marker (size 0), or with a hole of zeros. After a small hole valid codes may remain, by chance."""
    draw, wrong, refused = random.Random(2), 0, 0
    for data in jpegs(100, 3):
        begins = data.index(b"\xff\xda") + 16
        at = draw.randrange(begins, begins + (len(data) - begins) * 9 // 10)
        damaged = data[:at] + (bytes(size) + data[at + size :] if size else b"\xff\xd9")
        try:
            other = decode_panorama(damaged, SETTINGS).astype(int)
        except BadImage:
            refused += 1
        else:
            wrong += int(np.abs(other - decode_panorama(data, SETTINGS)).max() > 8)
    print(f"{refused} of {refused + wrong} damaged JPEGs are refused")
    assert refused > 80
    assert refused / (refused + wrong) >= least


LOSSY_OR_NOT = {
    "png": lambda: saved(picture(200, 9), "PNG"),
    "jpeg": lambda: saved(picture(200, 9), "JPEG"),
    "lzw tiff": lambda: saved(picture(200, 9), "TIFF", compression="tiff_lzw"),
    "deflated tiff": lambda: saved(picture(200, 9), "TIFF", compression="tiff_deflate"),
    "tiff of jpeg": lambda: saved(picture(200, 9), "TIFF", compression="jpeg"),
    "hdr": lambda: cv2.imencode(".hdr", (picture(200, 9) / 255).astype(np.float32))[1].tobytes(),
}


@pytest.mark.parametrize("name", LOSSY_OR_NOT)
def test_a_hole_is_refused_where_the_format_can_tell(name: str) -> None:
    data = LOSSY_OR_NOT[name]()
    decode_panorama(data, SETTINGS)
    for share in (0.3, 0.5, 0.7, 0.85):
        at = int(len(data) * share)
        with pytest.raises(BadImage, match="cannot be decoded"):
            decode_panorama(data[:at] + bytes(300) + data[at + 300 :], SETTINGS)


def test_a_png_whose_pixels_inflate_but_fail_their_checksum_is_refused() -> None:
    data = bytearray(saved(picture(32, 0), "PNG"))
    end = data.index(b"IEND") - 8
    data[end] ^= 1
    with pytest.raises(BadImage, match="checksum"):
        decode_panorama(bytes(data), SETTINGS)
