"""Rarer kinds of files: read as an independent reader or a closed form says, or refused with the true reason."""

import io
import struct

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms

from tasks.ingest.images.decode import BadImage, decode_panorama, open_panorama
from tasks.ingest.images.hdr import tone_map
from tasks.ingest.settings import Ingest

SETTINGS = Ingest(min_width=16)
HEIGHT, WIDTH = 32, 64
PIXELS = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8)
LINEAR = np.random.default_rng(1).uniform(0.01, 1, (HEIGHT, WIDTH, 3)).astype(np.float32)


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def tiff(pixels: np.ndarray, sample_format: int, order: str = "<", **tags: int) -> bytes:
    """An uncompressed TIFF (H, W, C) by hand; TIFF 6.0, section 2. ``t262=1`` sets tag 262."""
    height, width, samples = pixels.shape
    data = pixels.astype(pixels.dtype.newbyteorder(order)).tobytes()
    bits = pixels.dtype.itemsize * 8
    fields = {256: width, 257: height, 258: bits, 259: 1, 262: 2 if samples >= 3 else 1, 273: 8, 277: samples, 278: height}
    fields |= {279: len(data), 284: 1, 339: sample_format, **{int(name[1:]): value for name, value in tags.items()}}
    extra = 8 + len(data)
    rows, after = b"", b""
    for tag, value in sorted(fields.items()):
        if tag in (258, 339) and samples > 2:
            rows += struct.pack(order + "HHII", tag, 3, samples, extra + len(after))
            after += struct.pack(order + "H", value) * samples
        elif tag in (258, 339) and samples == 2:
            rows += struct.pack(order + "HHIHH", tag, 3, 2, value, value)
        else:
            rows += struct.pack(order + "HHII", tag, 4, 1, value)
    after += b"\0" * (len(after) % 2)
    head = (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, extra + len(after))
    return head + data + after + struct.pack(order + "H", len(fields)) + rows + struct.pack(order + "I", 0)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_floating_point_tiff_is_linear_light(dtype: type, order: str) -> None:
    decoded = decode_panorama(tiff(LINEAR.astype(dtype), 3, order), SETTINGS)
    np.testing.assert_array_equal(decoded, tone_map(LINEAR, SETTINGS.middle_grey))
    grey = decode_panorama(tiff(LINEAR[..., :1].astype(dtype), 3, order), SETTINGS)
    np.testing.assert_array_equal(grey, tone_map(np.repeat(LINEAR[..., :1], 3, axis=2), SETTINGS.middle_grey))


def test_alpha_of_a_floating_point_tiff_says_what_was_seen() -> None:
    alpha = np.where(np.arange(WIDTH) < 20, 0.2, 0.8).astype(np.float32) * np.ones((HEIGHT, 1), np.float32)
    for kind, colours in ((2, LINEAR), (1, LINEAR * alpha[..., None])):
        panorama = open_panorama(tiff(np.dstack([colours, alpha]), 3, t338=kind), SETTINGS)
        np.testing.assert_array_equal(panorama.observed, alpha >= 0.5)
        expected = tone_map(LINEAR, SETTINGS.middle_grey, alpha >= 0.5)
        assert np.abs(panorama.pixels.astype(int) - expected).max() <= 1


