"""Every kind of broken or odd image file becomes a normalised panorama or a reason; never a crash, never a flood of warnings."""

import io
import os
import struct
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

import cv2
import numpy as np
import OpenEXR
import pytest
from PIL import Image, ImageCms

from tasks.ingest.images.decode import BadImage, decode_panorama, open_panorama
from tasks.ingest.settings import Ingest

SETTINGS = Ingest(min_width=16)
HEIGHT, WIDTH = 48, 96
PIXELS = cv2.resize(np.random.default_rng(0).integers(0, 256, (6, 12, 3)).astype(np.uint8), (WIDTH, HEIGHT))
MEBIBYTE = 1 << 20


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def exr(channels: dict[str, np.ndarray]) -> bytes:
    with tempfile.NamedTemporaryFile(suffix=".exr") as file:
        OpenEXR.File({}, {name: np.ascontiguousarray(values) for name, values in channels.items()}).write(file.name)
        return Path(file.name).read_bytes()


def hdr(linear: np.ndarray) -> bytes:
    return cv2.imencode(".hdr", np.ascontiguousarray(linear[..., ::-1]))[1].tobytes()


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, *chunks: bytes) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + chunk(b"IDAT", zlib.compress(b"\0" * 64)) + chunk(b"IEND", b"")


def tiff(width: int, height: int, **tags: int) -> bytes:
    """A little-endian TIFF of uncompressed RGB whose one strip holds nothing; ``t322=...`` sets tag 322."""
    fields = {256: width, 257: height, 258: 8, 259: 1, 262: 2, 273: 8, 277: 3, 278: height, 279: 1 << 20}
    fields |= {int(name[1:]): value for name, value in tags.items()}
    rows = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in sorted(fields.items()))
    return b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", len(fields)) + rows + struct.pack("<I", 0)


def riff(kind: bytes, body: bytes) -> bytes:
    inner = b"WEBP" + kind + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)
    return b"RIFF" + struct.pack("<I", len(inner)) + inner


def vp8x(width: int, height: int) -> bytes:
    frame = riff(b"VP8L", saved(Image.new("RGB", (16, 8)), "WEBP", lossless=True)[20:])[12:]
    body = b"\0\0\0\0" + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    inner = b"WEBP" + b"VP8X" + struct.pack("<I", 10) + body + frame
    return b"RIFF" + struct.pack("<I", len(inner)) + inner


def jpeg_of_size(width: int, height: int) -> bytes:
    data = bytearray(saved(Image.fromarray(PIXELS), "JPEG"))
    at = data.index(b"\xff\xc0")
    data[at + 5 : at + 9] = struct.pack(">HH", height, width)
    return bytes(data)


def bmp_of_size(width: int, height: int) -> bytes:
    data = bytearray(saved(Image.fromarray(PIXELS), "BMP"))
    data[18:26] = struct.pack("<ii", width, height)
    return bytes(data)


def exr_of_size(width: int, height: int) -> bytes:
    data = exr({"RGB": np.ones((HEIGHT, WIDTH, 3), np.float32)})
    window = struct.pack("<4i", 0, 0, WIDTH - 1, HEIGHT - 1)
    assert data.count(window) == 2, "data window and display window"
    return data.replace(window, struct.pack("<4i", 0, 0, width - 1, height - 1))


def hdr_of_size(width: int, height: int) -> bytes:
    return hdr(np.ones((HEIGHT, WIDTH, 3), np.float32)).replace(b"-Y 48 +X 96", f"-Y {height} +X {width}".encode())


BOMBS = {
    "png": png(60000, 30000),
    "png whose EXIF stands after the pixels": png(60000, 30000, chunk(b"pHYs", bytes(9))),
    "tiff": tiff(60000, 30000),
    "tiff tiles": tiff(96, 48, t322=1 << 20, t323=1 << 20, t324=8, t325=1 << 20),
    "exr": exr_of_size(60000, 30000),
    "hdr": hdr_of_size(60000, 30000),
    "webp extended": vp8x(60000, 30000),
    "webp lossless": riff(b"VP8L", b"\x2f" + struct.pack("<I", 16000 | (7999 << 14)) + bytes(40)),
    "webp lossy": riff(b"VP8 ", b"\x10\0\0\x9d\x01\x2a" + struct.pack("<HH", 16000, 8000) + bytes(40)),
    "bmp": bmp_of_size(60000, 30000),
    "jpeg": jpeg_of_size(60000, 30000),
}

