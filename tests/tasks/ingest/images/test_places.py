"""A part of the sphere lies where its file says, in every format that can say it; the rest of the sphere was not photographed."""

import io
import struct
import tempfile
import zlib
from pathlib import Path

import numpy as np
import OpenEXR
import pytest
from PIL import Image, TiffImagePlugin

from tasks.ingest.images.decode import BadImage, Panorama, open_panorama
from tasks.ingest.images.headers import read_size
from tasks.ingest.settings import Ingest

SETTINGS = Ingest(min_width=16)
WIDTH, HEIGHT = 128, 64
WHOLE = np.random.default_rng(0).integers(1, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8)
GPANO = 'xmlns:GPano="http://ns.google.com/photos/1.0/panorama/"'
RDF = 'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"'
CROPS = {"half, and 2:1": (32, 16, 64, 32), "band off the middle": (0, 5, 128, 40), "part of the width": (7, 0, 100, 64)}


def attributes(**values: object) -> bytes:
    said = " ".join(f'GPano:{name}="{value}"' for name, value in values.items())
    return f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF {RDF}><rdf:Description {GPANO} {said}/></rdf:RDF></x:xmpmeta>'.encode()


def elements(**values: object) -> bytes:
    said = "".join(f"<GPano:{name}> {value} </GPano:{name}>" for name, value in values.items())
    packet = f"<rdf:RDF {RDF}><rdf:Description {GPANO}>{said}</rdf:Description></rdf:RDF>"
    return f'<?xpacket begin="\ufeff" id="W5M0"?>{packet}<?xpacket end="w"?>'.encode()


def crop(x: int, y: int, w: int, h: int, full: tuple[int, int] = (WIDTH, HEIGHT)) -> dict[str, object]:
    return {
        "ProjectionType": "equirectangular",
        "FullPanoWidthPixels": full[0],
        "FullPanoHeightPixels": full[1],
        "CroppedAreaImageWidthPixels": w,
        "CroppedAreaImageHeightPixels": h,
        "CroppedAreaLeftPixels": x,
        "CroppedAreaTopPixels": y,
    }


def saved(pixels: np.ndarray, kind: str, xmp: bytes = b"", **options: object) -> bytes:
    """A file with XMP, as Pillow writes it; for a TIFF as tag 700, for a PNG as iTXt by hand."""
    buffer = io.BytesIO()
    if kind == "TIFF":
        tags = TiffImagePlugin.ImageFileDirectory_v2()
        tags[700] = xmp
        options["tiffinfo"] = tags
    elif kind not in ("PNG", "PNG late"):
        options["xmp"] = xmp
    Image.fromarray(pixels).save(buffer, kind.split()[0], **options)
    data = buffer.getvalue()
    if kind.startswith("PNG"):
        body = b"XML:com.adobe.xmp\0\0\0\0\0" + xmp
        chunk = struct.pack(">I", len(body)) + b"iTXt" + body + struct.pack(">I", zlib.crc32(b"iTXt" + body))
        at = len(data) - 12 if "late" in kind else 33  # before IEND, or after IHDR
        data = data[:at] + chunk + data[at:]
    return data


FORMATS = {
    "JPEG": {"quality": 95, "subsampling": 0},
    "PNG": {},
    "PNG late": {},
    "TIFF": {},
    "WEBP": {"lossless": True},
    "AVIF": {},
}


