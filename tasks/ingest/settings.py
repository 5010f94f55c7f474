"""What the stage ``ingest`` may say: where panoramas come from, which files count as such, and how their pixels are read."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, model_validator

from configs.places import PlaceField
from configs.settings import APART, Settings

DataSetKind = Literal[
    "cityscapes", "densepass", "matterport3d360", "panoinfinigen", "replica360_4k", "stanford2d3ds", "structured3d", "zuripano"
]

OWN_FILES = frozenset({"files", "videos"})
"""Kinds of sources whose files are the user's own."""


def _allow_root(schema: dict[str, Any]) -> None:
    """In the JSON schema ``root`` may stand for ``url``."""
    schema["properties"]["root"] = {"description": "Folder or bucket URL of a data set.", "type": "string"}
    schema["required"] = [key for key in schema["required"] if key != "url"]
    schema["anyOf"] = [{"required": ["url"]}, {"required": ["root"]}]


class Source(Settings):
    """Where panoramas come from, and the truth to compare with where there is any.

    Public data sets have a ``kind`` and a ``root``: ``{kind: structured3d, root: /data/Structured3D, split: test}``.
    """

    model_config = ConfigDict(json_schema_extra=_allow_root)

    kind: Literal["files", "videos", DataSetKind] = "files"
    """``files``, ``videos`` (each a clip), or a public data set, whose layout and truth are known: docs/datasets.md."""
    url: PlaceField
    """Folder, glob, bucket URL, or a list with a column ``uri`` (.csv, .tsv, .parquet, .jsonl); anything that fsspec opens."""
    truth: PlaceField | None = None
    """Data set folder with ``dataset.json`` and ``truth/<item>.npz``, in the layout that ``panolabel scenes`` writes."""
    split: str | None = None
    """Only the panoramas of this split, such as ``test``."""
    allow: Annotated[tuple[PlaceField, ...], APART] = ()
    """Folders outside the source to which its links, and the rows of its list, may lead too, such as ``[/data]``."""

    @property
    def is_data_set(self) -> bool:
        """Whether it is a public data set, whose layout and truth are known."""
        return self.kind not in OWN_FILES

    @model_validator(mode="before")
    @classmethod
    def _root_is_url(cls, values: Any) -> Any:
        """A data set's ``root`` is its ``url``, which replaces it where both are given, as ``--source`` does."""
        if not isinstance(values, dict) or str(values.get("kind", "files")) in OWN_FILES:
            return values
        if values.get("truth") is not None:
            raise ValueError("truth: a data set brings its own; remove it, or write kind: files")
        if "root" not in values and "url" not in values:
            raise ValueError("root: is required for a data set; give its folder or bucket URL")
        root = values.get("root")
        return {"url": root, **{key: value for key, value in values.items() if key != "root"}}


class Ingest(Settings):
    """Which files count as panoramas and how their pixels are read."""

    aspect_tolerance: float = Field(0.01, ge=0, lt=0.5)
    """Largest relative deviation of width / height from 2."""
    min_width: int = Field(64, ge=2)
    max_megapixels: float = Field(160.0, gt=0)
    """Larger images are quarantined: a guard against decompression bombs. A 16k panorama has 134 megapixels."""
    middle_grey: float = Field(0.18, gt=0, lt=1)
    """Linear value that the log-average of a high-dynamic-range image is exposed to before tone mapping."""
    # Which files are given up, and nothing of how pixels are read: ingest.scan compares their figures with what it kept.
    most_seam: Annotated[float, APART] = Field(1.25, ge=0)
    """Left and right edge may differ so much more than neighbouring columns. What exceeds this and ``most_poles`` is refused."""
    most_poles: Annotated[float, APART] = Field(0.4, ge=0)
    """The first and last row may vary by so much of what a typical row does; at the poles a panorama hardly does."""
    most_halves: Annotated[float, APART] = Field(0.8, ge=0)
    """Correlation from which two halves are a stereo pair; 1 refuses none."""
    least_corners: Annotated[float, APART] = Field(0.15, ge=0)
    """Spread outside of two circles, relative to that in them, below which two lenses were not stitched; 0 refuses none."""
    rehash: Annotated[bool, APART] = False
    """Read every file anew and compare digests, where a store does not tell when its files change."""


class Panoramas(Ingest):
    """The stage that gives panoramas."""

    source: Annotated[Source, APART]
    block_size: Annotated[int, Field(ge=1, le=512), APART] = 16
    """Panoramas per block, the unit of work, cache and retry. Applies to items that are new to the store."""