REFUSE = """
import resource, sys
from pathlib import Path
import OpenEXR
from tasks.ingest.settings import Ingest
from tasks.ingest.images.decode import BadImage, decode_panorama

pages = int(Path("/proc/self/statm").read_text().split()[0])
limit = pages * resource.getpagesize() + 64 * 2**20
for name in sys.argv[1:]:
    data = Path(name).read_bytes()
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    try:
        decode_panorama(data, Ingest(min_width=16, max_megapixels=100))
    except BadImage as error:
        print(error)
"""


@pytest.mark.fault("Decompression bomb", expected="refused from the header, without allocating")
def test_huge_headers_are_refused_without_allocating(tmp_path: Path) -> None:
    """With 64 MiB of address space to spare, a decoder that allocated what a header claims would fail with another reason."""
    files = []
    for number, data in enumerate(BOMBS.values()):
        files.append(tmp_path / f"{number:02d}")
        files[-1].write_bytes(data)
    run = subprocess.run([sys.executable, "-c", REFUSE, *map(str, files)], capture_output=True, text=True, env=dict(os.environ))
    assert run.returncode == 0, run.stderr
    assert run.stderr == ""
    reasons = run.stdout.splitlines()
    assert len(reasons) == len(BOMBS)
    for name, reason in zip(BOMBS, reasons):
        assert "ingest.max_megapixels = 100" in reason, f"{name}: {reason}"


def animated(kind: str) -> bytes:
    others = [Image.fromarray(255 - PIXELS)]
    return saved(Image.fromarray(PIXELS), kind, save_all=True, append_images=others, duration=50, lossless=True)


def profiled() -> bytes:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return saved(Image.fromarray(PIXELS), "PNG", icc_profile=profile)


