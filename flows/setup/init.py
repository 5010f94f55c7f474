"""A first config for a source: look at what is there, then write YAML whose values fit it."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from configs.execution import Runner
from configs.pipeline import ALWAYS, NEVER, UNTIL_READ
from configs.settings import ConfigError
from flows.growth import Growth, free_at
from flows.setup.first_look import figures_in_words, look_into
from storage.urls import exists, filesystem, is_local, join, write_bytes
from tasks.ingest.datasets.listing import guess_kind
from tasks.ingest.datasets.listing import look_at as look_at_source
from tasks.ingest.entries import Entry, SourceError
from tasks.ingest.images.bands import vertical_degrees
from tasks.ingest.images.decode import BadImage
from tasks.ingest.images.headers import read_size
from tasks.ingest.settings import Ingest, Source
from tasks.schema import schema_text

MOST_HEADERS = 32
SCHEMA_FILE = "panolabel.schema.json"
FINEST_HEIGHT = 1024
"""Labels with more rows would be finer than what teachers see in their patches."""
PATCH_SIZE = 192
"""Rows and columns of what the bundled network was trained on."""
SMALL_WIDTH = 768
"""Up to this width six views of 192 pixels hold all of a panorama's detail; more views would cost and add nothing."""


@dataclass(frozen=True)
class Survey:
    """What a source holds. Sizes are those of the ``looked_at`` files whose headers were read, as width x height."""

    source: str
    panoramas: int
    bytes: int
    formats: dict[str, int]
    with_metadata: int
    truth: str | None
    looked_at: int
    sizes: dict[str, int] = field(default_factory=dict)
    not_two_to_one: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()
    kind: str = "files"
    splits: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    figures: str = ""
    doubtful: tuple[str, ...] = ()

    @property
    def usable(self) -> list[tuple[int, int]]:
        """Widths and heights of the 2:1 images that were looked at."""
        pairs = [(int(size.split("x")[0]), int(size.split("x")[1]), count) for size, count in self.sizes.items()]
        return [(width, height) for width, height, count in pairs if _is_panorama(width, height) for _ in range(count)]

    def as_json(self) -> dict[str, Any]:
        """The survey as JSON values."""
        return asdict(self)