REFUSED = {
    "half floats": (tiff(LINEAR.astype(np.float16), 3), "16-bit floats"),
    "32-bit integers": (tiff(PIXELS.astype(np.uint32), 1), "32-bit integers"),
    "grey 32-bit integers": (tiff(PIXELS[..., :1].astype(np.uint32), 1), "32-bit integers"),
    "signed": (tiff(PIXELS[..., :1].astype(np.int16), 2), "signed"),
    "16 bits in planes": (tiff(PIXELS.astype(np.uint16), 1, t284=2), "planes of their own"),
    "floats in planes": (tiff(LINEAR, 3, t284=2), "planes of their own"),
    "16 bits, 0 is white": (tiff(PIXELS[..., :1].astype(np.uint16), 1, t262=0), "0 is white"),
    "grey and alpha of 16 bits": (tiff(PIXELS[..., :2].astype(np.uint16), 1, t338=2), r"2 samples of 16 bits"),
    "floats on their side": (tiff(LINEAR, 3, t274=6), "lies on its side"),
    "a reduced copy": (tiff(PIXELS, 1, t254=1), "reduced copy"),
    "xyz colours": (cv2.imencode(".hdr", LINEAR)[1].tobytes().replace(b"rle_rgbe", b"rle_xyze"), "XYZ"),
    "cut floats": (tiff(LINEAR, 3)[8:4000].join([b"II*\0\x08\0\0\0", b""]), "not an image|cannot be decoded|not read"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_kinds_that_would_be_read_wrongly_are_refused_with_the_true_reason(name: str) -> None:
    data, reason = REFUSED[name]
    with pytest.raises(BadImage, match=reason):
        decode_panorama(data, SETTINGS)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_ordinary_tiffs_give_their_pixels(dtype: type, order: str) -> None:
    scale = 257 if dtype == np.uint16 else 1
    np.testing.assert_array_equal(decode_panorama(tiff((PIXELS.astype(dtype) * scale).astype(dtype), 1, order), SETTINGS), PIXELS)


@pytest.mark.parametrize("axes", ["-Y +X", "+Y +X", "-Y -X", "+Y -X", "+X -Y", "+X +Y", "-X -Y", "-X +Y"])
def test_every_order_of_the_axes_of_an_hdr_file_is_upright(axes: str) -> None:
    """Written from an upright picture, scanline by scanline, as filefmts.pdf of Radiance has it; the oracle: the usual order."""
    upright = LINEAR[:, :, ::-1]
    expected = decode_panorama(cv2.imencode(".hdr", upright)[1].tobytes(), SETTINGS)
    first, second = axes.split()
    lines = upright
    if "+Y" in axes:
        lines = lines[::-1]
    if "-X" in axes:
        lines = lines[:, ::-1]
    if first[1] == "X":
        lines = lines.transpose(1, 0, 2)
    sizes = {"X": WIDTH, "Y": HEIGHT}
    data = cv2.imencode(".hdr", np.ascontiguousarray(lines))[1].tobytes()
    plain = f"\n\n-Y {len(lines)} +X {lines.shape[1]}\n".encode()
    assert plain in data
    data = data.replace(plain, f"\n\n{first} {sizes[first[1]]} {second} {sizes[second[1]]}\n".encode())
    np.testing.assert_array_equal(decode_panorama(data, SETTINGS), expected)


def adobe_like() -> bytes:
    """A profile of wider primaries than sRGB's, made of the ICC's own parts: matrix of D50 Adobe RGB (1998), gamma 2.2."""

    def xyz(*values: float) -> bytes:
        return b"XYZ \0\0\0\0" + b"".join(struct.pack(">i", round(value * 65536)) for value in values)

    gamma = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(2.2 * 256)) + b"\0\0"
    text = b"desc\0\0\0\0" + struct.pack(">I", 5) + b"wide\0" + bytes(78)
    white = xyz(0.9642, 1, 0.8249)
    tags = {
        b"desc": text, b"wtpt": white, b"cprt": b"text\0\0\0\0none\0\0\0\0",
        b"rXYZ": xyz(0.60974, 0.31111, 0.01947), b"gXYZ": xyz(0.20528, 0.62567, 0.06087), b"bXYZ": xyz(0.14919, 0.06322, 0.74457),
        b"rTRC": gamma, b"gTRC": gamma, b"bTRC": gamma,
    }  # fmt: skip
    at, table, body = 132 + 12 * len(tags), b"", b""
    for name, value in tags.items():
        value += bytes(-len(value) % 4)
        table += name + struct.pack(">II", at + len(body), len(value))
        body += value
    size = at + len(body)
    head = struct.pack(">I4sI4s4s4s", size, b"lcms", 0x02100000, b"mntr", b"RGB ", b"XYZ ") + bytes(12) + b"acsp" + bytes(28)
    head += struct.pack(">iii", 63190, 65536, 54061) + bytes(48)
    return head + struct.pack(">I", len(tags)) + table + body


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
def test_colours_with_a_profile_become_srgb(kind: str) -> None:
    """Closed form: decode gamma 2.2, go from Adobe RGB's primaries to sRGB's (both D65 there), encode sRGB."""
    muted = (PIXELS // 4 + 96).astype(np.uint8)  # within both gamuts
    data = saved(Image.fromarray(muted), kind, icc_profile=adobe_like(), **({"lossless": True} if kind == "WEBP" else {}))
    panorama = open_panorama(data, SETTINGS)
    matrix = np.array([[1.39836, -0.39836, 0], [0, 1, 0], [0, -0.04293, 1.04293]])
    linear = np.clip((muted / 255.0) ** 2.2 @ matrix.T, 0, 1)
    expected = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055) * 255
    assert np.abs(panorama.pixels - expected).max() < 2.5
    assert np.abs(panorama.pixels.astype(int) - muted).max() > 5
    assert not panorama.plain


def test_a_profile_that_is_srgb_by_any_name_moves_nothing() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    panorama = open_panorama(saved(Image.fromarray(PIXELS), "PNG", icc_profile=profile), SETTINGS)
    np.testing.assert_array_equal(panorama.pixels, PIXELS)
    assert panorama.plain


def test_lab_becomes_rgb() -> None:
    """L* = 53.59, a* = b* = 0 is the middle grey 128 of sRGB."""
    lab = Image.fromarray(np.full((HEIGHT, WIDTH, 3), [round(53.585 * 2.55), 0, 0], np.uint8), "LAB")
    assert np.abs(decode_panorama(saved(lab, "TIFF"), SETTINGS).astype(int) - 128).max() <= 1


def test_avif_is_read_and_heif_where_its_library_is() -> None:
    smooth = cv2.GaussianBlur(PIXELS, (0, 0), 4)
    assert np.abs(decode_panorama(saved(Image.fromarray(smooth), "AVIF", quality=95), SETTINGS).astype(int) - smooth).mean() < 3
    pytest.importorskip("pillow_heif", reason="panolabel[heif] is not installed")
    assert np.abs(decode_panorama(saved(Image.fromarray(smooth), "HEIF", quality=95), SETTINGS).astype(int) - smooth).mean() < 3


PLAIN = {"PNG": {}, "BMP": {}, "WEBP": {"lossless": True}, "JPEG": {"quality": 90}}


@pytest.mark.parametrize("kind", PLAIN)
def test_plain_files_are_the_same_to_an_independent_decoder(kind: str) -> None:
    data = saved(Image.fromarray(PIXELS), kind, **PLAIN[kind])
    panorama = open_panorama(data, SETTINGS)
    assert panorama.plain
    other = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1].astype(int)
    assert np.abs(other - panorama.pixels).max() <= (2 if kind == "JPEG" else 0)


def test_files_that_decoders_do_not_agree_on_are_not_plain() -> None:
    exif = Image.Exif()
    exif[0x0112] = 3
    alpha = Image.fromarray(np.dstack([PIXELS, np.full((HEIGHT, WIDTH), 255, np.uint8)]))
    files = [
        saved(Image.fromarray(PIXELS), "JPEG", exif=exif),
        saved(alpha, "PNG"),
        saved(Image.fromarray(PIXELS).convert("CMYK"), "JPEG"),
        saved(Image.fromarray(PIXELS).quantize(8), "PNG"),
        saved(Image.fromarray(PIXELS[..., 0].astype(np.uint16)), "PNG"),
        saved(Image.fromarray(PIXELS), "TIFF"),
        cv2.imencode(".png", PIXELS.astype(np.uint16) * 257)[1].tobytes(),
        cv2.imencode(".hdr", LINEAR)[1].tobytes(),
    ]
    assert [open_panorama(data, SETTINGS).plain for data in files] == [False] * len(files)