def turned(kind: str, orientation: int) -> bytes:
    back = {
        1: None,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[orientation]
    image = Image.fromarray(PIXELS)
    exif = Image.Exif()
    exif[0x0112] = orientation
    return saved(image if back is None else image.transpose(back), kind, exif=exif)


ALPHA = Image.fromarray(np.dstack([PIXELS, np.full((HEIGHT, WIDTH), 255, np.uint8)]))
GREY = Image.fromarray(PIXELS[..., 0])
EXACT = {
    "alpha": saved(ALPHA, "PNG"),
    "alpha webp": saved(ALPHA, "WEBP", lossless=True, exact=True),
    "alpha tiff": saved(ALPHA, "TIFF"),
    "animated webp": animated("WEBP"),
    "animated png": animated("PNG"),
    "multi-page tiff": animated("TIFF"),
    "icc profile": profiled(),
    "damaged icc profile": saved(Image.fromarray(PIXELS), "PNG", icc_profile=b"no profile at all"),
    **{f"exif {number} {kind}": turned(kind, number) for number in range(1, 9) for kind in ("PNG", "TIFF")},
}


@pytest.mark.fault("Odd but sound image (16 bits, alpha, EXIF rotation, ...)", expected="normalised by rule")
@pytest.mark.parametrize("name", EXACT)
def test_odd_but_sound_files_give_their_pixels(name: str) -> None:
    np.testing.assert_array_equal(decode_panorama(EXACT[name], SETTINGS), PIXELS)


BILEVEL = GREY.convert("1")
PALETTE = Image.fromarray(PIXELS).quantize(16)
CMYK = Image.fromarray(PIXELS).convert("CMYK")
CONVERTED = {
    "grey with alpha": (saved(GREY.convert("LA"), "PNG"), GREY.convert("RGB")),
    "one bit png": (saved(BILEVEL, "PNG"), BILEVEL.convert("RGB")),
    "one bit tiff": (saved(BILEVEL, "TIFF", compression="group4"), BILEVEL.convert("RGB")),
    "palette": (saved(PALETTE, "PNG"), PALETTE.convert("RGB")),
    "palette with transparency that nothing has": (saved(PALETTE, "PNG", transparency=255), PALETTE.convert("RGB")),
    "cmyk tiff": (saved(CMYK, "TIFF"), CMYK.convert("RGB")),
    "lzw tiff": (saved(Image.fromarray(PIXELS), "TIFF", compression="tiff_lzw"), Image.fromarray(PIXELS)),
    "grey tiff of 16 bits": (saved(Image.fromarray(PIXELS[..., 0].astype(np.uint16) * 257), "TIFF"), GREY.convert("RGB")),
}


@pytest.mark.fault("Image in another colour mode (CMYK, palette, ...)", expected="becomes RGB")
@pytest.mark.parametrize("name", CONVERTED)
def test_other_modes_become_rgb(name: str) -> None:
    data, expected = CONVERTED[name]
    np.testing.assert_array_equal(decode_panorama(data, SETTINGS), np.asarray(expected))


def test_cmyk_jpeg_is_close() -> None:
    decoded = decode_panorama(saved(CMYK, "JPEG", quality=95), SETTINGS).astype(int)
    assert np.abs(decoded - np.asarray(CMYK.convert("RGB")).astype(int)).mean() < 6


LINEAR = np.random.default_rng(1).uniform(0.01, 1, (HEIGHT, WIDTH, 3)).astype(np.float32)


def spoiled(*values: float) -> np.ndarray:
    linear = LINEAR.copy()
    linear[: len(values), 0] = np.array(values, np.float32)[:, None]
    return linear


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_infinite_and_undefined_light_was_not_observed_and_spoils_nothing_else(dtype: type) -> None:
    """Negative light is black. What is no number takes no part in the exposure: four pixels of 4608 hardly move it anyway."""
    linear = spoiled(np.nan, np.inf, -np.inf, -5.0).astype(dtype)
    with np.errstate(all="raise"):
        decoded = open_panorama(exr({"RGB": linear}), SETTINGS)
        other = open_panorama(exr({"RGB": spoiled(np.inf, np.nan, np.nan, 0.0).astype(dtype)}), SETTINGS)
    assert decoded.pixels[:4, 0].max() == 0
    np.testing.assert_array_equal(np.argwhere(~decoded.observed), [[0, 0], [1, 0], [2, 0]])
    np.testing.assert_array_equal(decoded.pixels, other.pixels)


@pytest.mark.parametrize("value", [0.0, 1e-38, 1e-6, 1e30, 3.4e38])
def test_extreme_light_stays_in_range(value: float) -> None:
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        decoded = decode_panorama(exr({"RGB": np.full((HEIGHT, WIDTH, 3), value, np.float32)}), SETTINGS)
        mixed = decode_panorama(exr({"RGB": spoiled(value, value)}), SETTINGS)
    assert decoded.shape == mixed.shape == (HEIGHT, WIDTH, 3)
    assert np.ptp(decoded) == 0


def test_tiled_exr_is_read() -> None:
    with tempfile.NamedTemporaryFile(suffix=".exr") as file:
        header = {"type": OpenEXR.tiledimage, "tiles": OpenEXR.TileDescription()}
        OpenEXR.File(header, {"RGB": LINEAR}).write(file.name)
        tiled = Path(file.name).read_bytes()
    np.testing.assert_array_equal(decode_panorama(tiled, SETTINGS), decode_panorama(WHOLE["exr"], SETTINGS))


def test_exr_of_luminance_alone_is_grey() -> None:
    decoded = decode_panorama(exr({"Y": LINEAR[..., 0]}), SETTINGS)
    assert decoded.shape == (HEIGHT, WIDTH, 3)
    assert np.ptp(decoded, axis=-1).max() <= 1


PROGRESSIVE = saved(Image.fromarray(PIXELS), "JPEG", progressive=True, quality=95)
WHOLE = {
    "png": saved(Image.fromarray(PIXELS), "PNG"),
    "jpeg": saved(Image.fromarray(PIXELS), "JPEG"),
    "progressive jpeg": PROGRESSIVE,
    "tiff": saved(Image.fromarray(PIXELS), "TIFF"),
    "webp": saved(Image.fromarray(PIXELS), "WEBP"),
    "bmp": saved(Image.fromarray(PIXELS), "BMP"),
    "hdr": hdr(LINEAR),
    "exr": exr({"RGB": LINEAR}),
}


@pytest.mark.parametrize("share", [0.02, 0.3, 0.5, 0.9])
@pytest.mark.fault("Truncated image", expected="refused with a reason")
@pytest.mark.parametrize("name", WHOLE)
def test_truncated_files_are_refused(name: str, share: float) -> None:
    data = WHOLE[name]
    with pytest.raises(BadImage, match=r"cannot be decoded|not an image in a known format"):
        decode_panorama(data[: int(len(data) * share)], SETTINGS)


SIDEWAYS = Image.Exif()
SIDEWAYS[0x0112] = 6
REFUSED = {
    "empty": (b"", "empty"),
    "zero bytes": (bytes(5000), "known format"),
    "text": (b"Dear photographer,\nplease find attached ...\n" * 20, "known format"),
    "html": (b"<html><body>404 Not Found</body></html>", "known format"),
    "gif": (animated("GIF"), "known format"),
    "encapsulated postscript": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 96 48\n%%EndComments\n", "known format"),
    "not 2:1": (saved(Image.fromarray(PIXELS[:, :60]), "PNG"), "not 2:1"),
    "not 2:1 once it is upright": (saved(Image.fromarray(PIXELS), "PNG", exif=SIDEWAYS), "48x96 is not 2:1"),
    "tiff not 2:1 once it is upright": (saved(Image.fromarray(PIXELS), "TIFF", exif=SIDEWAYS), "48x96 is not 2:1"),
    "tiff of 32-bit integers": (saved(Image.fromarray(PIXELS[..., 0].astype(np.int32)), "TIFF"), "signed integers"),
    "all transparent": (saved(Image.fromarray(np.dstack([PIXELS, PIXELS[..., :1] * 0])), "PNG"), "shows nothing"),
    "no light at all": (exr({"RGB": np.full((HEIGHT, WIDTH, 3), np.nan, np.float32)}), "no pixel is finite"),
    "exr of other channels": (exr({"temperature": LINEAR[..., 0]}), "channels"),
    "exr of a hundred channels": (exr({f"layer{number}": LINEAR[..., 0] for number in range(100)}), "100 channels"),
    "png of no size": (png(0, 0), "cannot be decoded|known format"),
    "text bomb in a png": (png(96, 48, chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(200 * MEBIBYTE), 9))), "cannot be decoded"),
}  # fmt: skip


