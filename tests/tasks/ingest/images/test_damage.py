"""Files whose pixels are damaged are refused, where their format can tell; sound ones of all kinds pass."""

import io
import os
import random
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from tasks.ingest.images import jpeg
from tasks.ingest.images.decode import BadImage, decode_panorama
from tasks.ingest.settings import Ingest

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


FLAT = {
    **{f"all {value}": np.full((64, 128, 3), value, np.uint8) for value in (0, 127, 128, 255)},
    "red": np.broadcast_to(np.uint8([255, 0, 0]), (64, 128, 3)),
    "ramp down": np.broadcast_to(np.linspace(255, 0, 128)[:, None], (64, 128, 3)).astype(np.uint8),
    "rows down": np.broadcast_to(np.linspace(255, 0, 64)[:, None, None], (64, 128, 3)).astype(np.uint8),
    "squares": (np.indices((64, 128)).sum(0) // 8 % 2 * 255)[..., None].repeat(3, 2).astype(np.uint8),
    "dots": (np.indices((64, 128)).sum(0) % 2 * 255)[..., None].repeat(3, 2).astype(np.uint8),
    "black, then noise": np.where(np.indices((64, 128))[0][..., None] < 32, 0, picture(64, 100)).astype(np.uint8),
}


@pytest.mark.parametrize("name", FLAT)
def test_zeros_that_are_code_are_no_damage(name: str) -> None:
    """Optimised and progressive JPEGs of flat pictures are of nothing but zeros."""
    most = 0
    for quality in (1, 10, 50, 75, 90, 100):
        for options in ({}, {"optimize": True}, {"progressive": True}, {"subsampling": 0}):
            for mode in ("RGB", "L"):
                data = saved(FLAT[name], "JPEG", mode, quality=quality, **(options if mode == "RGB" else {}))
                assert jpeg.damage(data) == "", (quality, options, mode)
                most = max(most, *(len(run) for run in re.findall(rb"\0+", data[data.index(b"\xff\xda") :])))
        for sampling in (0x111111, 0x221111, 0x411111):
            options = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, sampling]
            assert jpeg.damage(cv2.imencode(".jpg", FLAT[name], options)[1].tobytes()) == ""
    assert most > len(jpeg.HOLE) or not name.startswith("all"), "nothing was tried"


@pytest.mark.parametrize("quality", [75, 90])
@pytest.mark.parametrize("size", [32, 64])
def test_a_hole_of_zeros_is_refused_where_usual_tables_are(size: int, quality: int) -> None:
    """Strict decoding passes most of these: what is left are valid codes, of as many blocks, all of another brightness."""
    draw, data = random.Random(2), saved(picture(256, 12), "JPEG", quality=quality)
    begins, strict = data.index(b"\xff\xda") + 14, 0
    for _ in range(40):
        at = draw.randrange(begins, len(data) - size - 100)
        damaged = data[:at] + bytes(size) + data[at + size :]
        strict += bool(jpeg._complaint(damaged))
        with pytest.raises(BadImage, match="damaged"):
            decode_panorama(damaged, SETTINGS)
    print(f"strict decoding alone refuses {strict} of 40")


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