@pytest.mark.parametrize("write", [attributes, elements])
@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("name", CROPS)
def test_a_part_lies_where_its_xmp_says(name: str, kind: str, write, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    x, y, w, h = CROPS[name]
    part = np.full((h, w, 3), 90, np.uint8) if kind in ("JPEG", "AVIF") else WHOLE[y : y + h, x : x + w]
    data = saved(part, kind, write(**crop(x, y, w, h)), **FORMATS[kind])
    panorama = open_panorama(data, SETTINGS)
    expected = np.zeros((HEIGHT, WIDTH), bool)
    expected[y : y + h, x : x + w] = True
    np.testing.assert_array_equal(panorama.observed, expected)
    assert np.abs(panorama.pixels[expected].astype(int) - part.reshape(-1, 3)).max() <= 2
    assert not panorama.pixels[~expected].any()
    assert not panorama.plain
    (tmp_path / "a").write_bytes(data)
    assert read_size(str(tmp_path / "a")) == (WIDTH, HEIGHT)


def test_parts_of_extended_xmp_are_put_together() -> None:
    """Adobe XMP specification, part 3, 1.1.3.1: pieces of at most 64 kB, in any order, with a name, a length and an offset."""
    packet = elements(Note="x" * 1000, **crop(32, 16, 64, 32))
    data = saved(WHOLE[16:48, 32:96], "JPEG", b"<x/>", quality=95)
    middle, segments = len(packet) // 2, b""
    for begins, piece in ((middle, packet[middle:]), (0, packet[:middle])):
        body = b"http://ns.adobe.com/xmp/extension/\0" + b"A" * 32 + struct.pack(">II", len(packet), begins) + piece
        segments += b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body
    panorama = open_panorama(data[:2] + segments + data[2:], SETTINGS)
    assert panorama.observed.sum() == 64 * 32
    assert panorama.observed[16:48, 32:96].all()


def test_a_picture_that_was_resized_since_lies_in_the_same_directions() -> None:
    x, y, w, h = (320, 160, 640, 320)
    part = open_panorama(saved(WHOLE[16:48, 32:96], "PNG", attributes(**crop(x, y, w, h, (1280, 640)))), SETTINGS)
    assert part.pixels.shape == (HEIGHT, WIDTH, 3)
    np.testing.assert_array_equal(part.pixels[16:48, 32:96], WHOLE[16:48, 32:96])


def test_a_picture_that_lies_on_its_side_is_turned_first() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    part = np.rot90(WHOLE[5:45]).copy()
    data = saved(part, "WEBP", attributes(**crop(0, 5, 128, 40)), lossless=True, exif=exif)
    panorama = open_panorama(data, SETTINGS)
    np.testing.assert_array_equal(panorama.pixels[5:45], WHOLE[5:45])
    assert not panorama.observed[:5].any()


@pytest.mark.parametrize("left", [100, -28, 127, -1, 128, 0])
@pytest.mark.parametrize("width", [64, 128])
def test_a_part_may_go_on_over_the_seam(left: int, width: int, tmp_path: Path) -> None:
    columns = (left + np.arange(width)) % WIDTH
    data = saved(WHOLE[10:40][:, columns], "PNG", attributes(**crop(left, 10, width, 30)))
    panorama = open_panorama(data, SETTINGS)
    expected = np.zeros((HEIGHT, WIDTH), bool)
    expected[10:40, columns] = True
    np.testing.assert_array_equal(panorama.observed, expected)
    np.testing.assert_array_equal(panorama.pixels, np.where(expected[..., None], WHOLE, 0))
    (tmp_path / "a").write_bytes(data)
    assert read_size(str(tmp_path / "a")) == (WIDTH, HEIGHT)


def test_the_disc_of_a_part_stays_in_its_direction() -> None:
    """45 degrees east, 20 up: (45 / 360 + 1/2) W, (1/2 - 20 / 180) H; the part is 2:1 and 180 degrees wide."""
    height, width = 512, 1024
    y, x = np.mgrid[0:height, 0:width] + 0.5
    disc = np.hypot(x - (45 / 360 + 0.5) * width, y - (0.5 - 20 / 180) * height) < 10
    image = np.where(disc[..., None], np.uint8([255, 0, 0]), np.uint8([90, 90, 90]))
    part = saved(image[128:384, 256:768], "PNG", attributes(**crop(256, 128, 512, 256, (width, height))))
    rows, columns = np.nonzero(open_panorama(part, SETTINGS).pixels[..., 0] == 255)
    longitude, latitude = (columns.mean() + 0.5) / width * 360 - 180, 90 - (rows.mean() + 0.5) / height * 180
    assert (longitude, latitude) == (pytest.approx(45, abs=0.05), pytest.approx(20, abs=0.05))


WRONG = {
    "another projection": (crop(0, 0, 128, 64) | {"ProjectionType": "cylindrical"}, "projection is 'cylindrical'"),
    "no room": (crop(0, 10, 128, 64), "no room"),
    "wider than the whole": (crop(0, 0, 128, 64, (120, 64)), "no room"),
    "a left edge beyond the whole": (crop(129, 0, 128, 64), "no room"),
    "above the top": (crop(0, -3, 128, 64), "no room"),
    "another shape": (crop(0, 0, 64, 64), "128x64, and its XMP speaks of a picture of 64x64"),
    "not a number": (crop(0, 0, 128, 64) | {"CroppedAreaTopPixels": "top"}, "CroppedAreaTopPixels = 'top'"),
    "infinite": (crop(0, 0, 128, 64) | {"FullPanoWidthPixels": "inf"}, "FullPanoWidthPixels = 'inf'"),
    "no size": (crop(0, 0, 0, 0), "not a size"),
    "whole of another shape": (crop(0, 0, 128, 64, (128, 128)), "not 2:1"),
    "whole larger than is read": (crop(0, 0, 128, 64, (200_000, 100_000)), r"whole sphere of 200000x100000 .*max_megapixels"),
    "no place": ({"FullPanoWidthPixels": 256, "FullPanoHeightPixels": 128, "CroppedAreaImageWidthPixels": 128,
                  "CroppedAreaImageHeightPixels": 64}, "not where it lies"),
    "no whole": ({"CroppedAreaLeftPixels": 5, "CroppedAreaTopPixels": 5}, "not of what whole"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_xmp_that_contradicts_itself_or_the_picture_is_refused(name: str) -> None:
    values, reason = WRONG[name]
    with pytest.raises(BadImage, match=reason):
        open_panorama(saved(WHOLE, "PNG", attributes(**values)), SETTINGS)


@pytest.mark.parametrize(
    ("xmp", "reason"),
    [
        (attributes(**crop(0, 0, 128, 64))[:-30], "cannot be read"),
        (b"<!DOCTYPE a [<!ENTITY b 'c'>]>" + attributes(**crop(0, 0, 128, 64)), "document type"),
    ],
)
def test_xmp_of_a_panorama_that_cannot_be_read_is_refused(xmp: bytes, reason: str) -> None:
    with pytest.raises(BadImage, match=reason):
        open_panorama(saved(WHOLE, "PNG", xmp), SETTINGS)


@pytest.mark.parametrize("values", [{}, {"ProjectionType": "equirectangular"}, crop(0, 0, WIDTH, HEIGHT)])
@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_a_whole_panorama_with_xmp_stays_as_it_is(values: dict, kind: str) -> None:
    panorama = open_panorama(saved(WHOLE, kind, attributes(**values), **FORMATS[kind]), SETTINGS)
    np.testing.assert_array_equal(panorama.pixels, WHOLE)
    assert panorama.observed.all()
    assert panorama.plain
    assert open_panorama(saved(WHOLE, kind, b"<x>of another program", **FORMATS[kind]), SETTINGS).plain


def test_the_files_own_place_counts_and_a_list_must_not_contradict_it() -> None:
    data = saved(WHOLE[5:45], "PNG", attributes(**crop(0, 5, 128, 40)))
    np.testing.assert_array_equal(open_panorama(data, SETTINGS, 40 / 64 * 180).pixels[5:45], WHOLE[5:45])
    with pytest.raises(BadImage, match=r"shows 112.5 degrees from top to bottom, .* vertical_degrees = 90"):
        open_panorama(data, SETTINGS, 90)


def test_how_the_camera_was_held_is_told_and_nothing_is_turned() -> None:
    values = {"PosePitchDegrees": "-3.5", "PoseRollDegrees": "0.0", "PoseHeadingDegrees": 120}
    panorama = open_panorama(saved(WHOLE, "PNG", attributes(**values)), SETTINGS)
    assert panorama.pose == {"pose_pitch_degrees": -3.5, "pose_heading_degrees": 120.0}
    np.testing.assert_array_equal(panorama.pixels, WHOLE)


@pytest.mark.parametrize("said", ["nan", "5,2", "inf", "1e12", "north", "-"])
def test_a_pose_that_is_no_angle_says_nothing(said: str) -> None:
    values = {"PosePitchDegrees": said, "PoseHeadingDegrees": 120}
    panorama = open_panorama(saved(WHOLE, "PNG", attributes(**values)), SETTINGS)
    assert panorama.pose == {"pose_heading_degrees": 120.0}
    np.testing.assert_array_equal(panorama.pixels, WHOLE)


def exr(window: tuple[int, int, int, int], shape: tuple[int, int], alpha: np.ndarray | None = None) -> bytes:
    """A file of the given display window whose data window begins at 0, 0; grey of 0.18 where alpha is 1."""
    corner = np.array(window, np.int32)
    header = {"displayWindow": (corner[:2], corner[2:])}
    light = np.full((*shape, 3), 0.18, np.float32)
    channels = {"RGB": light} if alpha is None else {"RGBA": np.dstack([light * alpha[..., None], alpha]).astype(np.float32)}
    with tempfile.NamedTemporaryFile(suffix=".exr") as file:
        OpenEXR.File(header, channels).write(file.name)
        return Path(file.name).read_bytes()


def opened(data: bytes) -> Panorama:
    with tempfile.NamedTemporaryFile(suffix=".exr") as file:
        file.write(data)
        file.flush()
        panorama = open_panorama(data, SETTINGS)
        assert read_size(file.name) == panorama.pixels.shape[1::-1]
        return panorama


def test_the_data_window_of_an_exr_lies_in_its_display_window() -> None:
    panorama = opened(exr((-32, -10, 95, 53), (40, 64)))
    expected = np.zeros((HEIGHT, WIDTH), bool)
    expected[10:50, 32:96] = True
    np.testing.assert_array_equal(panorama.observed, expected)
    assert np.ptp(panorama.pixels[expected]) == 0, "what was not seen has no part in the exposure"


def test_what_an_exr_stores_beyond_its_display_window_is_cut_off() -> None:
    panorama = opened(exr((4, 2, 4 + 63, 2 + 31), (40, 80)))
    assert panorama.pixels.shape == (32, 64, 3)
    assert panorama.observed.all()
    with pytest.raises(BadImage, match="lies outside"):
        open_panorama(exr((500, 0, 627, 63), (64, 128)), SETTINGS)


def test_colours_of_an_exr_are_multiplied_with_its_alpha() -> None:
    alpha = np.ones((HEIGHT, WIDTH), np.float32)
    alpha[:8], alpha[8:16] = 0.25, 0.75
    panorama = open_panorama(exr((0, 0, 127, 63), (HEIGHT, WIDTH), alpha), SETTINGS)
    np.testing.assert_array_equal(panorama.observed, alpha >= 0.5)
    assert np.ptp(panorama.pixels[8:]) <= 1


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP", "AVIF"])
def test_what_is_more_than_half_transparent_was_not_photographed(kind: str) -> None:
    alpha = np.tile(np.uint8([0, 127, 128, 255]), WIDTH // 4) * np.ones((HEIGHT, 1), np.uint8)
    options = {"lossless": True, "exact": True} if kind == "WEBP" else {"quality": 100} if kind == "AVIF" else {}
    buffer = io.BytesIO()
    Image.fromarray(np.dstack([WHOLE, alpha])).save(buffer, kind, **options)
    panorama = open_panorama(buffer.getvalue(), SETTINGS)
    np.testing.assert_array_equal(panorama.observed, alpha >= 128)
    assert not panorama.pixels[alpha < 128].any()
    if kind != "AVIF":
        np.testing.assert_array_equal(panorama.pixels[alpha >= 128], WHOLE[alpha >= 128])


def test_a_transparent_colour_of_a_palette_or_of_16_bits_was_not_photographed() -> None:
    palette = Image.fromarray(WHOLE).quantize(16)
    buffer = io.BytesIO()
    palette.save(buffer, "PNG", transparency=3)
    panorama = open_panorama(buffer.getvalue(), SETTINGS)
    np.testing.assert_array_equal(panorama.observed, np.asarray(palette) != 3)
    grey = WHOLE[..., 0].astype(np.uint16) * 257
    buffer = io.BytesIO()
    Image.fromarray(grey).save(buffer, "PNG")
    body = b"tRNS" + struct.pack(">H", int(grey[0, 0]))
    data = buffer.getvalue()
    data = data[:33] + struct.pack(">I", 2) + body + struct.pack(">I", zlib.crc32(body)) + data[33:]
    np.testing.assert_array_equal(open_panorama(data, SETTINGS).observed, grey != grey[0, 0])
