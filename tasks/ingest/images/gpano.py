"""Photo Sphere XMP: which part of the sphere a picture shows, and how the camera was held.

Source: https://developers.google.com/streetview/spherical-metadata (namespace GPano). Cameras, phones and stitchers write it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from xml.etree import ElementTree

from PIL import Image

from tasks.ingest.images.places import Place
from tasks.ingest.images.size import BadImage

NAMESPACE = "http://ns.google.com/photos/1.0/panorama/"
MAIN = b"http://ns.adobe.com/xap/1.0/\0"
EXTENSION = b"http://ns.adobe.com/xmp/extension/\0"
EXTENSION_HEAD = len(EXTENSION) + 40
"""Of a segment of extended XMP: its name, 32 letters that tell packets apart, the length of all, and where this part begins."""
CROP = ("CroppedAreaImageWidthPixels", "CroppedAreaImageHeightPixels", "CroppedAreaLeftPixels", "CroppedAreaTopPixels")
FULL = ("FullPanoWidthPixels", "FullPanoHeightPixels")
POSES = {
    "pose_heading_degrees": "PoseHeadingDegrees",
    "pose_pitch_degrees": "PosePitchDegrees",
    "pose_roll_degrees": "PoseRollDegrees",
}
RESIZED = 0.01
"""A picture may have been resized since its XMP was written, by factors that differ no more than this between its axes."""
MOST_PIXELS = 1e9
FULL_TURN = 360.0


def packets(image: Image.Image) -> list[bytes]:
    """The XMP packets of a picture that Pillow opened: of a JPEG all parts of extended XMP too, put together by their names."""
    segments = [data for name, data in getattr(image, "applist", []) if name == "APP1"]
    parts: dict[bytes, dict[int, bytes]] = {}
    for segment in segments:
        if segment.startswith(EXTENSION) and len(segment) > EXTENSION_HEAD:
            name, begins = segment[len(EXTENSION) : len(EXTENSION) + 32], segment[EXTENSION_HEAD - 4 : EXTENSION_HEAD]
            parts.setdefault(name, {})[int.from_bytes(begins, "big")] = segment[EXTENSION_HEAD:]
    found = [segment[len(MAIN) :] for segment in segments if segment.startswith(MAIN)]
    found += [b"".join(part for _, part in sorted(one.items())) for one in parts.values()]
    if not segments and (packet := image.info.get("xmp")):
        found.append(packet if isinstance(packet, bytes) else str(packet).encode())
    return found


def properties(packets: list[bytes]) -> dict[str, str]:
    """GPano properties by name, whether they stand as attributes or as elements.

    Raises
    ------
    BadImage
        A packet that speaks of a panorama cannot be read.
    """
    found: dict[str, str] = {}
    for packet in packets:
        if NAMESPACE.encode() not in packet.replace(b"\0", b""):  # also where it is UTF-16
            continue
        if b"<!DOCTYPE" in packet.replace(b"\0", b"").upper():  # it may define entities without end
            raise BadImage("the XMP of the file speaks of a panorama and has a document type; write the metadata anew")
        try:
            root = ElementTree.fromstring(packet.strip(b"\0 \r\n\t"))
        except (ElementTree.ParseError, ValueError, LookupError) as error:
            raise BadImage(f"the XMP of the file speaks of a panorama, and cannot be read ({error}); write it anew") from error
        for element in root.iter():
            for name, value in [*element.attrib.items(), (element.tag, element.text or "")]:
                if isinstance(name, str) and name.startswith(f"{{{NAMESPACE}}}"):
                    found.setdefault(name.removeprefix(f"{{{NAMESPACE}}}"), value.strip())
    return found


def place(about: Mapping[str, str], width: int, height: int) -> Place | None:
    """Where a picture of this size lies, as its properties say; None where they say nothing.

    Raises
    ------
    BadImage
        It is no equirectangular picture, or the numbers contradict each other or the picture.
    """
    projection = about.get("ProjectionType") or "equirectangular"
    if projection.lower() != "equirectangular":
        raise BadImage(f"the file says that its projection is {projection[:40]!r}; only equirectangular ones are read")
    if not any(name in about for name in (*CROP, *FULL)):
        return None
    full = _pair(about, FULL)
    crop = _pair(about, CROP[:2]) or _as_whole(full, width, height)
    if full is None:
        raise BadImage(f"the file says what part it shows, but not of what whole ({' and '.join(FULL)} are missing)")
    across, down = width / crop[0], height / crop[1]
    if abs(across / down - 1) > RESIZED and abs(crop[0] * down - width) > 1:
        raise BadImage(f"the file is {width}x{height}, and its XMP speaks of a picture of {crop[0]:g}x{crop[1]:g}")
    corner = [_number(about, name) for name in CROP[2:]]
    left, top = (
        _corner(at, size, whole, name) for at, size, whole, name in zip(corner, crop, full, ("left", "top"), strict=True)
    )
    if top < 0 or crop[0] > full[0] + 1 or top + crop[1] > full[1] + 1 or not -full[0] < left <= full[0]:
        raise BadImage(
            f"the file says that it shows {crop[0]:g}x{crop[1]:g} pixels from {left:g}, {top:g} on, "
            f"of a whole of {full[0]:g}x{full[1]:g}, where that has no room"
        )
    whole = round(full[0] * across)
    return Place(whole, round(full[1] * down), round(left * across) % whole, round(top * down), around=True)


def pose(about: Mapping[str, str]) -> dict[str, float]:
    """How the camera was turned and tilted, in degrees, where it was: ``pose_pitch_degrees``, ... Pixels are left as they are.

    Since it is only told, what is no angle says nothing, and harms nothing.
    """
    found = {ours: _float(about.get(theirs, "")) for ours, theirs in POSES.items()}
    return {name: value for name, value in found.items() if value and abs(value) <= FULL_TURN}


def _number(about: Mapping[str, str], name: str) -> float | None:
    if not about.get(name):
        return None
    value = _float(about[name])
    if not abs(value) <= MOST_PIXELS:
        raise BadImage(f"the XMP of the file says {name} = {about[name][:40]!r}, which is no number that makes sense")
    return value


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _pair(about: Mapping[str, str], names: tuple[str, ...]) -> tuple[float, float] | None:
    found = [_number(about, name) for name in names]
    if found == [None, None]:
        return None
    if any(value is None or value < 1 for value in found):
        raise BadImage(f"the XMP of the file says {', '.join(f'{name} = {about.get(name)}' for name in names)}: not a size")
    return found[0], found[1]  # type: ignore[return-value]


def _as_whole(full: tuple[float, float] | None, width: int, height: int) -> tuple[float, float]:
    """The size of the part where it is not told: that of the whole, if the picture has its shape, resized or not."""
    same = full is not None and abs(width / height * full[1] / full[0] - 1) <= RESIZED
    return full if same and full is not None else (width, height)


def _corner(at: float | None, size: float, whole: float, name: str) -> float:
    if at is not None:
        return at
    if abs(whole - size) > 1:
        raise BadImage(f"the file says that it is a part of the sphere, but not where it lies (no {name} edge in its XMP)")
    return 0.0