@pytest.mark.fault("Image that cannot be a panorama (empty, not 2:1, ...)", expected="refused with a reason")
@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_a_panorama_gets_a_reason(name: str) -> None:
    data, reason = REFUSED[name]
    with pytest.raises(BadImage, match=reason) as caught:
        decode_panorama(data, SETTINGS)
    assert len(str(caught.value)) < 400


def test_a_wrong_extension_does_not_matter() -> None:
    """What a file is, is told by its bytes; ingest never looks at the suffix."""
    np.testing.assert_array_equal(decode_panorama(WHOLE["png"], SETTINGS), PIXELS)


def test_a_malformed_exif_block_does_not_cost_the_picture() -> None:
    data = saved(Image.fromarray(PIXELS), "PNG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    np.testing.assert_array_equal(decode_panorama(data, SETTINGS), PIXELS)


DECODE_ALL = """
import sys
from pathlib import Path
from tasks.ingest.settings import Ingest
from tasks.ingest.images.decode import BadImage, decode_panorama

for path in sorted(Path(sys.argv[1]).iterdir()):
    try:
        decode_panorama(path.read_bytes(), Ingest(min_width=16))
    except BadImage:
        pass
"""


def test_the_whole_zoo_says_nothing_on_the_terminal(tmp_path: Path) -> None:
    """Python's warnings and what C libraries print would bury a report under a thousand lines for a thousand files."""
    zoo = [*BOMBS.values(), *EXACT.values(), *(data for data, _ in CONVERTED.values()), *(data for data, _ in REFUSED.values())]
    zoo += [data[: len(data) // 2] for data in WHOLE.values()]
    zoo += [data[: len(data) // 2] + b"\xff" * 40 + data[len(data) // 2 + 40 :] for data in WHOLE.values()]
    for number, data in enumerate(zoo):
        (tmp_path / f"{number:03d}").write_bytes(data)
    run = subprocess.run([sys.executable, "-c", DECODE_ALL, str(tmp_path)], capture_output=True, text=True, env=dict(os.environ))
    assert run.returncode == 0, run.stderr
    assert run.stdout == "", "stdout belongs to --json"
    said = [line for line in run.stderr.splitlines() if line.strip()]
    assert len(said) <= 3, said  # OpenEXR's own line for each damaged EXR file, which it cannot be asked not to print
    assert all("EXR_ERR" in line for line in said), said