def look_at(source: str) -> Survey:
    """List a source and read the headers of at most :data:`MOST_HEADERS` files, evenly spread.

    Raises
    ------
    SourceError
        There are no panoramas, or they cannot be told apart; the message says what is accepted.
    ConfigError
        None of the files looked at is a 2:1 image.
    """
    if not source.strip():
        raise SourceError("source: is empty; name a folder, a list or a URL (`.` is the folder that you are in)")
    url = _absolute(source)
    kind = guess_kind(url)
    found = look_at_source(Source(kind=kind, url=url), strict=False)
    entries = found.entries
    step = -(-len(entries) // MOST_HEADERS)
    looked_at = entries[::step]
    sizes, odd, unreadable = _sizes(looked_at)
    pictures = look_into(looked_at, Ingest())
    survey = Survey(
        url,
        len(entries),
        sum(entry.size for entry in entries),
        dict(Counter(entry.uri.rsplit(".", 1)[-1].lower() for entry in entries).most_common()),
        sum(bool(entry.metadata) for entry in entries),
        _truth_beside(url) if kind == "files" else None,
        len(looked_at),
        sizes,
        tuple(odd),
        tuple(unreadable),
        kind,
        tuple(sorted({entry.split for entry in entries} - {""})),
        found.notes,
        figures=figures_in_words([item for item in pictures if not item.reason]),
        doubtful=tuple(f"{item.item}: {item.reason}" for item in pictures if item.reason and item.width),
    )
    if not survey.usable:
        example = next(iter([*odd, *unreadable]))
        raise ConfigError(
            f"source {source}: none of {len(looked_at)} files looked at is a panorama ({example}); "
            "equirectangular images of 2:1 are accepted, as JPEG, PNG, TIFF, WebP, AVIF, BMP, HDR or EXR"
        )
    return survey


def _sizes(entries: Sequence[Entry]) -> tuple[dict[str, int], list[str], list[str]]:
    """How often each size occurs, and what is wrong with files that are no panoramas."""
    sizes: Counter[str] = Counter()
    odd, unreadable = [], []
    for entry in entries:
        if entry.problem:
            unreadable.append(f"{entry.item}: {entry.problem}")
            continue
        try:
            width, height = read_size(entry.uri, vertical_degrees(entry.metadata))
        except (BadImage, OSError) as error:
            unreadable.append(f"{entry.item}: {error}")
            continue
        sizes[f"{width}x{height}"] += 1
        if not _is_panorama(width, height):
            odd.append(f"{entry.item}: {width}x{height} is not 2:1")
    return dict(sizes.most_common()), odd, unreadable


def _is_panorama(width: int, height: int) -> bool:
    settings = Ingest()
    return width >= settings.min_width and height > 0 and abs(width / height / 2 - 1) <= settings.aspect_tolerance


def _absolute(source: str) -> str:
    """Local paths from the root: the config must mean the same wherever it is run."""
    return os.path.abspath(os.path.expanduser(source)) if "://" not in source and is_local(source) else source


def _truth_beside(url: str) -> str | None:
    """The data set folder, where the images lie in one that ``panolabel scenes`` wrote."""
    if not is_local(url) or not os.path.isdir(filesystem(url)[1]):
        return None
    folder = url.rstrip("/").rsplit("/", 1)[0]
    return folder if exists(join(folder, "dataset.json")) and exists(join(folder, "truth")) else None


def write_config(survey: Survey, out: Path | None = None) -> Path:
    """Write the config of a source, and the JSON schema beside it that editors complete it by; returns the config's path.

    Raises
    ------
    ConfigError
        The file is there already, or its folder is not.
    """
    name = _name(survey.source)
    path = Path(f"{name}.yaml") if out is None else out
    if path.exists():
        raise ConfigError(f"{path}: is there already and stays as it is; give another file with --out")
    if not path.absolute().parent.is_dir():
        raise ConfigError(f"{path}: the folder {path.absolute().parent} is not there; create it")
    text = config_text(survey, name, _root(survey.source, path, name))
    write_bytes(str(path.absolute().with_name(SCHEMA_FILE)), schema_text().encode())
    try:
        with path.open("x", encoding="utf-8") as file:  # never over one that came to be meanwhile
            file.write(text)
    except FileExistsError as error:
        raise ConfigError(f"{path}: is there already and stays as it is; give another file with --out") from error
    return path


def _name(source: str) -> str:
    parts = [part for part in re.split(r"[/\\]", source.split("://")[-1]) if part and not set(part) & set("*?[")]
    last = parts[-1].rsplit(".", 1)[0] if parts else ""
    if last.lower() in ("images", "panoramas", "data") and len(parts) > 1:
        last = parts[-2]  # says more
    plain = re.sub(r"[^a-z0-9]+", "_", last.lower()).strip("_")[:40]
    return plain if re.match(r"[a-z]", plain) else f"panoramas_{plain}".rstrip("_")


def _root(source: str, path: Path, name: str) -> str:
    """The store lies beside the config, but never inside the source: its pictures would become panoramas."""
    folder = path.absolute().parent.resolve()
    if is_local(source):
        inside = Path(filesystem(source.split("*")[0].split("?")[0].split("[")[0])[1]).resolve()
        inside = inside if inside.is_dir() else inside.parent
        if folder == inside or inside in folder.parents:
            folder = inside.parent
    return str(folder / f"{name}_labels")


def fitting_values(survey: Survey) -> dict[str, Any]:
    """Values that follow from the sizes and the number of panoramas."""
    widths = [width for width, _ in survey.usable]
    typical = int(median(widths))
    largest = max(width * height for width, height in survey.usable) / 1e6
    default = Ingest().max_megapixels
    return {
        "typical_width": typical,
        "block_size": min(256, max(4, survey.panoramas // 64)),
        "height": max(8, min(FINEST_HEIGHT, typical // 4 * 2)),
        "max_megapixels": default if largest <= default else float(-(-largest * 1.25 // 10) * 10),
        "layout": "{kind: cubemap, fov_degrees: 96}" if typical <= SMALL_WIDTH else "{kind: icosahedron, fov_degrees: 90}",
    }


PATCH_BYTES, LABEL_BYTES = 6.3, 8.0
"""Of a pixel of a patch, and of the sphere, with depth, normals and classes, as stored: measured with the network that ships and
with sharp photographs."""
VIEWS = {"cubemap": 6, "icosahedron": 20}


def growth_of_all(survey: Survey, root: str) -> Growth:
    """About how much the labels of all panoramas will take: nothing of them is measured yet."""
    fit = fitting_values(survey)
    views = next(count for kind, count in VIEWS.items() if kind in fit["layout"])
    patches = views * PATCH_SIZE**2 * PATCH_BYTES
    labels = round(survey.panoramas * 2 * fit["height"] ** 2 * LABEL_BYTES)
    at_once = min(survey.panoramas, Runner().most_begun * fit["block_size"])
    counts = {ALWAYS: survey.panoramas, UNTIL_READ: at_once, NEVER: 0}
    return Growth(("dense",), {mode: labels + round(count * patches) for mode, count in counts.items()}, free_at(root))


def config_text(survey: Survey, name: str, root: str) -> str:
    """The YAML text of a source's config, with a comment for each choice."""
    fit, growth = fitting_values(survey), growth_of_all(survey, root)
    fits = growth.free is None or growth.bytes[ALWAYS] <= growth.free
    lines = [
        *_heading(survey),
        f"name: {json.dumps(name)}",
        f"root: {json.dumps(root)}   # labels, receipts and reports; a bucket URL works too",
        "",
        "stages:",
        "  ingest:",
        "    source:",
        *_source_lines(survey),
        *([f"      truth: {json.dumps(survey.truth)}   # exact ground truth, found beside the images"] if survey.truth else []),
        f"    block_size: {fit['block_size']}   # panoramas per block, the unit of work and retry; up to 512 at scale",
        f"    max_megapixels: {fit['max_megapixels']:g}   # larger files are quarantined",
        "",
        "  project:",
        f"    patch_size: {PATCH_SIZE}   # what the bundled network was trained on; foundation models take about 504",
        f"    layout: {fit['layout']}",
        "",
        "  dense:   # the network that ships with panolabel; configs/indoor.yaml shows foundation models",
        "    stage: label",
        "    kind: transformers",
        *([] if fits else ["    keep: until_read   # patch labels of a few blocks at a time: the disk has no room for all"]),
        "    fields: [depth, normals, semantics]",
        "    settings: {model: demo}",
        "",
        "  fuse:",
        "    depth: blend   # for the bundled network, whose views are wrong in no slow way; drop it with a foundation model",
        "    depth_edge: 0.3   # views of the bundled network differ by about so much without seeing different things",
        f"    height: {fit['height']}   # rows of the labels; panoramas are typically {fit['typical_width']} wide",
        "",
        "  evaluate: {}",
    ]
    return "\n".join(lines) + "\n"


def _source_lines(survey: Survey) -> list[str]:
    place = json.dumps(survey.source)
    kind = f"      kind: {survey.kind}   # recognised by its layout, truth included; docs/datasets.md"
    lines = [f"      url: {place}"] if survey.kind == "files" else [kind, f"      root: {place}"]
    return [*lines, *([f"      # split: {survey.splits[-1]}   # there are {', '.join(survey.splits)}"] if survey.splits else [])]


def _heading(survey: Survey) -> list[str]:
    """What was seen, as comments."""
    formats = ", ".join(f"{count} {suffix}" for suffix, count in survey.formats.items())
    sizes = ", ".join(f"{count} of {size}" for size, count in list(survey.sizes.items())[:4])
    rejected = len(survey.not_two_to_one) + len(survey.unreadable) + len(survey.doubtful)
    return [
        f"# yaml-language-server: $schema={SCHEMA_FILE}",
        f"# {survey.panoramas} files ({formats}), {survey.with_metadata} with capture metadata.",
        f"# Looked at {survey.looked_at}: {sizes}; {rejected} of them would be quarantined.",
        *([f"# Of those looked into: {survey.figures} (docs/operations.md, Pictures)."] if survey.figures else []),
    ]
